"""`whyrec ablate NAME`: does what a method adds help, on three settings of the world, with reasons true and not?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from evals.ablations.catalogue import Ablation
    from evals.ablations.run import Scale

_PIPED = 180  # columns where nobody looks at a terminal
_ASK_ABOVE_S = 600.0


def command(
    names: list[str] = typer.Argument(None, help="Ablations, or `all`; without any, the known ones are listed."),
    settings: str = typer.Option("easy,default,hard", help="Of the worlds."),
    llm: list[str] = typer.Option([], "--llm", help="How true reasons are; repeatable. Each ablation has its own."),
    seeds: int | None = typer.Option(None, min=1, max=100, help="Worlds of each setting; each ablation has its own."),
    first: int = typer.Option(0, "--first-seed", min=0, help="Of --seeds worlds, the first; pilots: 100 and above."),
    users: int | None = typer.Option(None, "--users", min=2, help="Of each world; each ablation has its own."),
    results: Path = typer.Option(Path("docs/results/ablations"), help="Folder of the ablations' files."),
    page: Path = typer.Option(Path("docs/ablations.md"), help="The page."),
    render: bool = typer.Option(False, "--render", help="Only write the page from the files that are there."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask before more than ten minutes of work."),
) -> None:
    """Measure ablations on generated worlds. What is measured already is not measured again.

    Exit codes: 0; 1 a claim does not hold in some setting with true reasons, or a placebo wins; 2 usage or environment;
    130 interrupted (run again to go on).
    """
    from rich.console import Console

    from evals.ablations.catalogue import ABLATIONS, ablation
    from evals.ablations.page import render as rendered
    from evals.ablations.run import Scale

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED)
    if render:
        console.print(f"wrote {rendered(results, page)}")
        return
    if not names:
        for which in ABLATIONS:
            console.print(f"[bold]{which.name}[/bold]  {which.title}")
        console.print("[dim]whyrec ablate NAME ... or whyrec ablate all[/dim]")
        return
    chosen = ABLATIONS if "all" in names else tuple(ablation(name) for name in dict.fromkeys(names))
    if first and seeds is None:
        raise UsageError("--first-seed goes with --seeds: say how many worlds of each setting, such as --seeds 3.")
    worlds = tuple(range(first, first + seeds)) if seeds else ()
    scale = Scale(worlds, tuple(part.strip() for part in settings.split(",")), tuple(dict.fromkeys(llm)), users)
    _ask(console, chosen, scale, yes=yes)
    good = [_measured(console, which, scale, results) for which in chosen]
    console.print(f"wrote {rendered(results, page)}")
    if not all(good):
        raise typer.Exit(1)


def _ask(console: Console, chosen: tuple[Ablation, ...], scale: Scale, *, yes: bool) -> None:
    """Say what it may take, and ask where that is long."""
    worlds = {
        which: len(scale.seeds or which.seeds) * len(scale.settings) * len(scale.llms or which.models)
        for which in chosen
    }
    seconds = sum(which.seconds * n * (scale.users or which.users) / which.users for which, n in worlds.items())
    console.print(
        f"{len(chosen)} ablations, {sum(worlds.values())} worlds and models: at most about "
        f"{max(1, round(seconds / 60)):,} CPU minutes, no model that costs; what was measured before is read"
    )
    if seconds > _ASK_ABOVE_S and not yes:
        agreed("Go on?")


def _measured(console: Console, which: Ablation, scale: Scale, results: Path) -> bool:
    """Measure one ablation, write its file and say what it came to; whether it is as claimed."""
    import time

    from evals.ablations.page import as_claimed, placebo_verdict, verdict
    from evals.ablations.run import ablate, write
    from whyrec.settings import read_settings

    began = time.process_time()
    with console.status(which.title) as status:
        try:
            found = ablate(which, read_settings(), scale, say=lambda line: status.update(line))
        except KeyboardInterrupt:
            console.print("Stopped. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None
    path = write(results, found)
    for llm in found.llms:
        for other in found.others:
            told = verdict(found, llm, other).replace("**", "")
            console.print(f"[bold]{found.name}[/bold] {llm}: {told}", highlight=False)
    console.print(placebo_verdict(found).replace("**", ""))
    console.print(f"[dim]{time.process_time() - began:.0f} CPU seconds; wrote {path}[/dim]")
    return as_claimed(found)
