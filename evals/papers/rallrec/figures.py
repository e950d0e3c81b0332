"""RALLRec+'s figures over one pool of samples: length (2), consistency (3), alpha (6) and epsilon (7).

Figures 2 and 3 say "shorter and more consistent responses are more often right". Both can come from the label alone
(an easy "yes" is short and sure), so each group's base rate stands beside its accuracy. Figure 2 cuts the responses
into five groups by length, of which several may be of one row: intervals draw rows. Figure 3 moves a window over the
rows sorted by the variance of their responses, as the paper does. Curves over alpha and epsilon show validation and
test; what is chosen is chosen on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from evals.artefacts import Asked
from evals.doubts import of_ways
from evals.experiment import Cell, CellFunction, Context, Experiment, Told
from evals.metrics import Floats, Ints
from evals.papers.rallrec.clicks import AUC, ONE_CLASS, OVER_EXPERT, Pool, cell_of, pool_of, rows_of
from evals.papers.rallrec.tables import METRICS, asked, measured
from evals.registry import Options
from evals.statistics.aggregate import auc_summary
from graphs.rallrec.merge import ALPHA, EPSILON
from whyrec.data.corpus import Corpus
from whyrec.data.ctr import CtrRows
from whyrec.records import Click

GROUPS = 5
WINDOWS = 9  # places of Figure 3's window, from the most consistent rows to the least
Sorted = Callable[[Pool], tuple[Ints, Floats, Floats]]
ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
EPSILONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def figure_2(corpus: Corpus, options: Options = Options()) -> Experiment:
    """Accuracy of single responses in five groups of ascending length."""
    protocol = f"{GROUPS} groups of responses of ascending length, intervals over rows"
    return _parts(options, "2", "length", Cut("group", GROUPS, by_length, options.window), protocol)


def figure_3(corpus: Corpus, options: Options = Options()) -> Experiment:
    """Accuracy of rows in a window that moves over them by ascending variance of their samples."""
    wide = f"{options.window:,} rows" if options.window else "a fifth of the rows"
    protocol = f"a window of {wide} at {WINDOWS} places over the rows by ascending variance"
    return _parts(options, "3", "variance", Cut("window", WINDOWS, by_variance, options.window), protocol)


def figure_6(corpus: Corpus, options: Options = Options()) -> Experiment:
    """The curve over alpha, epsilon held at the paper's value."""
    points = {f"alpha={alpha:g}": (alpha, EPSILON) for alpha in ALPHAS}
    return _curve(corpus, options, "6", points)


def figure_7(corpus: Corpus, options: Options = Options()) -> Experiment:
    """The curve over epsilon, alpha held at the paper's value."""
    points = {f"epsilon={epsilon:g}": (ALPHA, epsilon) for epsilon in EPSILONS}
    return _curve(corpus, options, "7", points)


def by_length(pool: Pool) -> tuple[Ints, Floats, Floats]:
    """(position in `pool.rows`, P(yes), tokens) of each response, the shortest first."""
    order = np.argsort(pool.tokens.ravel(), kind="stable")
    order = order[pool.tokens.ravel()[order] >= 0]  # of the samples there are
    tokens = pool.tokens.ravel()[order].astype(np.float64)
    return order // pool.tokens.shape[1], pool.samples.ravel()[order], tokens


def by_variance(pool: Pool) -> tuple[Ints, Floats, Floats]:
    """(position in `pool.rows`, mean P(yes), variance) of each row, the most consistent first."""
    variance = pool.variance.round(12)
    order = np.argsort(variance, kind="stable")
    return order, pool.own[order], variance[order]


@dataclass(frozen=True)
class Cut:
    """How sorted things are cut into parts.

    Attributes:
        name: of a part: "group" (they share nothing) or "window" (neighbours overlap).
        parts: how many.
        ordered: sorts a pool.
        size: of a window; 0 for a fifth of what there is.
    """

    name: str
    parts: int
    ordered: Sorted
    size: int = 0

    def part(self, number: int, n: int) -> Ints:
        """Positions of one part among n sorted things."""
        if self.name == "group":
            return np.array_split(np.arange(n), self.parts)[number]
        size = min(n, self.size or max(1, round(n / GROUPS)))
        start = round(number * (n - size) / (self.parts - 1))
        return np.arange(start, start + size)


