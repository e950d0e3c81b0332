"""`whyrec mechanism NAME`: what does a part of a method do to outcomes on generated worlds?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from evals.mechanisms.catalogue import Mechanism
    from evals.mechanisms.run import Scale

_PIPED = 180  # columns where nobody looks at a terminal
_ASK_ABOVE_S = 600.0


def command(
    names: list[str] = typer.Argument(None, help="Mechanisms, or `all`; without any, the known ones are listed."),
    setting: str = typer.Option("default", help="Of the worlds: easy, default or hard."),
    llm: list[str] = typer.Option([], "--llm", help="How well is read and written; repeatable. Each has its own."),
    seeds: int | None = typer.Option(None, min=1, max=100, help="Worlds; each mechanism has its own."),
    first: int = typer.Option(0, "--first-seed", min=0, help="Of --seeds worlds, the first."),
    users: int | None = typer.Option(None, "--users", min=2, help="Of each world; each mechanism has its own."),
    embedder: str = typer.Option("", "--embedder", help="In place of a mechanism's own, such as hf:FOLDER of MiniLM."),
    results: Path | None = typer.Option(
        None,
        "--results",
        help="A folder that many mechanisms share, as the project's docs/results/mechanisms; "
        "else each has a folder of its own in $WHYREC_HOME/results.",
    ),
    page: Path | None = typer.Option(None, "--page", help="With --results: the page; else FOLDER.md beside it."),
    render: bool = typer.Option(False, "--render", help="Only write pages from the files that are there."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask before more than ten minutes of work."),
) -> None:
    """Measure mechanisms on generated worlds. What is measured already is not measured again.

    Exit codes: 0; 1 a placebo does better than the method; 2 usage or environment; 130 interrupted (run it again).
    """
    from rich.console import Console

    from evals.mechanisms.catalogue import MECHANISMS, mechanism
    from evals.mechanisms.run import Scale

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED)
    _refuse_a_page_alone(results, page)
    if render:
        _rendered(console, results, page)
        return
    if not names:
        for which in MECHANISMS:
            console.print(f"[bold]{which.name}[/bold]  {which.title}")
        console.print("[dim]whyrec mechanism NAME ... or whyrec mechanism all[/dim]")
        return
    chosen = MECHANISMS if "all" in names else tuple(mechanism(name) for name in dict.fromkeys(names))
    if first and seeds is None:
        raise UsageError("--first-seed goes with --seeds: say how many worlds, such as --seeds 5.")
    worlds = tuple(range(first, first + seeds)) if seeds else ()
    scale = Scale(worlds, setting, tuple(dict.fromkeys(llm)), users, embedder)
    _ask(console, chosen, scale, yes=yes)
    good = [_measured(console, which, scale, results) for which in chosen]
    if results is not None:
        _rendered(console, results, page)
    if not all(good):
        raise typer.Exit(1)


def _refuse_a_page_alone(shared: Path | None, page: Path | None) -> None:
    if page is not None and shared is None:
        raise UsageError("--page goes with --results: a mechanism in $WHYREC_HOME/results has its page beside it.")


def _rendered(console: Console, shared: Path | None, page: Path | None) -> None:
    """Write the page over a shared folder, or that of every mechanism in the home."""
    from evals.mechanisms.page import render, render_own
    from evals.mechanisms.run import own_folders
    from whyrec.settings import read_settings

    if shared is not None:
        pages = [render(shared, page or shared.with_name(f"{shared.name}.md"))]
    else:
        pages = [render_own(folder) for folder in own_folders(read_settings().home)]
    for written in pages:
        console.print(f"wrote {written}", markup=False)
    if not pages:
        console.print("No mechanism has been measured in this home yet.")


def _ask(console: Console, chosen: tuple[Mechanism, ...], scale: Scale, *, yes: bool) -> None:
    """Say what it may take, and ask where that is long."""
    worlds = {which: len(scale.seeds or which.seeds) * len(scale.llms or which.models) for which in chosen}
    seconds = sum(which.seconds * n * (scale.users or which.users) / which.users for which, n in worlds.items())
    own = sorted({scale.users or which.users for which in chosen})
    users = f"{own[0]:,}" if len(own) == 1 else f"{own[0]:,} to {own[-1]:,}"
    console.print(
        f"{len(chosen)} mechanisms, {sum(worlds.values())} worlds and models, {users} users or rows of each: at most "
        f"about {max(1, round(seconds / 60)):,} CPU minutes, a rough figure from what each took at its own size; no "
        "model that costs; what was measured before is read"
    )
    for which in chosen:
        if less := scale.less_than(which):
            console.print(f"{which.name}: only a quick look ({less}), so it will read: no result", markup=False)
    if seconds > _ASK_ABOVE_S and not yes:
        agreed("Go on?")


def _measured(console: Console, which: Mechanism, scale: Scale, shared: Path | None) -> bool:
    """Measure one mechanism, write its file and say what came out; whether no placebo does better."""
    import time

    from evals.mechanisms.page import placebo_wins, render_own, told
    from evals.mechanisms.run import measure, own_folder, write
    from whyrec.settings import read_settings

    settings, began = read_settings(), time.process_time()
    with console.status(which.title) as status:
        try:
            found = measure(which, settings, scale, say=lambda line: status.update(line))
        except KeyboardInterrupt:
            console.print("Stopped. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None
    folder = shared or own_folder(settings.home, found.name)
    path = write(folder, found, which=which)
    if shared is None:
        path = render_own(folder)
    for block in found.blocks:
        for pair in block.pairs:
            said = told(found, block, pair).replace("**", "")
            console.print(f"[bold]{found.name}[/bold] {block.llm}: {said}", highlight=False)
    console.print(f"[dim]{time.process_time() - began:.0f} CPU seconds[/dim]")
    console.print(f"wrote {path}", style="dim", markup=False, highlight=False, soft_wrap=True)
    return not placebo_wins(found)
