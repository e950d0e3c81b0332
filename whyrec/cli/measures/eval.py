"""`whyrec eval NAME`: run an experiment's cells that are not there yet, and show the table beside the paper's."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.measures import eval_options
from whyrec.cli.measures.beforehand import ask, duration, say_beforehand
from whyrec.cli.shared.options import DRAWN, PRECISION
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from evals.evaluate import Job
    from graphs.engine.progress import Snapshot
    from whyrec.api.measuring import Computed, PlannedTable
    from whyrec.api.tables import Kind, TableOfResults

FIRST_SEED = 2021  # spec 2.c: seeds 2021, 2022, ...
BACKBONES = ("", "SASRec", "BERT4Rec")
_PIPED = 240  # columns where nobody looks at a terminal
MAPS = ("pca", "truncate", "random")
WRITERS: tuple[Kind, ...] = ("markdown", "csv", "json", "plot")


def command(
    name: str = typer.Argument("", help="The experiment; without one, the known ones are listed."),
    data: str = typer.Option("", "--data", help="The data set."),
    llm: list[str] = typer.Option([], help="Writes descriptions and preferences. Several: the weakest first."),
    seeds: int = typer.Option(1, min=1, max=100, help=f"How many seeds: {FIRST_SEED}, {FIRST_SEED + 1}, ..."),
    backbone: str = typer.Option("", help="SASRec or BERT4Rec; both where not given."),
    cells: str = typer.Option("*", help="Only cells whose name matches; * is anything, ';' joins patterns."),
    fold: list[str] = eval_options.FOLD,
    embedder: list[str] = eval_options.EMBEDDER,
    mapping: str = typer.Option("pca", "--map", help="To the recommender's width: pca, truncate or random."),
    norm: float = typer.Option(1.0, min=0.001, help="Length of table rows that start from text."),
    users: int | None = eval_options.USERS,
    drawn: bool = DRAWN,
    option: list[str] = eval_options.OPTION,
    about: list[str] = eval_options.ABOUT,
    space: list[str] = typer.Option([], help="Folder of a saved thought space that chooses rationales; repeatable."),
    epochs: int = typer.Option(0, min=0, help="At most this many epochs, for a quick look (0: as the preset says)."),
    keep_seen: bool = typer.Option(False, "--keep-seen", help="Leave seen items in the ranking."),
    device: str = typer.Option("cpu", help="cpu or cuda."),
    precision: str | None = PRECISION,
    results: Path | None = eval_options.RESULTS,
    out: Path | None = eval_options.OUT,
    markdown: bool = typer.Option(False, "--markdown", help="Write OUT/<table>.md."),
    csv: bool = typer.Option(False, "--csv", help="Write OUT/<table>.csv."),
    json: bool = typer.Option(False, "--json", help="Write OUT/<table>.json."),
    plot: bool = typer.Option(False, "--plot", help="Draw OUT/<table>.png."),
    all_verdicts: bool = typer.Option(False, "--all-verdicts", help="Judge rows that were not run in this home, too."),
    render: bool = typer.Option(False, "--render", help="Only write the pages from the tables that are there."),
    dry: bool = typer.Option(False, "--dry-run", help="Only say which cells and texts there are."),
    estimate: bool = typer.Option(False, "--estimate", help="Only say calls, tokens, money and time."),
    one_revision: bool = eval_options.ONE_REVISION,
    yes: bool = typer.Option(False, "--yes", help="Do not ask before many model calls."),
) -> None:
    """Run an experiment and show its table. Cells that are there already are not run again.

    Exit codes: 0; 1 a number below its sanity range; 2 usage or environment; 130 interrupted (run again to go on).
    """
    _main(dict(locals()))


def _main(given: dict[str, Any]) -> None:
    """Do what the options ask, step by step."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED)
    if given["render"] or not given["name"]:
        _without_running(console, given["results"], render=given["render"])
        return
    table = _planned(console, given)
    calls = say_beforehand(console, table)
    if given["dry"] or given["estimate"]:
        if given["dry"]:
            _dry(console, table)
        return
    ask(calls, table.settings, yes=given["yes"])
    try:
        found = _run(console, table)
    except KeyboardInterrupt:
        console.print("Stopped. What is finished is kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    found.show(all_verdicts=given["all_verdicts"], console=console)
    pages = table.write_pages()
    for path in (*pages, *found.write(given["out"] or table.own_folder, [one for one in WRITERS if given[one]])):
        console.print(f"wrote {path}", style="dim", markup=False, highlight=False, soft_wrap=True)
    _believable(console, table, found)


def _without_running(console: Console, shared: Path | None, *, render: bool) -> None:
    """Write the pages, or list the experiments."""
    from whyrec.api.tables import list_tables, render_tables
    from whyrec.settings import read_settings

    if render:
        settings = read_settings()
        pages = render_tables(shared, settings=settings)
        for page in pages:
            console.print(f"wrote {page}", markup=False)
        if not pages and shared is None:
            console.print(f"No table has been computed in {settings.home} yet.", markup=False)
        return
    for name, about in list_tables().items():
        console.print(f"[bold]{name}[/bold]  {about}")
    console.print("[dim]whyrec eval NAME --data DATA[/dim]")


def _planned(console: Console, given: dict[str, Any]) -> PlannedTable:
    """Load the data, build the experiment and choose its cells."""
    from whyrec.api.measuring import plan_table
    from whyrec.cli.shared.typed import command_line, pairs
    from whyrec.cli.shared.warned import warnings_as_lines
    from whyrec.settings import read_settings

    _check(given)
    with warnings_as_lines():
        return plan_table(
            given["name"],
            given["data"],
            folds=[_fold(text) for text in given["fold"]],
            epochs=given["epochs"] or None,
            options=pairs(given["option"]),
            spaces=given["space"],
            command=command_line(),
            progress=_Told(console),
            say=console.print,
            settings=read_settings(precision=given["precision"]),
            **{name: given[name] for name in _AS_TYPED},
        )


_AS_TYPED = ("llm", "seeds", "cells", "backbone", "users", "drawn", "embedder", "mapping", "norm", "keep_seen",
             "device", "results", "about", "one_revision")  # fmt: skip


def _check(given: dict[str, Any]) -> None:
    """Refuse what cannot be meant, before anything is opened.

    Raises:
        UnknownNameError: there is no such experiment.
        UsageError: an option has a value that it cannot have, or is for another table.
    """
    from whyrec.api.tables import about_table

    about_table(given["name"])
    for option, key, known in (("--backbone", "backbone", BACKBONES), ("--map", "mapping", MAPS)):
        if given[key] not in known:
            raise UsageError(f"{option} {given[key]!r} is none of {', '.join(filter(None, known))}.")
    if given["results"] is not None and given["results"].is_file():
        raise UsageError(f"--results {given['results']} is a file, but a folder is needed there. Name another.")
    if not given["data"]:
        raise UsageError("Say on which data: whyrec eval NAME --data DATA (`whyrec data ls` lists them).")
    if len(set(given["embedder"])) > 1 and given["name"] != "cot_rec.table_1":
        raise UsageError(f"Several --embedder are for cot_rec.table_1; {given['name']} takes one.")
    if not math.isfinite(given["norm"]):
        raise UsageError(f"--norm {given['norm']} is not a length.")
    if given["space"] and not given["name"].startswith("hotpotqa."):
        raise UsageError(f"--space is for hotpotqa.table_7; {given['name']} reads no saved thought space.")


def _fold(text: str) -> tuple[int, int]:
    """ "10/2" as (batch, overlap)."""
    batch, slash, overlap = text.partition("/")
    if not (slash and batch.isdecimal() and overlap.isdecimal() and int(overlap) < int(batch)):
        raise UsageError(f"--fold {text!r} is not BATCH/OVERLAP with a smaller overlap; write for example 10/2.")
    return int(batch), int(overlap)


class _Told:
    """Prints how far a graph is, now and then."""

    def __init__(self, console: Console, *, every_s: float = 10.0) -> None:
        self._console, self._every_s, self._last = console, every_s, time.monotonic()

    def __call__(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            done = snapshot.before + snapshot.done + snapshot.failed
            eta = "" if snapshot.eta_s is None else f", about {duration(snapshot.eta_s)} left"
            self._console.print(f"[dim]{snapshot.run}: {done:,} of {snapshot.examples:,} examples{eta}[/dim]")


def _dry(console: Console, table: PlannedTable) -> None:
    """Say which cells there are, and apart from them, as --cells knows none of these, the texts and runs they read."""
    console.print(
        f"{len(table.cells)} cells with {len(table.seeds)} seeds of {table.name}, by the names that --cells matches:"
    )
    for cell in table.cells:
        console.print(f"  {cell}", markup=False)
    if table.needs:
        console.print(f"{len(table.needs)} texts and runs that these cells read; they are made as needed, not chosen:")
    for need in table.needs:
        console.print(f"  {need}", markup=False)


def _run(console: Console, table: PlannedTable) -> TableOfResults:
    """Write the texts and run the workflows, then the cells that are missing."""
    with console.status("asking the models and looking up what is there"):
        jobs = table.plan()
    _announce(console, jobs)
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(job.stored is None for job in jobs))

        def done(cell: Computed) -> None:
            progress.advance(task)
            progress.console.print(_line(cell))

        return table.compute(jobs, done=done, say=lambda line: progress.update(task, description=line))


def _announce(console: Console, jobs: Sequence[Job]) -> None:
    todo = [job for job in jobs if job.stored is None]
    console.print(
        f"{len(jobs)} runs of cells, {len(jobs) - len(todo)} of them there already"
        + (f"; {sum(job.cell.seeded for job in todo)} fits to do" if todo else "; nothing to do")
    )


def _line(cell: Computed) -> str:
    from rich.markup import escape

    numbers = ", ".join(f"{name} {value:.4f}" for name, value in cell.numbers.items())
    seed = "" if cell.seed is None else f" seed {cell.seed}"
    return f"{escape(cell.cell)}{seed}: {numbers} [dim]({duration(cell.seconds)})[/dim]"


def _believable(console: Console, table: PlannedTable, found: TableOfResults) -> None:
    """Print what lies out of its range; too low fails the run."""
    low, high = table.out_of_range(found)
    for line in high:
        console.print(f"[yellow]note[/yellow] {line}")
    for line in low:
        console.print(f"[red]failed[/red] {line}")
    if low:
        raise typer.Exit(1)
