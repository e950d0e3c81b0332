"""Experiments over data: what a table would take, and the table (the functions behind `whyrec eval`)."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from typing_extensions import Unpack

from evals import results as tables
from evals.evaluate import Job, Notes, Place, only_run_here
from evals.forecast import Forecast
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.models import model_notes, need_evidence
from evals.output.report import render_results, render_table
from evals.output.table import short
from evals.registry import TITLES, EncodeAndMap, Options, chosen
from evals.results import EVIDENCE, CellRun, own_folder
from evals.session import Choice, Session
from graphs.engine.estimate import Estimate
from graphs.engine.progress import Snapshot
from graphs.run import How
from whyrec.api.bars import lines
from whyrec.api.data import Data, DataWarning, as_data, load_data
from whyrec.api.loop import aside
from whyrec.api.tables import TableOfResults, about_table
from whyrec.data import address
from whyrec.data.some import how_many
from whyrec.embed import check_embedder
from whyrec.errors import UnknownNameError
from whyrec.precision import Precision
from whyrec.settings import Settings, read_settings

T = TypeVar("T")
FIRST_SEED = 2021  # CoT-Rec's seeds are 2021, 2022, ...


class TableOptions(TypedDict, total=False):
    """How a table is computed; all may be left out.

    `llm`, models that write and choose: one or several, the weakest first (the settings' model where not given);
    `seeds` of training, so many (1); `cells`, only those whose name matches (* is anything, ';' joins patterns);
    `backbone`, SASRec or BERT4Rec; `users`, so many are measured, `drawn` at random (always the same; default) or the
    first ones; `options` of the table, as in {"titles": "anonymous"}; `keep_seen` leaves seen items in the ranking.

    How texts become rows: `embedder`, one, or several for cot_rec.table_1; `mapping` to the recommender's width (pca,
    truncate, random); `norm`, length of those rows (1); `folds`, (batch, overlap) of the preference fold, each further
    one adds a cell; `spaces`, folders of saved thought spaces that choose rationales.

    `epochs` at most, for a quick look; `device` and `precision` of what is trained; `results`, a folder that many
    tables share, else the table's own in `$WHYREC_HOME/results`; `about`, "NAME=WORDS" on how large a model is;
    `one_revision` runs again what another revision of the code made; `command`, what the table says it was made by.

    `progress`: whether to say on standard error what is being done, or a function that is told each `Snapshot` of a
    graph; `say`, told each sentence in place of standard error; `settings`, folders and defaults.
    """

    llm: str | Sequence[str]
    seeds: int
    cells: str
    backbone: str
    users: int | None
    drawn: bool
    embedder: str | Sequence[str]
    mapping: str
    norm: float
    folds: Sequence[tuple[int, int]]
    spaces: Sequence[str]
    options: Mapping[str, Any]
    keep_seen: bool
    epochs: int | None
    device: str
    precision: Precision
    results: Path | str | None
    about: Sequence[str]
    one_revision: bool
    command: str
    progress: bool | Callable[[Snapshot], None]
    say: Callable[[str], None]
    settings: Settings


@dataclass(frozen=True)
class Computed:
    """A cell that was computed just now.

    Attributes:
        cell: its name.
        seed: of its training; None where nothing is drawn.
        numbers: short name of each metric -> its mean over test users.
        seconds: how long it took.
    """

    cell: str
    seed: int | None
    numbers: Mapping[str, float]
    seconds: float


class PlannedTable:
    """A table that can be computed: its cells, what they read, and what all of it takes.

    Attributes:
        name: of the table.
        data: over which data.
        cells: names of its chosen cells.
        needs: texts and runs that these cells read; they are made as needed.
        measured: who is measured, "" where the table does not say.
        seeds: of training.
        settings: folders and defaults.
    """

    def __init__(self, session: Session, doing: How, shared: Path | None) -> None:
        self._session, self._doing, self._shared = session, doing, shared
        self.name, self.data, self.settings = session.experiment.name, session.corpus.name, doing.settings
        self.measured, self.seeds = session.experiment.measured, session.choice.seeds
        self.cells = [cell.name for cell in session.cells]
        self.needs = [str(need) for need in session.needs]

    def estimates(self) -> list[tuple[str, Estimate | None]]:
        """What models still have to be asked for, need by need; asks nobody.

        None for a run that needs another one to be there before it can be estimated.
        """
        artefacts: GraphArtefacts = self._session.artefacts  # type: ignore[assignment]
        found = self._aside(lambda: artefacts.estimates(self._session.needs))
        return [(str(need), e) for need, e in found if e is None or e.examples]

    def forecast(self) -> Forecast:
        """How long the cells that are not there yet will take, models not counted."""
        return self._session.forecast()

    def plan(self) -> list[Job]:
        """Every chosen cell with every seed; those whose `stored` is not None are there already.

        Texts and runs of models that are not there yet are made now.

        Raises:
            UsageError: a graph could not be run to its end (no server, budget spent); the same call goes on.
            KeyboardInterrupt: it was interrupted; what is finished is kept.
        """
        return self._aside(self._session.plan)

    def compute(
        self,
        jobs: Sequence[Job] | None = None,
        *,
        done: Callable[[Computed], None] = lambda _cell: None,
        say: Callable[[str], None] | None = None,
    ) -> TableOfResults:
        """Compute the cells that are not there yet; the table as it then is.

        Args:
            jobs: of `plan`, which is asked where not given.
            done: told of each cell that is computed now.
            say: told what is being done.

        Raises:
            UsageError, KeyboardInterrupt: as `plan`.
        """
        session = self._session

        def told(job: Job, run: CellRun) -> None:
            if job.stored is None:
                numbers = {short(m): run.test[m].mean for m in session.experiment.metrics}
                done(Computed(job.cell.name, job.seed if job.cell.seeded else None, numbers, run.wall_seconds))

        def work() -> tables.Results:
            return session.run(session.plan() if jobs is None else jobs, done=told, say=say or self._doing.say)

        table = self._aside(work)
        return TableOfResults(only_run_here(table, session.place), table)

    def write_pages(self) -> list[Path]:
        """Write the page over the folder that tables share, or the table's own; all files that were written."""
        corpus, settings = self._session.corpus, self.settings
        file = self._session.place.table(tables.slug(self.name, corpus.name))
        pictures = {run.about.get("picture") for row in tables.read(file).rows.values() for run in row.runs}
        drawn = [settings.home / "figures" / str(name) for name in sorted(filter(None, pictures))]
        if self._shared is not None:
            return [*render_results(self._shared), *drawn]
        for picture in drawn:
            if picture.exists():
                shutil.copy2(picture, file.parent)
        return [file, *render_table(file), *(file.parent / picture.name for picture in drawn)]

    @property
    def own_folder(self) -> Path:
        """The table's own folder in `$WHYREC_HOME/results`."""
        return own_folder(self.settings.home, self.name, self._session.corpus)

    def out_of_range(self, found: TableOfResults) -> tuple[list[str], list[str]]:
        """Sentences about numbers that cannot be believed: (too low, too high)."""
        return self._session.out_of_range(found.everything)

    def __repr__(self) -> str:
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}"
        return f"<{self.name} on {self.data}: {len(self.cells)} cells, {seeds}; .compute() computes them>"

    def _aside(self, work: Callable[[], T]) -> T:
        return aside(work, interrupted=self._doing.stop.ask)


