"""Popularity: everybody gets what most people had. The floor that any model must clear."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rec_models.base import Batch
from whyrec.data.split import SplitView


class Popularity:
    """Items by their number of training events.

    Args:
        view: whose `sequences()` are counted.
    """

    max_length = 1

    def __init__(self, view: SplitView) -> None:
        counts = np.bincount(view.sequences()[1], minlength=view.corpus.n_items + 1)[1:]
        self.counts_I = torch.from_numpy(counts.astype(np.float32))

    def encode(self, batch: Batch) -> Tensor:
        """Nothing about the user matters: zeros [B, 0]."""
        return torch.empty(len(batch.users_B), 0)

    def scores(self, states: Tensor) -> Tensor:
        """scores_BI."""
        return self.counts_I.repeat(len(states), 1)
