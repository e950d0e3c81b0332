"""An experiment is a named table: cells, metrics, the paper's claims and the paper's numbers.

A cell is a function `(context, seed) -> Told`: outcomes on the test split, and on the validation split marked as such.
It is identified by what can change its outcomes: experiment, settings, data digest, seed and the digests of the
artefacts it reads. `evals.evaluate` runs cells and never runs the same identity twice; `evals.output.table` shows them.
An experiment is built by a plain function (`evals.papers.cot_rec.table_1.table_1()`); there are no configuration files.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.artefacts import Artefacts, Need
from evals.summary import Summary
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions, need_corpus, need_questions
from whyrec.errors import UnknownNameError
from whyrec.precision import Precision
from whyrec.records import Outcome

BELOW = "below"

# Raised when the meaning of stored cells changes although their settings do not.
GENERATION = 1


@dataclass(frozen=True)
class Told:
    """What a cell answers.

    Attributes:
        test: one outcome per test user.
        valid: one outcome per validation user; empty where the cell has none.
        measures: numbers that only exist over a set of test users (MAPB, AUC), each with its interval; the experiment
            names them.
        about: a JSON-able note for the table (epochs, best epoch, users without a preference); a sentence under
            `BELOW` is shown below the table.
    """

    test: Sequence[Outcome]
    valid: Sequence[Outcome] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    measures: Mapping[str, Summary] = field(default_factory=dict)
    doubts: Sequence[str] = ()


@dataclass(frozen=True)
class Context:
    """What a cell may reach.

    Attributes:
        data: interactions or questions.
        artefacts: texts and results made by the graphs.
        folder: where a cell may keep files while it runs (checkpoints); each run gets one of its own.
        device: "cpu" or "cuda".
        precision: of what is trained, "auto" for the fastest on the device.
        say: shows one line of progress.
    """

    data: Corpus | Questions
    artefacts: Artefacts
    folder: Path
    device: str = "cpu"
    precision: Precision = "auto"
    say: Callable[[str], None] = print

    @property
    def corpus(self) -> Corpus:
        """The data as interactions; UsageError where it holds questions."""
        return need_corpus(self.data)

    @property
    def questions(self) -> Questions:
        """The data as questions; UsageError where it holds interactions."""
        return need_questions(self.data)


CellFunction = Callable[[Context, int], Told]


@dataclass(frozen=True)
class Cell:
    """One row of a table.

    Attributes:
        name: unique in the experiment.
        function: computes it.
        axes: what it varies, for the reader.
        settings: everything that can change its outcomes, besides data, seed and artefacts.
        needs: artefacts it reads: texts, and runs of workflows.
        base: the cell its delta is against.
        anchor: a reference row, not a method.
        seeded: False where the seed changes nothing; it is then run once, with seed 0.
        published: column -> our metric name -> printed value.
        quick: why its outcomes are only a quick look ("training was cut at 1 epoch"), "" where they are a result.
        models: names of the language models that have a part in its outcomes.
    """

    name: str
    function: CellFunction
    axes: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    base: str = ""
    anchor: bool = False
    seeded: bool = True
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    quick: str = ""
    models: tuple[str, ...] = ()

    def recipe(self, experiment: str, context: Context) -> str:
        """Digest of all that can change the outcomes except the seed, 16 hex digits."""
        return _digest(
            generation=GENERATION,
            experiment=experiment,
            settings=self.settings,
            data=context.data.digest,
            artefacts={str(need): context.artefacts.digest(need) for need in self.needs},
        )


def identity(recipe: str, seed: int) -> str:
    """Digest of a run: two runs with equal identities have equal outcomes."""
    return _digest(recipe=recipe, seed=seed)


def _digest(**what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Claim:
    """One cell is said to be better than another.

    Attributes:
        name: claims of one name are judged together ("description beats caption").
        better: cell said to be better.
        worse: cell said to be worse.
        metric: judged by this one, chosen before looking.
    """

    name: str
    better: str
    worse: str
    metric: str = "ndcg@10"


@dataclass(frozen=True)
class Range:
    """Where a number has to lie for the run to be believed (spec 9.5).

    Below `low` the run fails; above `high` a note is printed, because too good is a reason to look for a leak.
    """

    cell: str
    metric: str
    low: float
    high: float
    basis: str


@dataclass(frozen=True)
class Experiment:
    """A table.

    Attributes:
        name: "cot_rec.table_1".
        title: for people.
        protocol: split, candidates, masking, metrics and what the published columns are, in words.
        cells: in the order of the rows.
        metrics: shown, in this order; the mean over users of what each outcome is worth.
        claims: tested pairs.
        says: claim name -> the claim as the paper makes it.
        columns: published column -> its data set, table and protocol.
        ranges: numbers that must lie in a range.
        measures: what cells may tell of a set of users beside the metrics, shown after them.
        measured: whom its numbers are over and whom models are asked about, in words, said before it starts.
        of_split: the users measured are those of the test split; False where the table takes others.
        unjudged: why nothing is said of its claims on this data; "" where verdicts are told.
        labels: the one way in which option labels are read in all its rows; "" where it reads none.
    """

    name: str
    title: str
    protocol: str
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]
    claims: tuple[Claim, ...] = ()
    says: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    ranges: tuple[Range, ...] = ()
    measures: tuple[str, ...] = ()
    measured: str = ""
    of_split: bool = True
    unjudged: str = ""
    labels: str = ""

    def __post_init__(self) -> None:
        """Names are unique, and what refers to a cell refers to one that exists."""
        names = [cell.name for cell in self.cells]
        assert len(set(names)) == len(names), "two cells of one name"
        for used in (
            *(cell.base for cell in self.cells if cell.base),
            *(c.better for c in self.claims),
            *(c.worse for c in self.claims),
            *(r.cell for r in self.ranges),
        ):
            assert used in names, f"{used!r} is no cell of {self.name}"
        assert {c.name for c in self.claims} == set(self.says)

    def select(self, pattern: str = "*", axes: Mapping[str, str] | None = None) -> tuple[Cell, ...]:
        """Cells whose name matches one of the glob patterns (joined by ';') and that have these axes, or lack them.

        Raises:
            UnknownNameError: a pattern matches no cell.
        """
        names = [
            cell.name
            for cell in self.cells
            if all(cell.axes.get(axis, value) == value for axis, value in (axes or {}).items())
        ]
        chosen: set[str] = set()
        for part in (p.strip() for p in pattern.split(";") if p.strip()):
            hits = fnmatch.filter(names, part)
            if not hits:
                raise UnknownNameError("cell", part, names, hint="* stands for anything, several are joined by ;")
            chosen.update(hits)
        return tuple(cell for cell in self.cells if cell.name in chosen)

    def out_of_range(self, means: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[str]]:
        """Sentences about numbers that cannot be believed: (too low, too high).

        Args:
            means: cell -> metric -> mean, of the cells that have run.
        """
        low, high = [], []
        for limit in self.ranges:
            if limit.cell not in means:
                continue
            mean = means[limit.cell][limit.metric]
            text = f"{limit.cell}: {limit.metric} is {mean:.4f}, expected {limit.low} to {limit.high} ({limit.basis})"
            if mean < limit.low:
                low.append(f"{text}: too low, so the run fails.")
            elif mean > limit.high:
                high.append(f"{text}: above what is known; run the leakage tests again before believing it.")
        return low, high
