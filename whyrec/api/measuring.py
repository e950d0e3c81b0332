"""Tables of experiments and comparisons of runs: the functions behind `whyrec eval` and `whyrec compare`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
from typing_extensions import Unpack

from evals.evaluate import Notes, Place, only_run_here
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.models import model_notes
from evals.output.table import as_csv, footing, grid, markdown, terminal, verdict_lines
from evals.registry import TITLES, EncodeAndMap, Options, chosen
from evals.results import Results, own_folder
from evals.session import Choice, Session
from graphs.engine.progress import Snapshot
from graphs.run import How
from whyrec.api.bars import lines
from whyrec.api.data import Data, as_data, load_data
from whyrec.api.loop import aside
from whyrec.api.runs import Run, as_pandas
from whyrec.api.shown import Sentences, cells, text
from whyrec.data import address
from whyrec.data.some import how_many
from whyrec.embed import check_embedder
from whyrec.errors import UnknownNameError, UsageError
from whyrec.precision import Precision
from whyrec.settings import Settings, read_settings
from whyrec.workbench.compare import Comparison, Row
from whyrec.workbench.compare_recorded import compare_runs

FIRST_SEED = 2021  # CoT-Rec's seeds are 2021, 2022, ...
_WIDTH = 240
_LEVEL = 0.05


@dataclass(frozen=True)
class Wanted:
    """Which table, and how it is computed; what `evaluate` and `whyrec eval` say."""

    llms: tuple[str, ...] = ()
    seeds: int = 1
    cells: str = "*"
    backbone: str = ""
    users: int | None = None
    drawn: bool = True
    folds: tuple[tuple[int, int], ...] = ((10, 2),)
    embedders: tuple[str, ...] = ("lsa",)
    mapping: str = "pca"
    norm: float = 1.0
    epochs: int | None = None
    keep_seen: bool = False
    device: str = "cpu"
    options: Mapping[str, str] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    spaces: tuple[str, ...] = ()
    results: Path | None = None
    one_revision: bool = False
    command: str = ""


@dataclass(frozen=True)
class TableOfResults:
    """An experiment's table. `show()` prints it; a notebook shows it by itself.

    Attributes:
        results: everything in it: rows, intervals, tests, verdicts, how it came about.
    """

    results: Results

    def show(self, width: int | None = None) -> None:
        """Print the table with its intervals, notes and verdicts."""
        from rich.console import Console

        console = Console(width=width)
        if width is None and not console.is_terminal:
            console = Console(width=_WIDTH)
        console.print(terminal(self.results, console.width))

    def to_polars(self) -> pl.DataFrame:
        """A row per cell and metric, with interval, n and the published values."""
        return pl.read_csv(io.StringIO(as_csv(self.results)), infer_schema_length=None)

    def to_pandas(self) -> Any:
        """As `to_polars`, a pandas.DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_pandas(self.to_polars())

    def markdown(self) -> str:
        """As it stands on a page."""
        return markdown(self.results)

    @property
    def claims(self) -> list[str]:
        """What the data say of each claim, a line each."""
        return verdict_lines(self.results)

    def __repr__(self) -> str:
        return f"<{self.results.title} on {self.results.data.name}: {len(self.results.rows)} rows; .show() prints it>"

    def _repr_html_(self) -> str:
        made = grid(self.results)
        notes = "".join(f"<p>{text(line)}</p>" for line in (*verdict_lines(self.results), *footing(self.results)))
        title = f"{self.results.title} · {self.results.data.name}"
        return f"<b>{text(title)}</b>{cells(made.headings, made.rows)}{notes}"


