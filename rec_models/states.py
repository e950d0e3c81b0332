"""User states of a recommender: what it makes of a history, as a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from rec_models.base import Batch, Recommender
from whyrec.embed import Vectors

_AT_ONCE = 512


def user_states(model: Recommender, histories: Sequence[npt.NDArray[np.integer]]) -> Vectors:
    """State after the last item of each history, float32[N, D]; zero for an empty history.

    Args:
        model: its `encode` gives one vector per history.
        histories: item ids, oldest first; the latest `model.max_length` are read. Users are not told apart.
    """
    kept = [np.asarray(h[-model.max_length :], dtype=np.int64) for h in histories]
    order = sorted((n for n, h in enumerate(kept) if len(h)), key=lambda n: len(kept[n]))
    found: Vectors | None = None
    with torch.inference_mode():
        for at in range(0, len(order), _AT_ONCE):
            some = order[at : at + _AT_ONCE]
            states = model.encode(batch_of([kept[n] for n in some])).float().numpy()
            if found is None:
                found = np.zeros((len(kept), states.shape[1]), np.float32)
            found[some] = states
    return np.zeros((len(kept), 1), np.float32) if found is None else found


def batch_of(histories: Sequence[npt.NDArray[np.int64]]) -> Batch:
    """Histories, none empty, as a batch in which users are not told apart."""
    lengths = torch.tensor([len(h) for h in histories])
    items = torch.zeros(len(histories), int(lengths.max()), dtype=torch.int64)
    for row, history in enumerate(histories):
        items[row, : len(history)] = torch.from_numpy(history)
    return Batch(torch.zeros(len(histories), dtype=torch.int64), items, lengths)
