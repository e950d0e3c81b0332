"""`whyrec dial NAME`: turn a simulated model's quality and see whether a workflow's outcome follows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from evals.dials.catalogue import Dial
    from evals.dials.run import Scale

_PIPED = 180  # columns where nobody looks at a terminal
_ASK_ABOVE_S = 600.0
_FULL = 5  # levels a dial's cost was measured with


def command(
    names: list[str] = typer.Argument(None, help="Dials, or `all`; without any, the known ones are listed."),
    seeds: int = typer.Option(5, min=2, max=100, help="Generated worlds, of seeds 0, 1, ..."),
    levels: str = typer.Option("0,.25,.5,.75,1", help="Qualities of the simulated model, rising."),
    users: int | None = typer.Option(
        None, "--users", min=1, help="Of each world, or questions; each dial has its own."
    ),
    setting: str = typer.Option("default", help="Of the worlds: easy, default or hard."),
    results: Path = typer.Option(Path("docs/results/dial"), help="Folder of the dials' files."),
    page: Path = typer.Option(Path("docs/dial.md"), help="The page; figures go to img/ beside it."),
    render: bool = typer.Option(False, "--render", help="Only write page and figures from the files that are there."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask before more than ten minutes of work."),
) -> None:
    """Measure dials on generated worlds. What is measured already is not measured again.

    Exit codes: 0; 1 a dial does not turn (no slope in the right direction at p < .01) or beats no model at its lowest
    level; 2 usage or environment; 130 interrupted (run again to go on).
    """
    from rich.console import Console

    from evals.dials.catalogue import DIALS, dial
    from evals.dials.page import render as rendered
    from evals.dials.run import Scale

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED)
    if render:
        console.print(f"wrote {rendered(results, page, page.parent / 'img')}")
        return
    if not names:
        for which in DIALS:
            console.print(f"[bold]{which.name}[/bold]  {which.title}")
        console.print("[dim]whyrec dial NAME ... or whyrec dial all[/dim]")
        return
    chosen = DIALS if "all" in names else tuple(dial(name) for name in dict.fromkeys(names))
    scale = Scale(tuple(range(seeds)), _levels(levels), setting, users)
    _ask(console, chosen, scale, yes=yes)
    good = [_measured(console, which, scale, results) for which in chosen]
    console.print(f"wrote {rendered(results, page, page.parent / 'img')}")
    if not all(good):
        raise typer.Exit(1)


def _levels(text: str) -> tuple[float, ...]:
    """ "0,.5,1" as numbers."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--levels {text!r} is not a list of numbers; write for example 0,.5,1.") from None


def _ask(console: Console, chosen: tuple[Dial, ...], scale: Scale, *, yes: bool) -> None:
    """Say what it may take, and ask where that is long."""
    part = len(scale.seeds) * len(scale.levels) / _FULL
    seconds = sum(which.seconds * part * (scale.users or which.users) / which.users for which in chosen)
    console.print(
        f"{len(chosen)} dials, {len(scale.seeds)} worlds, {len(scale.levels)} levels: at most about "
        f"{max(1, round(seconds / 60)):,} CPU minutes, no model that costs; what was measured before is read"
    )
    if seconds > _ASK_ABOVE_S and not yes:
        agreed("Go on?")


def _measured(console: Console, which: Dial, scale: Scale, results: Path) -> bool:
    """Measure one dial, write its file and say what it shows; whether it is as it should be."""
    import time

    from evals.dials.page import verdict
    from evals.dials.run import measure, write
    from whyrec.settings import read_settings

    began = time.process_time()
    with console.status(which.title) as status:
        try:
            found = measure(which, read_settings(), scale, say=lambda line: status.update(line))
        except KeyboardInterrupt:
            console.print("Stopped. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None
    path = write(results, found)
    console.print(f"[bold]{found.slug}[/bold]: {verdict(found).replace('**', '')}", highlight=False)
    console.print(f"[dim]{time.process_time() - began:.0f} CPU seconds; wrote {path}[/dim]")
    return found.rises and found.without[0].says != "above"