@dataclass(frozen=True)
class Compared:
    """Runs held against the first of them, example by example. `show()` prints it; a notebook shows it by itself."""

    found: Comparison

    def _table(self) -> tuple[list[str], list[list[str]]]:
        arms = self.found.arms
        names = ["", *(one.arm.name for one in arms)]
        names += [f"{one.arm.name} - {arms[0].arm.name}{what}" for one in arms[1:] for what in ("", ": p", ": n")]
        rows = []
        for row in self.found.rows:
            tests = [cell for number in range(1, len(arms)) for cell in row.tested(number)]
            rows.append(
                [f"{row.name}{' ↓' if row.better == 'lower' else ''}", *map(row.mean, range(len(arms))), *tests]
            )
        return names, rows

    def show(self) -> None:
        """Print means, differences with 95 % intervals, and p-values of a permutation test over examples."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        names, rows = self._table()
        table = Table(box=None, pad_edge=False)
        for name in names:
            table.add_column(Text(name))
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)

    def to_polars(self) -> pl.DataFrame:
        """A row per measure and run but the first: both means, the difference, its interval, p and n."""
        arms, rows = self.found.arms, []
        for row in self.found.rows:
            for number in range(1, len(arms)):
                old, new, test = row.means[0], row.means[number], row.tests[number]
                rows.append({
                    "measure": row.name, "better": row.better, "run": arms[number].run, "first": arms[0].run,
                    "mean": new and new.mean, "first mean": old and old.mean,
                    "difference": test and test.difference, "low": test and test.low, "high": test and test.high,
                    "p": row.p[number], "n": test and test.n,
                })  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)

    def __repr__(self) -> str:
        return f"<{' against '.join(one.run for one in self.found.arms)}; .show() prints it>"

    @property
    def says(self) -> Sentences:
        """What the differences in what the results are worth say and do not say, a sentence each."""
        arms = self.found.arms
        return Sentences(
            _said(f"{row.name}, {arms[number].arm.name} minus {arms[0].arm.name}", row, number)
            for row in self.found.rows
            if row.outcome
            for number in range(1, len(arms))
        )

    def _repr_html_(self) -> str:
        made = f"{cells(*self._table())}<p>{_HOW_TO_READ}</p>{self.says._repr_html_()}"
        arms = self.found.arms
        rows = [(one.key, arms[one.arm].arm.name, f"{one.old:.4g}", f"{one.new:.4g}") for one in self.found.changed]
        if not rows:
            return made
        names = ("example", "run", arms[0].arm.name, "that run")
        return f"{made}<details><summary>Examples that changed most</summary>{cells(names, rows)}</details>"


_HOW_TO_READ = (
    "Differences with 95 % intervals over examples, p of a permutation test; ↓: less is better; =: no example differs."
)


def _said(what: str, row: Row, number: int) -> str:
    """A difference as a sentence that claims no more than its interval and its p."""
    test, p, tests = row.tests[number], row.p[number], sum(one is not None for one in row.tests)
    if test is None or p is None:
        return f"{what}: no example has a value in both."
    if not (test.wins or test.losses):
        return f"{what}: the same in all {test.n:,} examples."
    told = f"{what}: {test.difference:+.3f}, 95 % interval [{test.low:+.3f}, {test.high:+.3f}], {test.n:,} examples"
    chance = f"p {'< .001' if p < 0.001 else f'{p:.3f}'}{f', adjusted for {tests} comparisons' if tests > 1 else ''}"
    if test.low <= 0 <= test.high:
        return f"{told}, {chance}. The interval includes 0: no difference is shown, and none within it is ruled out."
    if p >= _LEVEL:
        return f"{told}, {chance}. The interval leaves 0 out, but p is too large: no difference is shown."
    return f"{told}, {chance}. A difference is shown: the interval lies {'above' if test.low > 0 else 'below'} 0."


class TableOptions(TypedDict, total=False):
    """How a table is computed; all may be left out.

    `llm`, models that write and choose: one or several, the weakest first (the settings' model where not given);
    `seeds` of training, so many (1); `cells`, only those whose name matches (* is anything, ';' joins patterns);
    `backbone`, SASRec or BERT4Rec; `users`, so many are measured, `drawn` at random (always the same; default) or the
    first ones; `embedder`, one, or several for cot_rec.table_1; `options` of the table, as in {"titles": "anonymous"};
    `epochs` at most, for a quick look; `device` and `precision` of what is trained; `results`, a folder that many
    tables share, else the table's own in `$WHYREC_HOME/results`; `progress`, whether to say on standard error what is
    being done; `settings`, folders and defaults.
    """

    llm: str | Sequence[str]
    seeds: int
    cells: str
    backbone: str
    users: int
    drawn: bool
    embedder: str | Sequence[str]
    options: Mapping[str, Any]
    epochs: int
    device: str
    precision: Precision
    results: Path | str
    progress: bool
    settings: Settings


def evaluate(table: str, data: Data | Any, **how: Unpack[TableOptions]) -> TableOfResults:
    """Compute a published table on this data: cells that are there already are not run again.

    Args:
        table: its name (`whyrec eval` lists them).
        data: a `Data`, or whatever `load_data` opens.
        **how: see `TableOptions`.

    Raises:
        UnknownNameError, UsageError: no such table, data, model or cell; or a graph could not be run to its end.
    """
    for name in how:
        if name not in TableOptions.__annotations__:
            raise UnknownNameError("argument of whyrec.evaluate", name, TableOptions.__annotations__)
    settings = how.get("settings") or read_settings(precision=how.get("precision"))
    same = ("seeds", "cells", "backbone", "users", "drawn", "epochs", "device")
    wanted = Wanted(
        llms=_several(how.get("llm", ())),
        embedders=_several(how.get("embedder", "lsa")),
        options={name: str(value) for name, value in how.get("options", {}).items()},
        results=Path(kept) if (kept := how.get("results")) else None,
        command=f"whyrec.evaluate({table!r}, …)",
        **{name: how[name] for name in same if name in how},  # type: ignore[literal-required]
    )
    told = lines(how.get("progress", True))
    doing = How(settings=settings, progress=_Told(told), say=told)
    session = session_of(table, as_data(data, settings), wanted, doing)
    work = partial(_worked, session, told)
    return TableOfResults(only_run_here(aside(work, interrupted=doing.stop.ask), session.place))


def _worked(session: Session, told: Callable[[str], None]) -> Results:
    return session.run(session.plan(), done=_nothing, say=told)


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def compare(*runs: Run | str, names: Sequence[str] = (), most: int = 10, settings: Settings | None = None) -> Compared:
    """Hold recorded runs of one graph against the first of them, example by example.

    Args:
        *runs: two or more, or their names.
        names: what to call each in the table; their models where nothing is given and these differ, else their ids.
        most: examples that changed most, per run.
        settings: folders.

    Raises:
        UnknownNameError, UsageError: there is no such run, they are of different graphs or data, or have not one name
            of their own each.
    """
    if names and (len(names) != len(runs) or len(set(names)) < len(names)):
        raise UsageError(f"{len(runs)} runs are called by as many different names, not by {', '.join(names)}.")
    settings = settings or next((one.settings for one in runs if isinstance(one, Run)), None) or read_settings()
    found = compare_runs([one.id if isinstance(one, Run) else one for one in runs], settings, most=most)
    if names:
        named = (replace(one, arm=replace(one.arm, name=name)) for one, name in zip(found.arms, names, strict=True))
        found = replace(found, arms=tuple(named))
    return Compared(found)


def session_of(name: str, data: Data, wanted: Wanted, how: How) -> Session:
    """An experiment with its data and chosen cells, for the command line, too.

    Raises:
        UnknownNameError, UsageError: as `evaluate`.
    """
    settings = how.settings
    embedders = list(dict.fromkeys(wanted.embedders))
    for one in embedders:
        check_embedder(one)
    options = Options(
        llms=wanted.llms or (settings.llm,),
        folds=wanted.folds,
        how=EncodeAndMap(embedders[0], wanted.mapping, wanted.norm),  # type: ignore[arg-type]
        epochs=wanted.epochs,
        mask_seen=not wanted.keep_seen,
        cache=settings.home / "embedders",
        users=how_many(wanted.users, drawn=wanted.drawn),
        spaces=wanted.spaces,
        embedders=tuple(embedders[1:]),
    )
    options = chosen(options, wanted.options)
    if TITLES in wanted.options:
        base, reading = address.split(data.name)
        data = load_data(address.written(base, reading | {TITLES: wanted.options[TITLES]}), settings=settings)
    how = How(settings=settings, world=data.opened.world, progress=how.progress, say=how.say, stop=how.stop)
    notes = Notes(models=model_notes(options.llms, wanted.about, home=settings.home), command=wanted.command)
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + wanted.seeds))
    told = (wanted.cells, wanted.backbone, wanted.device)
    corpus = data.opened.data
    return Session(
        name,
        corpus,
        artefacts=GraphArtefacts(corpus, how=how),
        place=Place(settings.home, wanted.results or own_folder(settings.home, name, corpus)),
        choice=Choice(seeds, *told, settings.precision, wanted.one_revision, notes),
        options=options,
    )


def _nothing(*_said: Any) -> None:
    pass


class _Told:
    """Says how far a graph is, at every tenth."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._tenth = say, ("", -1)

    def __call__(self, now: Snapshot) -> None:
        settled = now.before + now.done + now.failed
        tenth = (now.run, 10 * settled // max(now.examples, 1))
        if tenth != self._tenth:
            self._tenth = tenth
            self._say(f"{now.run}: {settled:,} of {now.examples:,} examples")
