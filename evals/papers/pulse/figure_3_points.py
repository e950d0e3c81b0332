"""Where behaviours and rationales of held-out users lie in a thought space, and the numbers of PULSE Figure 3."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evals.metrics import Floats
from evals.statistics.aggregate import summarise
from evals.summary import Summary
from rec_models.thought_space.fit import Pairs
from rec_models.thought_space.space import ThoughtSpace
from whyrec.embed import Vectors
from whyrec.records import Ranking

OWN, OTHERS, ALIGNED, UNIFORM, AMONG_11 = (
    "cos to own",
    "cos to others",
    "alignment",
    "uniformity",
    "MRR among 11",
)
_NEGATIVES = 10


@dataclass(frozen=True, eq=False)
class Points:
    """Points of held-out users: float32[N, P] each, and which rationales are right answers of whom, bool[N, N]."""

    users: tuple[int, ...]
    behaviours: Vectors
    rationales: Vectors
    same: np.ndarray

    @classmethod
    def of(cls, space: ThoughtSpace, pairs: Pairs, rows: np.ndarray) -> Points:
        """The points of some rows of the pairs."""
        some = pairs.of(rows)
        return cls(
            tuple(some.users.tolist()),
            space.behaviours(some.behaviours),
            space.rationales(some.rationales),
            some.same(),
        )

    def rankings(self) -> list[Ranking]:
        """Where each behaviour finds its own rationale; other right answers are no rivals."""
        cosine = self.behaviours @ self.rationales.T
        own = np.diag(cosine)[:, None]
        better, equal = ((cosine > own) & ~self.same).sum(1), ((cosine == own) & ~self.same).sum(1)
        columns = zip(self.users, better.tolist(), equal.tolist(), strict=True)
        return [Ranking(user, b, e, len(self.users)) for user, b, e in columns]

    def measures(self, seed: int) -> dict[str, Summary]:
        """The numbers beside the picture."""
        cosine = (self.behaviours @ self.rationales.T).astype(np.float64)
        own = np.diag(cosine)
        others = np.where(self.same, np.nan, cosine)
        distance = 2 - 2 * (self.behaviours @ self.behaviours.T).astype(np.float64)
        apart = np.exp(-2 * distance)[~np.eye(len(own), dtype=bool)].reshape(len(own), -1).mean(1)
        spread = summarise(apart)
        mean, low, high = (math.log(max(v, 1e-12)) for v in (spread.mean, spread.low, spread.high))
        return {
            OWN: summarise(own),
            OTHERS: summarise(np.nanmean(others, axis=1)),
            ALIGNED: summarise(2 - 2 * own),
            UNIFORM: Summary(mean, low, high, spread.n),
            AMONG_11: summarise(self._among_11(cosine, seed)),
        }

    def _among_11(self, cosine: Floats, seed: int) -> Floats:
        """Reciprocal rank of the own rationale among ten drawn ones, equals in the middle."""
        draw = np.random.default_rng(seed)
        found = np.empty(len(cosine))
        for row, line in enumerate(cosine):
            rivals = np.flatnonzero(~self.same[row])
            some = line[draw.choice(rivals, min(_NEGATIVES, len(rivals)), replace=False)]
            found[row] = 1 / (1 + (some > line[row]).sum() + (some == line[row]).sum() / 2)
        return found
