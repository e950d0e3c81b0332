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
_FULL = 3  # levels a dial's cost was measured with


def command(
    names: list[str] = typer.Argument(None, help="Dials, or `all`; without any, the known ones are listed."),
    seeds: int = typer.Option(5, min=2, max=100, help="Generated worlds, of seeds 0, 1, ..."),
    levels: str = typer.Option("0,.5,1", help="Qualities of the simulated model, rising."),
    users: int | None = typer.Option(
        None, "--users", min=1, help="Of each world, or questions; each dial has its own."
    ),
    setting: str = typer.Option("default", help="Of the worlds: easy, default or hard."),
    results: Path | None = typer.Option(
        None,
        "--results",
        help="A folder that many dials share, as the project's docs/results/dial; "
        "else each dial has a folder of its own in $WHYREC_HOME/results.",
    ),
    page: Path | None = typer.Option(
        None, "--page", help="With --results: the page (else FOLDER.md beside it); figures go to img/ beside the page."
    ),
    render: bool = typer.Option(False, "--render", help="Only write pages and figures from the files that are there."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask before more than ten minutes of work."),
) -> None:
    """Measure dials on generated worlds. What is measured already is not measured again.

    Exit codes: 0; 1 a dial does not turn (no slope in the right direction at p < .01) or beats no model at its lowest
    level; 2 usage or environment; 130 interrupted (run again to go on).
    """
    from rich.console import Console

    from evals.dials.catalogue import DIALS, dial
    from evals.dials.run import Scale

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED)
    _refuse_a_page_alone(results, page)
    if render:
        _rendered(console, results, page)
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
    if results is not None:
        _rendered(console, results, page)
    if not all(good):
        raise typer.Exit(1)


def _refuse_a_page_alone(shared: Path | None, page: Path | None) -> None:
    if page is not None and shared is None:
        raise UsageError("--page goes with --results: a dial in $WHYREC_HOME/results has its page beside it.")


def _rendered(console: Console, shared: Path | None, page: Path | None) -> None:
    """Write the page over a shared folder, or that of every dial in the home."""
    from evals.dials.page import render, render_own
    from evals.dials.run import own_folders
    from whyrec.settings import read_settings

    if shared is not None:
        page = page or shared.with_name(f"{shared.name}.md")
        pages = [render(shared, page, page.parent / "img")]
    else:
        pages = [render_own(folder) for folder in own_folders(read_settings().home)]
    for written in pages:
        console.print(f"wrote {written}", markup=False)
    if not pages:
        console.print("No dial has been measured in this home yet.")


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
    own = sorted({scale.users or which.users for which in chosen})
    users = f"{own[0]:,}" if len(own) == 1 else f"{own[0]:,} to {own[-1]:,}"
    console.print(
        f"{len(chosen)} dials, {len(scale.seeds)} worlds of {users} users or questions, {len(scale.levels)} levels: at "
        f"most about {max(1, round(seconds / 60)):,} CPU minutes, a rough figure from what each took at its own size; "
        "no model that costs; what was measured before is read"
    )
    for which in chosen:
        if less := scale.less_than(which):
            console.print(
                f"{which.name}: only a quick look ({less}), so its verdict will read: no result", markup=False
            )
    if seconds > _ASK_ABOVE_S and not yes:
        agreed("Go on?")


def _measured(console: Console, which: Dial, scale: Scale, shared: Path | None) -> bool:
    """Measure one dial, write its file and say what it shows; whether it is as it should be."""
    import time

    from evals.dials.page import render_own, verdict
    from evals.dials.run import measure, own_folder, write
    from whyrec.settings import read_settings

    settings, began = read_settings(), time.process_time()
    with console.status(which.title) as status:
        try:
            found = measure(which, settings, scale, say=lambda line: status.update(line))
        except KeyboardInterrupt:
            console.print("Stopped. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None
    folder = shared or own_folder(settings.home, found.slug)
    path = write(folder, found)
    if shared is None:
        path = render_own(folder)
    console.print(f"[bold]{found.slug}[/bold]: {verdict(found).replace('**', '')}", highlight=False)
    console.print(f"[dim]{time.process_time() - began:.0f} CPU seconds[/dim]")
    console.print(f"wrote {path}", style="dim", markup=False, highlight=False, soft_wrap=True)
    return bool(found.quick) or (found.rises and found.without[0].says != "above")
