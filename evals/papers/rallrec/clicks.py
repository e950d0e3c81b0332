"""What runs of rallrec.predict say of rows, in columns, and how a cell is told from them.

A pool of samples is drawn once per run; every merging, every alpha and epsilon, and every analysis of length and
consistency is computed from the pool. Labels come from the rows' own view, never from a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from evals.artefacts import Asked
from evals.doubts import READ_BY, of_ways, unread
from evals.experiment import Context, Told
from evals.metrics import Floats, Ints, placements
from evals.statistics.aggregate import LEVEL, auc_summary
from evals.summary import Summary
from graphs.rallrec.clicks import numbers_of
from graphs.rallrec.features import ItemPast
from graphs.rallrec.merge import Merging, merged_rows
from whyrec.data.ctr import CtrRows, CtrView, ctr_rows
from whyrec.records import Click, Failure, Outcome, Split
from whyrec.runs import Result

AUC, OVER_EXPERT = "AUC", "AUC over the expert"
ONE_CLASS = "all its rows have one label, so AUC does not exist"
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples and opinions of the rows that did not fail.

    Attributes:
        rows: int64[N], row numbers, ascending.
        samples: float64[N, R], P(yes) of each sample, NaN where a row has fewer.
        experts: float64[N, 2], the expert's probability and variance; None where nobody was asked.
        tokens: int64[N, R], lengths of the samples, -1 where a row has fewer or nobody counted; [N, 0] where nothing
            was thought.
        clicked: bool[N].
        failures: of the other rows.
        votes: samples whose probability is only their last word.
        missing: samples that said nothing that can be read.
        ways: in which samples were read out ("logprobs", "score", "vote"), each once.
    """

    rows: Ints
    samples: Floats
    experts: Floats | None
    tokens: Ints
    clicked: Bools
    failures: tuple[Failure, ...]
    votes: int = 0
    missing: int = 0
    ways: tuple[str, ...] = ()

    @property
    def own(self) -> Floats:
        """Mean P(yes) over the samples there are, float64[N]."""
        found: Floats = np.nanmean(self.samples, axis=1)
        return found

    @property
    def variance(self) -> Floats:
        """Population variance of the samples there are, float64[N]."""
        found: Floats = np.nanvar(self.samples, axis=1)
        return found

    def outcomes(self, probability: Floats) -> list[Outcome]:
        """One outcome per row of the run."""
        clicks = zip(self.rows.tolist(), probability.tolist(), self.clicked.tolist(), strict=True)
        return [*(Click(row, p, clicked) for row, p, clicked in clicks), *self.failures]

    def merged(self, merging: Merging, *, alpha: float, epsilon: float) -> Floats:
        """Final probabilities (eq. 10 and its rivals), float64[N]."""
        return merged_rows(self.samples, self.experts, merging=merging, alpha=alpha, epsilon=epsilon)


Say = Callable[[Pool, CtrRows], Floats]


def pool_of(results: Sequence[Result], rows: CtrRows, split: Split) -> Pool:
    """Results of a run over rows of this split, as columns.

    Args:
        results: of rallrec.predict.
        rows: of the same data and protocol.
        split: whose rows.
    """
    view = CtrView(rows, split)
    numbers = numbers_of(view)
    good = sorted((numbers[r.key], r.payload) for r in results if r.payload is not None)
    failures = tuple(Failure(numbers[r.key], r.reason) for r in results if r.payload is None)
    payloads: list[Mapping[str, Any]] = [payload for _, payload in good]
    found = np.array([row for row, _ in good], dtype=np.int64)
    experts = None
    if payloads and payloads[0]["expert"] is not None:
        experts = np.array([(p["expert"], p["expert_variance"]) for p in payloads], dtype=np.float64)
    return Pool(
        rows=found,
        samples=_ragged([p["p"] for p in payloads], np.nan),
        experts=experts,
        tokens=_ragged([[-1 if n is None else n for n in p["tokens"]] for p in payloads], -1).astype(np.int64),
        clicked=view.clicked(found),
        failures=failures,
        votes=sum(way not in ("logprobs", "score") for p in payloads for way in p["ways"]),
        missing=sum(int(p.get("missing", 0)) for p in payloads),
        ways=tuple(sorted({str(way) for p in payloads for way in p["ways"]})),
    )


