"""Tables of experiments: the functions behind `whyrec eval`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from whyrec.api.runs import as_pandas
from whyrec.api.shown import cells, text
from whyrec.data import address
from whyrec.data.some import how_many
from whyrec.embed import check_embedder
from whyrec.errors import UnknownNameError
from whyrec.precision import Precision
from whyrec.settings import Settings, read_settings

FIRST_SEED = 2021  # CoT-Rec's seeds are 2021, 2022, ...
_WIDTH = 240


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