def plan_table(table: str, data: Data | Any, **how: Unpack[TableOptions]) -> PlannedTable:
    """A published table on this data, to look at before it is computed; arguments and errors as `evaluate`."""
    for name in how:
        if name not in TableOptions.__annotations__:
            raise UnknownNameError("argument of whyrec.evaluate", name, TableOptions.__annotations__)
    about_table(table)
    for embedder in _several(how.get("embedder", "lsa")):
        check_embedder(embedder)
    settings = how.get("settings") or read_settings(precision=how.get("precision"))
    progress = how.get("progress", True)
    say = how.get("say") or lines(bool(progress))
    doing = How(settings=settings, progress=progress if callable(progress) else _Told(say), say=say)
    shared = Path(kept) if (kept := how.get("results")) else None
    session = _session(table, as_data(data, settings), how, doing)
    if shared is not None and shared.name == EVIDENCE:
        asked = {name for cell in session.cells for name in cell.models}
        need_evidence({name: session.choice.notes.models[name] for name in asked})
    return PlannedTable(session, doing, shared)


def evaluate(table: str, data: Data | Any, **how: Unpack[TableOptions]) -> TableOfResults:
    """Compute a published table on this data: cells that are there already are not run again.

    `plan_table` of the same arguments says what it would take.

    Args:
        table: its name (`list_tables`).
        data: a `Data`, or whatever `load_data` opens.
        **how: see `TableOptions`.

    Raises:
        UnknownNameError, UsageError: no such table, data, model or cell; or a graph could not be run to its end.
    """
    how.setdefault("command", f"whyrec.evaluate({table!r}, …)")
    return plan_table(table, data, **how).compute()


def _session(name: str, data: Data, how: TableOptions, doing: How) -> Session:
    """An experiment with its data and chosen cells."""
    settings = doing.settings
    embedders = list(dict.fromkeys(_several(how.get("embedder", "lsa"))))
    pairs = {name: str(value) for name, value in how.get("options", {}).items()}
    options = Options(
        llms=_several(how.get("llm", ())) or (settings.llm,),
        folds=tuple(how.get("folds", ((10, 2),))),
        how=EncodeAndMap(embedders[0], how.get("mapping", "pca"), how.get("norm", 1.0)),  # type: ignore[arg-type]
        epochs=how.get("epochs"),
        mask_seen=not how.get("keep_seen", False),
        cache=settings.home / "embedders",
        users=how_many(how.get("users"), drawn=how.get("drawn", True)),
        spaces=tuple(how.get("spaces", ())),
        embedders=tuple(embedders[1:]),
    )
    options = chosen(options, pairs)
    if TITLES in pairs:
        base, reading = address.split(data.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # said when the data were opened
            data = load_data(address.written(base, reading | {TITLES: pairs[TITLES]}), settings=settings)
    doing = How(settings=settings, world=data.opened.world, progress=doing.progress, say=doing.say, stop=doing.stop)
    notes = Notes(
        models=model_notes(options.llms, how.get("about", ()), home=settings.home), command=how.get("command", "")
    )
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + how.get("seeds", 1)))
    told = (how.get("cells", "*"), how.get("backbone", ""), how.get("device", "cpu"))
    corpus, shared = data.opened.data, how.get("results")
    return Session(
        name,
        corpus,
        artefacts=GraphArtefacts(corpus, how=doing),
        place=Place(settings.home, Path(shared) if shared else own_folder(settings.home, name, corpus)),
        choice=Choice(seeds, *told, settings.precision, how.get("one_revision", False), notes),
        options=options,
    )


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


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