def _parts(options: Options, number: str, name: str, cut: Cut, protocol: str) -> Experiment:
    return Experiment(
        name=f"rallrec.figure_{number}",
        title=f"RALLRec+ Figure {number}, {name} of responses against accuracy",
        protocol=(
            f"a model that thinks with retrieval and without a hint, each response read out as P(yes); {protocol}. A "
            f"{cut.name}'s base rate is in its note, because {name} may follow the label, and so is the rank "
            f"correlation of {name} with being right over all of it, and over likes and dislikes apart."
        ),
        cells=tuple(_part_cell(llm, options, name, g, cut) for llm in options.llms for g in range(cut.parts)),
        metrics=("accuracy", "log_loss"),
        measures=(AUC,),
        measured=measured(options),
    )


def _part_cell(llm: str, options: Options, name: str, part: int, cut: Cut) -> Cell:
    run = asked("unhinted", llm, options)
    return Cell(
        f"{name}, {cut.name} {part + 1} of {cut.parts} @{llm}",
        _part(run, part, cut),
        axes={"llm": llm, cut.name: str(part + 1)},
        settings={cut.name: part, "parts": cut.parts, "by": name, "units": "rows", "size": cut.size},
        needs=(run,),
        seeded=False,
        models=(llm,),
    )


def _part(run: Asked, part: int, cut: Cut) -> CellFunction:
    """One part. Responses go by the number of their row, so that what is drawn are rows."""

    def cell(context: Context, _seed: int) -> Told:
        return told_of(pool_of(context.artefacts.results(run), rows_of(context), "test"), part, cut)

    return cell


def told_of(pool: Pool, part: int, cut: Cut) -> Told:
    """What one part of a pool comes to."""
    at, probability, key = cut.ordered(pool)
    clicked = pool.clicked[at]
    right = (probability > 0.5) == clicked
    mine = cut.part(part, len(at))
    clicks = [Click(int(pool.rows[at[i]]), float(probability[i]), bool(clicked[i])) for i in mine]
    about: dict[str, float | None] = {
        "base rate": round(float(clicked[mine].mean()), 4),
        "mean": round(float(key[mine].mean()), 6),
    }
    if not part:
        about |= {"rank correlation": _rank(key, right)}
        about |= {f"among {n}": _rank(key[m], right[m]) for n, m in {"likes": clicked, "rest": ~clicked}.items()}
    both = bool(clicked[mine].any() and not clicked[mine].all())
    doubts = of_ways(pool.ways) if both else (*of_ways(pool.ways), ONE_CLASS)
    return Told(clicks, about=about, measures={AUC: auc_summary(clicks)} if both else {}, doubts=doubts)


def _rank(key: Floats, right: npt.NDArray[np.bool_]) -> float | None:
    """Spearman's correlation, None where one side never varies."""
    if len(np.unique(key)) < 2 or len(np.unique(right)) < 2:
        return None
    found: Any = stats.spearmanr(key, right)
    return round(float(found.statistic), 4)


def _curve(corpus: Corpus, options: Options, number: str, points: Mapping[str, tuple[float, float]]) -> Experiment:
    cells = [cell for llm in options.llms for cell in _points(llm, options, points)]
    return Experiment(
        name=f"rallrec.figure_{number}",
        title=f"RALLRec+ Figure {number}, eq. 10 from one pool of samples",
        protocol=(
            "hinted samples and the logistic expert merged by eq. 10; every point from the same samples, validation "
            "rows beside test rows. The paper prints this figure without numbers."
        ),
        cells=tuple(cells),
        metrics=METRICS,
        measures=(AUC, OVER_EXPERT),
        measured=measured(options),
    )


def _points(llm: str, options: Options, points: Mapping[str, tuple[float, float]]) -> Iterator[Cell]:
    run, valid = asked("hinted", llm, options), asked("hinted", llm, options, split="valid")
    for name, (alpha, epsilon) in points.items():
        yield Cell(
            f"{name} @{llm}",
            cell_of(run, partial(_merged, alpha=alpha, epsilon=epsilon), valid=valid),
            axes={"llm": llm},
            settings={"alpha": alpha, "epsilon": epsilon},
            needs=(run, valid),
            seeded=False,
            models=(llm,),
        )


def _merged(pool: Pool, rows: CtrRows, *, alpha: float, epsilon: float) -> Floats:
    return pool.merged("consistency", alpha=alpha, epsilon=epsilon)
