"""taste: a recommender of your own.

    whyrec fit taste --data world
    whyrec recommend taste u0 -n 5
    whyrec eval cot_rec.table_1 --data world -o recommender=taste --cells 'popularity;item-CF;taste'

It counts how often each item was met lately. `make` gets the training events alone, so nothing of the validation or
test split can be read. Replace it by anything with `max_length`, `encode` and `scores`; a network is trained with
`rec_models.fit.fit` inside `make`. docs/plugins.md explains each part.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from rec_models.base import Batch
from rec_models.kinds import RecommenderKind
from whyrec.data.split import SplitView

HALF_LIFE = 20.0  # events of a user after which one counts half


class LatelyPopular:
    """Scores every item by how often it was met, late events more.

    Args:
        view: whose training events are counted.
    """

    max_length = 1

    def __init__(self, view: SplitView) -> None:
        counts = np.zeros(view.corpus.n_items, dtype=np.float64)
        offsets, items = view.sequences()
        for start, stop in itertools.pairwise(offsets.tolist()):
            weights = 0.5 ** (np.arange(stop - start)[::-1] / HALF_LIFE)
            np.add.at(counts, items[start:stop] - 1, weights)
        self.counts_I = torch.from_numpy(counts).float()

    def encode(self, batch: Batch) -> Tensor:
        """One state per user; this recommender knows nothing of users. Shape [B, 1]."""
        return torch.zeros(len(batch.users_B), 1)

    def scores(self, states: Tensor) -> Tensor:
        """Scores of the whole catalogue, shape [B, I]; entry i belongs to item i + 1."""
        return self.counts_I.expand(len(states), -1).clone()


def make(view: SplitView, seed: int) -> LatelyPopular:
    """The trained recommender. `seed` is of starting weights and order; counting needs none."""
    del seed
    return LatelyPopular(view)


RECOMMENDER = RecommenderKind("taste", "how often each item was met, late events more", make)
