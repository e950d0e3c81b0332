"""`whyrec eval NAME`: run an experiment's cells that are not there yet, and show the table beside the paper's."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.measures import eval_options
from whyrec.cli.measures.beforehand import ask, duration, say_beforehand
from whyrec.cli.shared.data import open_checked
from whyrec.cli.shared.options import DRAWN, PRECISION
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from evals.evaluate import Job
    from evals.results import CellRun, Results
    from evals.session import Session
    from graphs.engine.progress import Snapshot
    from whyrec.settings import Settings

FIRST_SEED = 2021  # spec 2.c: seeds 2021, 2022, ...
BACKBONES = ("", "SASRec", "BERT4Rec")
_PIPED = 240  # columns where nobody looks at a terminal
MAPS = ("pca", "truncate", "random")
WRITERS = ("markdown", "csv", "json", "plot")


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
    session, settings = _session(console, given)
    calls = say_beforehand(console, session)
    if given["dry"] or given["estimate"]:
        if given["dry"]:
            _dry(console, session)
        return
    ask(calls, settings, yes=given["yes"])
    try:
        table = _run(console, session)
    except KeyboardInterrupt:
        console.print("Stopped. What is finished is kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    from evals.evaluate import only_run_here
    from evals.output.table import terminal
    from evals.results import own_folder

    shown = table if given["all_verdicts"] else only_run_here(table, session.place)
    console.print(terminal(shown, console.width))
    out = given["out"] or own_folder(settings.home, table.experiment, session.corpus)
    pages = _pages(session, settings, shared=given["results"])
    for path in (*pages, *_written(table, out, [writer for writer in WRITERS if given[writer]])):
        console.print(f"wrote {path}", style="dim", markup=False, highlight=False, soft_wrap=True)
    _believable(console, session, table)


def _pages(session: Session, settings: Settings, *, shared: Path | None) -> list[Path]:
    """Write the page over the tables' shared folder, or the table's own with its figures beside it."""
    from evals import results as tables
    from evals.output.report import render_results, render_table

    file = session.place.table(tables.slug(session.experiment.name, session.corpus.name))
    pictures = {run.about.get("picture") for row in tables.read(file).rows.values() for run in row.runs}
    drawn = [settings.home / "figures" / str(name) for name in sorted(filter(None, pictures))]
    if shared is not None:
        return [*render_results(shared), *drawn]
    for picture in drawn:
        if picture.exists():
            shutil.copy2(picture, file.parent)
    return [file, *render_table(file), *(file.parent / picture.name for picture in drawn)]


def _without_running(console: Console, shared: Path | None, *, render: bool) -> None:
    """Write the pages, or list the experiments."""
    from evals import registry
    from evals.output.report import render_results, render_table
    from evals.results import own_tables
    from whyrec.settings import read_settings

    if render and shared is not None:
        for page in render_results(shared):
            console.print(f"wrote {page}", markup=False)
        return
    if render:
        home = read_settings().home
        pages = [render_table(file)[0] for file in own_tables(home)]
        for page in pages:
            console.print(f"wrote {page}", markup=False)
        if not pages:
            console.print(f"No table has been computed in {home} yet.", markup=False)
        return
    for name, about in registry.about().items():
        console.print(f"[bold]{name}[/bold]  {about}")
    console.print("[dim]whyrec eval NAME --data DATA[/dim]")


def _session(console: Console, given: dict[str, Any]) -> tuple[Session, Settings]:
    """Load the data, build the experiment and choose its cells."""
    from evals.models import need_evidence
    from evals.results import EVIDENCE
    from graphs.run import How
    from whyrec.api.data import Data
    from whyrec.api.measuring import Wanted, session_of
    from whyrec.cli.shared.typed import command_line, pairs
    from whyrec.settings import read_settings

    _check(given)
    settings = read_settings(precision=given["precision"])
    wanted = Wanted(
        llms=tuple(given["llm"]),
        seeds=given["seeds"],
        cells=given["cells"],
        backbone=given["backbone"],
        users=given["users"],
        drawn=given["drawn"],
        folds=tuple(_fold(text) for text in given["fold"]),
        embedders=tuple(given["embedder"]),
        mapping=given["mapping"],
        norm=given["norm"],
        epochs=given["epochs"] or None,
        keep_seen=given["keep_seen"],
        device=given["device"],
        options=pairs(given["option"]),
        about=tuple(given["about"]),
        spaces=tuple(given["space"]),
        results=given["results"],
        one_revision=given["one_revision"],
        command=command_line(),
    )
    data = Data(open_checked(given["data"], settings=settings))
    session = session_of(
        given["name"], data, wanted, How(settings=settings, progress=_Told(console), say=console.print)
    )
    if given["results"] is not None and given["results"].name == EVIDENCE:
        asked = {name for cell in session.cells for name in cell.models}
        need_evidence({name: session.choice.notes.models[name] for name in asked})
    return session, settings


def _check(given: dict[str, Any]) -> None:
    """Refuse what cannot be meant, before anything is opened.

    Raises:
        UnknownNameError: there is no such experiment or embedder.
        UsageError: an option has a value that it cannot have, or is for another table.
    """
    from evals.registry import builder
    from whyrec.embed import check_embedder

    builder(given["name"])
    for option, key, known in (("--backbone", "backbone", BACKBONES), ("--map", "mapping", MAPS)):
        if given[key] not in known:
            raise UsageError(f"{option} {given[key]!r} is none of {', '.join(filter(None, known))}.")
    if given["results"] is not None and given["results"].is_file():
        raise UsageError(f"--results {given['results']} is a file, but a folder is needed there. Name another.")
    if not given["data"]:
        raise UsageError("Say on which data: whyrec eval NAME --data DATA (`whyrec data ls` lists them).")
    for embedder in given["embedder"]:
        check_embedder(embedder)
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


def _dry(console: Console, session: Session) -> None:
    """Say which cells there are, and apart from them, as --cells knows none of these, the texts and runs they read."""
    seeds, name = len(session.choice.seeds), session.experiment.name
    console.print(f"{len(session.cells)} cells with {seeds} seeds of {name}, by the names that --cells matches:")
    for cell in session.cells:
        console.print(f"  {cell.name}", markup=False)
    if session.needs:
        console.print(
            f"{len(session.needs)} texts and runs that these cells read; they are made as needed, not chosen:"
        )
    for need in session.needs:
        console.print(f"  {need}", markup=False)


def _run(console: Console, session: Session) -> Results:
    """Write the texts and run the workflows, then the cells that are missing."""
    with console.status("asking the models and looking up what is there"):
        jobs = session.plan()
    _announce(console, session, jobs)
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
        todo = [job for job in jobs if job.stored is None]
        task = progress.add_task("", total=len(todo))

        def done(job: Job, run: CellRun) -> None:
            if job.stored is None:
                progress.advance(task)
                progress.console.print(_line(session, job, run))

        return session.run(jobs, done=done, say=lambda line: progress.update(task, description=line))


def _announce(console: Console, session: Session, jobs: Sequence[Job]) -> None:
    todo = [job for job in jobs if job.stored is None]
    console.print(
        f"{len(jobs)} runs of cells, {len(jobs) - len(todo)} of them there already"
        + (f"; {sum(job.cell.seeded for job in todo)} fits to do" if todo else "; nothing to do")
    )


def _line(session: Session, job: Job, run: CellRun) -> str:
    from rich.markup import escape

    from evals.output.table import short

    numbers = ", ".join(f"{short(m)} {run.test[m].mean:.4f}" for m in session.experiment.metrics)
    seed = f" seed {job.seed}" if job.cell.seeded else ""
    return f"{escape(job.cell.name)}{seed}: {numbers} [dim]({duration(run.wall_seconds)})[/dim]"


def _written(table: Results, out: Path, writers: Sequence[str]) -> list[Path]:
    """Write the wanted files."""
    from evals import results as tables
    from evals.output.plot import plot
    from evals.output.table import as_csv, markdown

    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for writer in writers:
        path = out / f"{table.slug}.{ {'markdown': 'md', 'plot': 'png'}.get(writer, writer) }"
        if writer == "json":
            tables.write(path, table)
        elif writer == "plot":
            plot(table, path)
        else:
            path.write_text(markdown(table) if writer == "markdown" else as_csv(table), encoding="utf-8")
        paths.append(path)
    return paths


def _believable(console: Console, session: Session, table: Results) -> None:
    """Print what lies out of its range; too low fails the run."""
    low, high = session.out_of_range(table)
    for line in high:
        console.print(f"[yellow]note[/yellow] {line}")
    for line in low:
        console.print(f"[red]failed[/red] {line}")
    if low:
        raise typer.Exit(1)
