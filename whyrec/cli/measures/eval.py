"""`whyrec eval NAME`: run an experiment's cells that are not there yet, and show the table beside the paper's."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.cli.shared.data import open_checked
from whyrec.cli.shared.options import DRAWN, PRECISION
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from evals.evaluate import Job
    from evals.inputs.graph_artefacts import GraphArtefacts
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
    fold: list[str] = typer.Option(
        ["10/2"], help="BATCH/OVERLAP of the preference fold; each further one adds a cell."
    ),
    embedder: str = typer.Option("lsa", help="lsa[:WIDTH], hf:FOLDER, openai:MODEL[@URL] or hashed."),
    mapping: str = typer.Option("pca", "--map", help="To the recommender's width: pca, truncate or random."),
    norm: float = typer.Option(1.0, min=0.001, help="Length of table rows that start from text."),
    users: int | None = typer.Option(
        None,
        "--users",
        min=1,
        help="Measure N users of the split; what a thought space learns from is not cut.",
    ),
    drawn: bool = DRAWN,
    space: list[str] = typer.Option([], help="Folder of a saved thought space that chooses rationales; repeatable."),
    epochs: int = typer.Option(0, min=0, help="At most this many epochs, for a quick look (0: as the preset says)."),
    keep_seen: bool = typer.Option(False, "--keep-seen", help="Leave seen items in the ranking."),
    device: str = typer.Option("cpu", help="cpu or cuda."),
    precision: str | None = PRECISION,
    results: Path = typer.Option(Path("docs/results"), help="Folder of the tables; results.md is written beside it."),
    out: Path = typer.Option(Path("build"), help="Folder for what the next four write."),
    markdown: bool = typer.Option(False, "--markdown", help="Write OUT/<table>.md."),
    csv: bool = typer.Option(False, "--csv", help="Write OUT/<table>.csv."),
    json: bool = typer.Option(False, "--json", help="Write OUT/<table>.json."),
    plot: bool = typer.Option(False, "--plot", help="Draw OUT/<table>.png."),
    render: bool = typer.Option(False, "--render", help="Only write results.md from the tables that are there."),
    dry: bool = typer.Option(False, "--dry-run", help="Only say which cells and texts there are."),
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
    results: Path = given["results"]
    if given["render"] or not given["name"]:
        _without_running(console, results, render=given["render"])
        return
    session, settings = _session(console, given)
    if given["dry"]:
        _dry(console, session)
        return
    _ask(console, session, settings, yes=given["yes"])
    try:
        table = _run(console, session)
    except KeyboardInterrupt:
        console.print("Stopped. What is finished is kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    from evals.output.report import render_results
    from evals.output.table import terminal

    console.print(terminal(table, console.width))
    render_results(results, results.parent / "results.md")
    for picture in sorted(
        {str(run.about["picture"]) for row in table.rows.values() for run in row.runs if "picture" in run.about}
    ):
        console.print(f"[dim]drawn: {settings.home / 'figures' / picture}[/dim]")
    for path in _written(table, given["out"], [writer for writer in WRITERS if given[writer]]):
        console.print(f"[dim]wrote {path}[/dim]")
    _believable(console, session, table)


def _without_running(console: Console, results: Path, *, render: bool) -> None:
    """Write the page, or list the experiments."""
    from evals import registry
    from evals.output.report import render_results

    if render:
        console.print(f"wrote {render_results(results, results.parent / 'results.md')}")
        return
    for name, about in registry.about().items():
        console.print(f"[bold]{name}[/bold]  {about}")
    console.print("[dim]whyrec eval NAME --data DATA[/dim]")


def _session(console: Console, given: dict[str, Any]) -> tuple[Session, Settings]:
    """Load the data, build the experiment and choose its cells."""
    from evals.evaluate import Place
    from evals.inputs.graph_artefacts import GraphArtefacts
    from evals.registry import OF_ALL_USERS, EncodeAndMap, Options, builder
    from evals.session import Choice, Session
    from graphs.run import How
    from whyrec.data.some import how_many
    from whyrec.embed import check_embedder
    from whyrec.settings import read_settings

    builder(given["name"])
    for option, key, known in (("--backbone", "backbone", BACKBONES), ("--map", "mapping", MAPS)):
        if given[key] not in known:
            raise UsageError(f"{option} {given[key]!r} is none of {', '.join(filter(None, known))}.")
    if given["results"].is_file():
        raise UsageError(f"--results {given['results']} is a file, but a folder is needed there. Name another.")
    if not given["data"]:
        raise UsageError("Say on which data: whyrec eval NAME --data DATA (`whyrec data ls` lists them).")
    check_embedder(given["embedder"])
    if not math.isfinite(given["norm"]):
        raise UsageError(f"--norm {given['norm']} is not a length.")
    if given["space"] and not given["name"].startswith("hotpotqa."):
        raise UsageError(f"--space is for hotpotqa.table_7; {given['name']} reads no saved thought space.")
    if given["users"] and given["name"] in OF_ALL_USERS:
        raise UsageError(f"{given['name']} trains on all users, so --users would change nothing. Leave it out.")
    settings = read_settings(precision=given["precision"])
    opened = open_checked(given["data"], settings=settings)
    how = How(settings=settings, world=opened.world, progress=_Told(console), say=console.print)
    options = Options(
        llms=tuple(given["llm"]) or (settings.llm,),
        folds=tuple(_fold(text) for text in given["fold"]),
        how=EncodeAndMap(given["embedder"], given["mapping"], given["norm"]),
        epochs=given["epochs"] or None,
        mask_seen=not given["keep_seen"],
        cache=settings.home / "embedders",
        users=how_many(given["users"], drawn=given["drawn"]),
        spaces=tuple(given["space"]),
    )
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + given["seeds"]))
    session = Session(
        given["name"],
        opened.data,
        artefacts=GraphArtefacts(opened.data, how=how),
        place=Place(settings.home, given["results"]),
        choice=Choice(seeds, given["cells"], given["backbone"], given["device"], settings.precision),
        options=options,
    )
    return session, settings


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
            eta = "" if snapshot.eta_s is None else f", about {_duration(snapshot.eta_s)} left"
            self._console.print(f"[dim]{snapshot.run}: {done:,} of {snapshot.examples:,} examples{eta}[/dim]")


def _ask(console: Console, session: Session, settings: Settings, *, yes: bool) -> None:
    """Say what models have to write, and ask where it is more than the settings' limit of paid-for calls."""
    artefacts: GraphArtefacts = session.artefacts  # type: ignore[assignment]
    found = [(need, e) for need, e in artefacts.estimates(session.needs) if e is None or e.examples]
    for need, e in found:
        if e is None:
            console.print(f"{need}: what it costs is not known before the run it builds on is there", markup=False)
            continue
        cost = (
            "free" if e.dollars == 0 else "price unknown" if e.dollars is None else f"about {e.dollars:.2f} US dollars"
        )
        line = f"{need}: at most {e.most:,} calls, about {e.tokens_in:,} tokens in, {e.tokens_out:,} out, {cost}"
        console.print(f"{line}, {_duration(e.seconds)} ({e.basis})")
    calls = sum(e.most for _need, e in found if e is not None and e.dollars != 0)
    if calls > settings.ask_above and not yes:
        agreed(f"Ask the model up to {calls:,} times?")