def _ragged(rows: Sequence[Sequence[float]], blank: float) -> Floats:
    """Rows of unequal length as a matrix, float64[N, the longest]."""
    found: Floats = np.full((len(rows), max(map(len, rows), default=0)), blank)
    for at, row in enumerate(rows):
        found[at, : len(row)] = row
    return found


def rows_of(context: Context) -> CtrRows:
    """The data's rows by its own protocol."""
    return ctr_rows(context.corpus)


def told(
    test: Pool, probability: Floats, *, valid: Sequence[Outcome] = (), about: Mapping[str, Any] = {}, asks: bool = True
) -> Told:
    """What a cell answers: the clicks, AUC with DeLong's interval, AUC over the expert, and the base rate.

    With `asks`, a model is said to have a part in the probabilities, so it is held against the expert's alone.
    """
    outcomes = test.outcomes(probability)
    clicks = [o for o in outcomes if isinstance(o, Click)]
    measures: dict[str, Summary] = {}
    if test.clicked.any() and not test.clicked.all():
        measures[AUC] = auc_summary(clicks, unscored=len(test.failures))
        if test.experts is not None and not np.array_equal(probability, test.experts[:, 0]):
            measures[OVER_EXPERT] = auc_difference(probability, test.experts[:, 0], test.clicked)
    doubts: tuple[str, ...] = () if measures else (ONE_CLASS,)
    note: dict[str, Any] = {"base rate": round(float(test.clicked.mean()), 4), **about}
    if asks:
        note[READ_BY] = ", ".join(test.ways)
        doubts += of_ways(test.ways)
        if test.experts is not None:
            doubts += unread(probability, test.experts[:, 0], whose="the expert's own probability")
    return Told(outcomes, valid=valid, measures=measures, about=note, doubts=doubts)


def auc_difference(better: Floats, worse: Floats, clicked: Bools) -> Summary:
    """AUC of one minus AUC of the other on the same rows, with DeLong's paired interval.

    Raises:
        ValueError: all rows have the same label.
    """
    (p_a, n_a), (p_b, n_b) = placements(better, clicked), placements(worse, clicked)
    moved = p_a - p_b, n_a - n_b
    variance = sum(float(d.var(ddof=1)) / len(d) if len(d) > 1 else 0.25 for d in moved)
    mean, half = float(moved[0].mean()), float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt(variance)
    return Summary(mean, mean - half, mean + half, len(clicked), interval="DeLong, paired")


def always_base(test: Pool, rows: CtrRows) -> Floats:
    """The share of likes among train rows, for every row."""
    return np.full(len(test.rows), ItemPast(rows).base)


def item_rate(test: Pool, rows: CtrRows) -> Floats:
    """How often the item was liked in train rows, smoothed towards the base rate."""
    return ItemPast(rows).rate(rows.items[test.rows])


def expert_alone(test: Pool, rows: CtrRows) -> Floats:
    """The expert's own probability."""
    assert test.experts is not None, "a run with expert=none has no expert to show"
    return test.experts[:, 0]


def cell_of(asked: Asked, say: Say, *, valid: Asked | None = None, asks: bool = True) -> Callable[[Context, int], Told]:
    """A cell that says a probability per row of a run's pool, and the same of a validation run where there is one.

    `asks` as in `told`: False where no language model has a part in what is said.
    """

    def cell(context: Context, _seed: int) -> Told:
        rows = rows_of(context)
        test = pool_of(context.artefacts.results(asked), rows, "test")
        checked: list[Outcome] = []
        if valid is not None:
            before = pool_of(context.artefacts.results(valid), rows, "valid")
            checked = before.outcomes(say(before, rows))
        counts = {"samples read by vote": test.votes, "samples missing": test.missing}
        about = {name: n for name, n in counts.items() if n}
        return told(test, say(test, rows), valid=checked, about=about, asks=asks)

    return cell
