"""What is said before a table is computed: whom it measures, what models have to write, how long all of it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whyrec.cli.shared.asking import agreed

if TYPE_CHECKING:
    from rich.console import Console

    from graphs.engine.estimate import Estimate
    from whyrec.api.measuring import PlannedTable
    from whyrec.settings import Settings


def say_beforehand(console: Console, table: PlannedTable) -> int:
    """Say it all.

    Returns:
        At most how many calls of models that may cost something there will be.
    """
    seeds = len(table.seeds)
    console.print(
        f"{table.name} on {table.data}: {len(table.cells)} cells, {seeds} seed{'s' * (seeds > 1)}", markup=False
    )
    if table.measured:
        console.print(f"Measures {table.measured}.", markup=False)
    found = table.estimates()
    for need, e in found:
        console.print(_asked(need, e), markup=False)
    _say_time(console, table, [e for _need, e in found])
    return sum(e.most for _need, e in found if e is not None and e.dollars != 0)


def ask(calls: int, settings: Settings, *, yes: bool) -> None:
    """Ask where it is more than the settings' limit of calls that may cost something."""
    if calls > settings.ask_above and not yes:
        agreed(f"Ask the model up to {calls:,} times?")


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _asked(need: str, found: Estimate | None) -> str:
    if found is None:
        return f"{need}: what it costs is not known before the run it builds on is there"
    cost = "price unknown" if found.dollars is None else f"about {found.dollars:.2f} US dollars"
    cost = "free" if found.dollars == 0 else cost
    line = (
        f"{need}: at most {found.most:,} calls, about {found.tokens_in:,} tokens in, {found.tokens_out:,} out, {cost}"
    )
    return f"{line}, {duration(found.seconds)} ({found.basis})"


def _say_time(console: Console, table: PlannedTable, asked: list[Estimate | None]) -> None:
    """One line on how long it takes in all, and where that comes from."""
    cells = table.forecast()
    models = sum(e.seconds for e in asked if e is not None)
    if not cells.left and not asked:
        console.print("All its cells are there already.")
        return
    parts = [f"asking the models {duration(models)}"] if asked else []
    if cells.left:
        parts.append(f"{cells.left} runs of cells {duration(cells.seconds)} ({cells.basis})")
    unknown = ", and what is not known yet" if None in asked else ""
    console.print(f"Takes about {duration(models + cells.seconds)}{unknown}: {'; '.join(parts)}.", markup=False)