def _dry(console: Console, session: Session) -> None:
    """Say which cells, texts and runs there are."""
    console.print(f"{len(session.cells)} cells with {len(session.choice.seeds)} seeds of {session.experiment.name}:")
    for cell in session.cells:
        console.print(f"  {cell.name}", markup=False)
    for need in session.needs:
        console.print(f"  reads {need}", markup=False)


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
    seconds = session.expected_seconds(jobs)
    time_ = "nothing like them was measured here yet" if seconds is None else f"about {_duration(seconds)}"
    console.print(
        f"{session.experiment.name} on {session.corpus.name}: {len(session.cells)} cells, {len(jobs)} runs, "
        f"{len(jobs) - len(todo)} of them there already"
        + (f"; {sum(job.cell.seeded for job in todo)} fits to do, {time_}" if todo else "; nothing to do")
    )


def _line(session: Session, job: Job, run: CellRun) -> str:
    from rich.markup import escape

    from evals.output.table import short

    numbers = ", ".join(f"{short(m)} {run.test[m].mean:.4f}" for m in session.experiment.metrics)
    seed = f" seed {job.seed}" if job.cell.seeded else ""
    return f"{escape(job.cell.name)}{seed}: {numbers} [dim]({_duration(run.wall_seconds)})[/dim]"


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


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
