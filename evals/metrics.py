"""What one outcome is worth: pure functions, defined in spec 1.5.

A ranking's place is only known up to its ties: with `better` candidates strictly above the target and `ties` others
equal to it, the place is uniform on better + 1 .. better + ties + 1, and every ranking metric here is the expectation
over that. So nothing depends on how a sort broke ties, and a scorer that says the same of everything gets exactly
chance. Each metric has one definition, over arrays; `score` is the same for a single outcome. A metric that only
exists over a set (AUC, MAPB) is a function of the set.

Shape legend: N outcomes, S samples, M placements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyrec.errors import UnknownNameError
from whyrec.records import Click, Match, Ranking

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CLIP = 1e-7

_GAINS: dict[str, Callable[[Floats], Floats]] = {
    "hit": np.ones_like,
    "recall": np.ones_like,
    "hr": np.ones_like,
    "ndcg": lambda place: 1.0 / np.log2(place + 1.0),
    "mrr": lambda place: 1.0 / place,
}
_RANKED = re.compile(rf"({'|'.join(_GAINS)})@([1-9][0-9]*)")
_CLICKED = ("log_loss", "accuracy")
_MATCHED = ("em", "f1")


@dataclass(frozen=True)
class Metric:
    """One named measure of one outcome.

    Attributes:
        name: "ndcg@10", "recall@10", "hit@5", "mrr@10", "hr@1", "log_loss", "accuracy", "em" (exact match) or
            "f1" (of an answer's words).
        higher_is_better: False for losses.
    """

    name: str
    higher_is_better: bool = True

    @property
    def of_rankings(self) -> bool:
        """Whether it measures rankings."""
        return self.name not in (*_CLICKED, *_MATCHED)

    @property
    def of_matches(self) -> bool:
        """Whether it measures answers."""
        return self.name in _MATCHED

    @property
    def examples(self) -> str:
        """What it is a mean over, for people."""
        return "questions" if self.of_matches else "users" if self.of_rankings else "rows"

    def rankings(self, better: npt.ArrayLike, ties: npt.ArrayLike) -> Floats:
        """Expected value per ranking over a random order of its ties, float64[N].

        Args:
            better: int[N], candidates strictly above the target.
            ties: int[N], other candidates equal to it.
        """
        kind, cut = _parts(self.name)
        places = np.arange(1, cut + 1, dtype=np.float64)
        total = np.concatenate([[0.0], np.cumsum(_GAINS[kind](places))])
        first, others = np.asarray(better, dtype=np.int64), np.asarray(ties, dtype=np.int64)
        inside: Floats = total[np.minimum(first + others + 1, cut)] - total[np.minimum(first, cut)]
        value: Floats = inside / (others + 1)
        return value

    def clicks(self, probability: npt.ArrayLike, clicked: npt.ArrayLike) -> Floats:
        """Value per click, float64[N]: natural log loss with probabilities clipped to [1e-7, 1 - 1e-7], or p > .5."""
        p, y = np.asarray(probability, dtype=np.float64), np.asarray(clicked, dtype=bool)
        if self.name == "accuracy":
            right: Floats = ((p > 0.5) == y).astype(np.float64)
            return right
        p = np.clip(p, CLIP, 1.0 - CLIP)
        loss: Floats = -np.where(y, np.log(p), np.log1p(-p))
        return loss

    def matches(self, f1: npt.ArrayLike, exact: npt.ArrayLike) -> Floats:
        """Value per answer, float64[N]; both were measured when the answer was held against the right one."""
        return np.asarray(f1 if self.name == "f1" else exact, dtype=np.float64)

    def score(self, outcome: Ranking | Click | Match) -> float:
        """Value of one outcome."""
        if isinstance(outcome, Match):
            return float(self.matches([outcome.f1], [outcome.exact])[0])
        if isinstance(outcome, Click):
            return float(self.clicks([outcome.probability], [outcome.clicked])[0])
        return float(self.rankings([outcome.better], [outcome.ties])[0])

    def chance(self, candidates: int) -> float:
        """What a scorer that cannot tell `candidates` candidates apart gets: everything is a tie."""
        return float(self.rankings([0], [candidates - 1])[0])


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UnknownNameError: no such metric; the cut-off K is any positive number.
    """
    if name not in (*_CLICKED, *_MATCHED) and not _RANKED.fullmatch(name):
        known = [f"{kind}@K" for kind in _GAINS] + [*_CLICKED, *_MATCHED]
        raise UnknownNameError("metric", name, known, hint="K is a whole number, as in ndcg@10.")
    return Metric(name, higher_is_better=name != "log_loss")


def auc(clicks: Sequence[Click]) -> float:
    """Area under the ROC curve of P(click), equal probabilities counting half (midranks).

    Raises:
        ValueError: all rows have the same label, so the area does not exist.
    """
    probability, clicked = columns(clicks)
    return float(placements(probability, clicked)[0].mean())


def placements(probability: Floats, clicked: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """DeLong's placements: of each positive the share of negatives below it, of each negative of positives above it.

    The mean of either is the AUC, and their variances give its standard error (DeLong, DeLong and Clarke-Pearson
    1988). Equal probabilities count half.

    Returns:
        float64[positives], float64[negatives], each in the order of the rows.

    Raises:
        ValueError: all rows have the same label.
    """
    if clicked.all() or not clicked.any():
        raise ValueError("AUC needs at least one clicked and one unclicked row; all rows here have the same label.")
    positive, negative = probability[clicked], probability[~clicked]
    return _share_below(positive, negative), 1.0 - _share_below(negative, positive)


def columns(clicks: Sequence[Click]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(probability float64[N], clicked bool[N])."""
    return np.array([c.probability for c in clicks], dtype=np.float64), np.array(
        [c.clicked for c in clicks], dtype=bool
    )


def sample_bias(places_SM: npt.ArrayLike) -> Floats:
    """CoT-Rec's Sample Bias per sample, float64[S] (paper 5.1.2, spec 1.5).

    Args:
        places_SM: places_SM[i, j] is the predicted place (1..M) of sample i's target when it is PLACED at position j;
            the order of the other candidates is the same in all M placements.
    """
    places = np.asarray(places_SM, dtype=np.float64)
    deviation: Floats = np.abs(places - places.mean(axis=1, keepdims=True)).mean(axis=1)
    return deviation


def mapb(places_SM: npt.ArrayLike) -> float:
    """Mean Absolute Position Bias: 0 for a ranker that ignores positions, about 2.33 for a random one at M = 10."""
    return float(sample_bias(places_SM).mean())


def _parts(name: str) -> tuple[str, int]:
    match = _RANKED.fullmatch(name)
    assert match, f"{name} is not a metric of rankings"
    return match[1], int(match[2])


def _share_below(these: Floats, those: Floats) -> Floats:
    """For each of `these`, the share of `those` below it, equals counting half."""
    those = np.sort(those)
    below = np.searchsorted(those, these, "left") + np.searchsorted(those, these, "right")
    share: Floats = below / (2.0 * len(those))
    return share
