"""A data set in columns: who met what, in order, and what the things are called.

Interactions are in compressed-sparse-row form (one flat array per column, `offsets` saying where each user starts),
already in the order of spec 1.1. Items are numbered from 1, 0 is padding; users are numbered from 0. A `Corpus` does
not hand out targets: `SplitView` does (whyrec/data/split.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from whyrec.records import Domain, Item

PAD = 0
NO_TIME = np.iinfo(np.int64).min

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Interactions and catalogue of one data set.

    Attributes:
        name: name or path it was loaded by.
        offsets: int64, length users + 1; user u owns rows offsets[u]:offsets[u + 1].
        items: int32, one per interaction, in 1..n_items.
        user_ids: the data set's own user ids, one per user.
        catalogue: one row per item, row r is item r + 1: columns id, title, description, brand (strings) and
            categories (list of strings).
        times: int64 unix seconds per interaction, NO_TIME where missing; None if the set has none. What is compared
            or sorted is `moments`, which knows fractions of a second, too.
        ratings: float32 per interaction, NaN where missing; None if the set has none.
        reviews: strings per interaction; None if the set has none.
        nanos: int32 nanoseconds within the second of `times`; None where every time is a whole second.
        source: absolute path of the files with the reading options, by which they are found again from any folder;
            "" for what is generated or made by hand. No part of what the data are (`digest`).
        domain: what it is about, in the words of a prompt; no part of what the data are (`digest`).
        notes: what was done on the way (rows dropped, duplicates, k-core rounds, ties), for `whyrec data stats`.
    """

    name: str
    offsets: IntArray
    items: npt.NDArray[np.int32]
    user_ids: pl.Series
    catalogue: pl.DataFrame
    times: IntArray | None = None
    ratings: npt.NDArray[np.float32] | None = None
    reviews: pl.Series | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    nanos: npt.NDArray[np.int32] | None = None
    source: str = ""
    domain: Domain = field(default_factory=Domain)

    def __post_init__(self) -> None:
        """Check the shape that everything else relies on."""
        assert self.offsets[0] == 0 and self.offsets[-1] == len(self.items)
        assert len(self.user_ids) == self.n_users
        assert self.catalogue.columns == ["id", "title", "description", "brand", "categories"]
        for column in (self.times, self.ratings, self.reviews, self.nanos):
            assert column is None or len(column) == len(self.items)

    @property
    def n_users(self) -> int:
        """Users."""
        return len(self.offsets) - 1

    @property
    def n_items(self) -> int:
        """Items of the catalogue, padding not counted."""
        return self.catalogue.height

    @property
    def n_interactions(self) -> int:
        """Rows."""
        return len(self.items)

    @cached_property
    def lengths(self) -> IntArray:
        """Interactions per user, int64[n_users]."""
        return np.diff(self.offsets)

    @cached_property
    def moments(self) -> IntArray | None:
        """int64 per interaction, only to be compared: a later moment is larger; NO_TIME as in `times`."""
        if self.times is None or self.nanos is None:
            return self.times
        return ranks(self.times, self.nanos)

    def item(self, index: int) -> Item:
        """The item with this dense index (1..n_items).

        Raises:
            IndexError: no such item.
        """
        if not 1 <= index <= self.n_items:
            raise IndexError(f"Item index {index} is outside 1..{self.n_items} of {self.name}.")
        found = self._items.get(index)
        if found is None:
            id_, title, description, brand, categories = self.catalogue.row(index - 1)
            found = Item(index, id_, title, description, brand, tuple(categories))
            self._items[index] = found
        return found

    @cached_property
    def _items(self) -> dict[int, Item]:
        return {}

    @cached_property
    def user_index(self) -> Mapping[str, int]:
        """Dense index of a user id."""
        return {u: i for i, u in enumerate(self.user_ids.to_list())}

    @cached_property
    def digest(self) -> str:
        """Hex digest of everything a model or a prompt can see; equal corpora have equal digests."""
        h = hashlib.sha256()
        for name in ("offsets", "items", "times", "ratings", "nanos"):
            column = getattr(self, name)
            if column is not None:
                _feed(h, name, np.ascontiguousarray(column).tobytes())
        texts = {"user_ids": self.user_ids, "reviews": self.reviews}
        texts |= {c: self.catalogue[c] for c in ("id", "title", "description", "brand")}
        lists = self.catalogue["categories"]
        texts["categories"] = lists.filter(lists.list.len() > 0).explode()
        for name, series in texts.items():
            if series is not None:
                _feed(h, f"{name} lengths", series.str.len_bytes().to_numpy().tobytes())
                _feed(h, name, (series.str.join("")[0] or "").encode())
        _feed(h, "categories per item", lists.list.len().to_numpy().tobytes())
        return h.hexdigest()[:16]


def ranks(times: IntArray, nanos: npt.NDArray[np.int32]) -> IntArray:
    """Places of (seconds, nanoseconds) among each other: equal moments have equal ranks; NO_TIME stays what it is."""
    order = np.lexsort((nanos, times))
    later = np.ones(len(order), dtype=np.int64)
    later[1:] = (np.diff(times[order]) != 0) | (np.diff(nanos[order]) != 0)
    found = np.empty(len(order), dtype=np.int64)
    found[order] = np.cumsum(later)
    found[times == NO_TIME] = NO_TIME
    return found


def _feed(h: hashlib._Hash, name: str, data: bytes) -> None:
    """Add one named, length-framed block, so that no two corpora run together into the same bytes."""
    h.update(f"{name} {len(data)}\n".encode())
    h.update(data)
