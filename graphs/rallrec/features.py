"""What a logistic regression knows about a row: the history, the shown part of it, and the item's past.

All of it is known before the row: ratings of the user's earlier events, their likeness to the item asked about, and how
the item was liked in train rows *before* this one (for valid and test rows: in all train rows), so a train row never
tells its own label.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from graphs.rallrec.options import Mode
from graphs.rallrec.retrieve import Retriever
from whyrec.data.ctr import CtrRows, CtrView

Floats = npt.NDArray[np.float64]
NAMES: Final = (
    "user's mean rating", "user's liked share", "log events", "shown mean rating", "shown liked share",
    "rating of the like, by text", "rating of the like, by likes", "rating of the 5 likest",
    "likest, by text", "likest, by likes", "item's liked rate", "log item's rows",
)  # fmt: skip
_SHARP: Final = 8.0  # of the weights by likeness
_PRIOR: Final = 10.0  # rows of the base rate that an item's rate is mixed with


class ItemPast:
    """How often each item was asked about and liked, before a row.

    Args:
        rows: the data set's rows; only train rows (and, shuffled, the histories of train rows) are counted.
    """

    def __init__(self, rows: CtrRows) -> None:
        self._train = stop = rows.bounds[0]
        self._before: tuple[Floats, Floats] | None = None
        size = rows.corpus.n_items + 1
        if rows.protocol == "timeline":
            items, liked = rows.items[:stop], CtrView(rows, "train").clicked(np.arange(stop))
            self._before = _running(items, np.ones(stop)), _running(items, liked.astype(np.float64))
        else:
            items, liked = _histories(rows)
        self.asked = np.bincount(items, minlength=size).astype(np.float64)
        self.liked = np.bincount(items, weights=liked.astype(np.float64), minlength=size)
        self.base = float(self.liked.sum() / max(self.asked.sum(), 1.0))

    def of(self, row: int, item: int) -> tuple[float, float]:
        """(smoothed liked rate, log(1 + rows)) of the item before the row."""
        if row < self._train and self._before is not None:
            asked, liked = self._before[0][row], self._before[1][row]
        else:
            asked, liked = self.asked[item], self.liked[item]
        return float((liked + _PRIOR * self.base) / (asked + _PRIOR)), float(np.log1p(asked))

    def rate(self, items: npt.NDArray[np.int32]) -> Floats:
        """Smoothed liked rate of items over all train rows: the popularity baseline."""
        found: Floats = (self.liked[items] + _PRIOR * self.base) / (self.asked[items] + _PRIOR)
        return found


def features(part: Retriever, past: ItemPast, row: int, mode: Mode) -> Floats:
    """One row's features when the history is shown this way, float64[len(NAMES)]."""
    view, above = part.view, part.view.data.above
    ratings = view.ratings(row).astype(np.float64)
    known = ~np.isnan(ratings)
    mean = float(ratings[known].mean()) if known.any() else above
    ratings = np.where(known, ratings, mean)
    shown = part.shown(row, mode).places
    history, item = view.history(row)[shown], view.item(row)
    away = ratings[shown] - mean
    by_text = part.vectors.similarity("text", history, item).astype(np.float64)
    by_likes = part.vectors.similarity("collaborative", history, item).astype(np.float64)
    rate, count = past.of(row, item)
    return np.array(
        [
            mean,
            float((ratings > above).mean()),
            np.log1p(len(ratings)),
            float(away.mean()),
            float((ratings[shown] > above).mean()),
            _weighted(away, by_text),
            _weighted(away, by_likes),
            float(away[np.argsort(-by_likes, kind="stable")[:5]].mean()),
            float(by_text.max()),
            float(by_likes.max()),
            rate,
            count,
        ]
    )


def _weighted(values: Floats, likeness: Floats) -> float:
    weights = np.exp(_SHARP * (likeness - likeness.max()))
    return float(weights @ values / weights.sum())


def _running(items: npt.NDArray[np.int32], values: Floats) -> Floats:
    """Sum of the values of earlier entries with the same item, float64[N]."""
    order = np.argsort(items, kind="stable")
    total = np.cumsum(values[order]) - values[order]
    first = np.concatenate([[True], items[order][1:] != items[order][:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    before = np.empty(len(order))
    before[order] = total - total[start]
    return before


def _histories(rows: CtrRows) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Items and labels of the events in the train rows' histories, the rows' own events left out."""
    corpus = rows.corpus
    mask = np.zeros(corpus.n_users, dtype=bool)
    mask[rows.users[: rows.bounds[0]]] = True
    owner = np.repeat(np.arange(corpus.n_users), corpus.lengths)
    keep = mask[owner]
    keep[rows.events] = False
    assert corpus.ratings is not None
    return corpus.items[keep], corpus.ratings[keep] > rows.above
