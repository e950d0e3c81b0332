"""Training rows and the batches they travel in.

One row per user: the latest `row_length` events that parameters may be trained on; a longer history adds earlier
windows, half a row apart (spec 2.b). Rows of a batch have nearly the same length, and a batch holds about the same
number of real places whatever their length: so almost nothing is computed for padding, and every step weighs every
place about alike. Everything random comes from one generator seeded by (seed, epoch), so an epoch can be replayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from rec_models.base import Batch, NegativesWanted
from whyrec.data.corpus import IntArray
from whyrec.data.split import SplitView

POOL = 16
"""Batches are cut from shuffled pools of this many; inside a pool rows are sorted by length."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as spans of one flat array of items: row r is items[starts[r] : starts[r] + lengths[r]], oldest first."""

    items: IntArray
    users: IntArray
    starts: IntArray
    lengths: IntArray

    @property
    def places(self) -> int:
        """Real places of all rows."""
        return int(self.lengths.sum())

    def batch(self, chosen: IntArray) -> Batch:
        """The chosen rows, padded on the right to the longest of them."""
        lengths = self.lengths[chosen]
        place = np.arange(int(lengths.max()))
        real = place < lengths[:, None]
        flat = np.where(real, self.starts[chosen][:, None] + place, 0)
        items = np.where(real, self.items[flat], 0)
        return Batch(torch.from_numpy(self.users[chosen]), torch.from_numpy(items), torch.from_numpy(lengths))


def training_rows(view: SplitView, row_length: int, *, shortest: int = 2) -> Rows:
    """What may be trained on, cut into rows of at most `row_length` events; rows under `shortest` are left out."""
    offsets, items = view.sequences()
    first, end = offsets[:-1], offsets[1:]
    stride = max(1, row_length // 2)
    windows = 1 + np.maximum(0, -(-(end - first - row_length) // stride))
    users = np.repeat(np.arange(len(first)), windows)
    window = np.arange(len(users)) - np.repeat(np.cumsum(windows) - windows, windows)
    whole = np.minimum(first + row_length, end)[users]
    stops = np.maximum(end[users] - window * stride, whole)
    starts = np.maximum(first[users], stops - row_length)
    good = stops - starts >= shortest
    return Rows(items.astype(np.int64), users[good], starts[good], (stops - starts)[good])


def history_rows(view: SplitView, max_length: int) -> Rows:
    """The latest `max_length` events that may be shown for each of `view.users`, in that order."""
    offsets, items = view.histories(last=max_length)
    return Rows(items.astype(np.int64), view.users, offsets[:-1], np.diff(offsets))


class Batcher:
    """Cuts rows into batches, epoch after epoch.

    Args:
        view: what may be trained on.
        row_length: longest row.
        users_per_step: rows of average length in a batch.
        negatives: what the loss wants drawn.
    """

    def __init__(
        self, view: SplitView, *, row_length: int, users_per_step: int, negatives: NegativesWanted | None
    ) -> None:
        self.rows = training_rows(view, row_length)
        self.places_per_step = max(1.0, users_per_step * self.rows.places / max(1, len(self.rows.users)))
        self.n_items, self.negatives = view.corpus.n_items, negatives
        offsets, items = view.sequences()
        users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        self._seen = np.unique(self._key(users, items.astype(np.int64)))

    def epoch(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same for the same numbers."""
        random = np.random.default_rng([seed, epoch])
        for chosen in self._cut(random):
            batch = self.rows.batch(chosen)
            yield batch if self.negatives is None else replace(batch, negatives=self._draw(batch, random))

    def _cut(self, random: np.random.Generator) -> list[IntArray]:
        """Indices of rows per batch: shuffle, sort each pool by length, cut at equal numbers of places, shuffle."""
        order = random.permutation(len(self.rows.users))
        lengths = self.rows.lengths[order]
        pool = np.cumsum(lengths) // int(self.places_per_step * POOL)
        order = order[np.lexsort((lengths, pool))]
        step = ((np.cumsum(self.rows.lengths[order]) - 1) / self.places_per_step).astype(np.int64)
        cuts = np.split(order, np.flatnonzero(np.diff(step)) + 1)
        return [cuts[i] for i in random.permutation(len(cuts))]

    def _draw(self, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        assert self.negatives is not None
        if self.negatives.shared:
            return torch.from_numpy(random.integers(1, self.n_items + 1, self.negatives.count))
        users = batch.users_B.numpy()[:, None, None]
        drawn = random.integers(1, self.n_items + 1, (*batch.items_BL.shape, self.negatives.count))
        bad = self._met(users, drawn)
        while bad.any():
            drawn[bad] = random.integers(1, self.n_items + 1, int(bad.sum()))
            bad &= self._met(users, drawn)
        return torch.from_numpy(drawn)

    def _met(self, users: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """Whether users meet these items in training."""
        keys = self._key(users, items)
        place = np.minimum(np.searchsorted(self._seen, keys), len(self._seen) - 1)
        return np.asarray(self._seen[place] == keys)

    def _key(self, users: IntArray, items: IntArray) -> IntArray:
        return users * (self.n_items + 1) + items
