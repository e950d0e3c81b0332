"""The only way to read what came next.

Leave-two-out (spec 1.2): of a user's sequence s the last event is the test target, the one before it the validation
target, the rest is for training. A view of a split hands out the history that may be shown when predicting that
split's target, and refuses every later event:

    view     history(u)   target(u)   sequences()
    train    s[:-3]       s[-3]       s[:-2]
    valid    s[:-2]       s[-2]       s[:-2]
    test     s[:-1]       s[-1]       s[:-2]

`sequences()` is what parameters may be trained on, the same in every view. Users with fewer than three events are
for training only, with all they have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyrec.data.corpus import NO_TIME, Corpus, IntArray
from whyrec.errors import LeakageError
from whyrec.records import Event, Example, Item, Split

_BACK: dict[Split, int] = {"train": 3, "valid": 2, "test": 1}
MIN_EVENTS = 3


def prefix_digest(items: npt.NDArray[np.int32]) -> str:
    """Digest of a prefix, int32 item indices; equal prefixes have equal digests in every view that shows them."""
    return hashlib.sha256(np.ascontiguousarray(items).tobytes()).hexdigest()[:16]


class SplitView:
    """A corpus seen from the moment before a split's target.

    Args:
        corpus: the data.
        split: "train", "valid" or "test".

    Raises:
        ValueError: no such split.
    """

    def __init__(self, corpus: Corpus, split: Split) -> None:
        if split not in _BACK:
            raise ValueError(f"There is no split {split!r}. Splits are train, valid and test.")
        self.corpus = corpus
        self.split: Split = split

    @cached_property
    def users(self) -> IntArray:
        """Users with a non-empty history and a target in this split, ascending (int64)."""
        return np.flatnonzero(self.corpus.lengths >= max(MIN_EVENTS, _BACK[self.split] + 1))

    def history(self, user: int) -> npt.NDArray[np.int32]:
        """Item indices before this split's target, oldest first (a view, do not write)."""
        start, stop = self._span(user)
        return self.corpus.items[start:stop]

    def target(self, user: int, split: Split | None = None) -> int:
        """Item index of the target of this split, or of an earlier one.

        Raises:
            LeakageError: `split` is later than this view, or the user has no target there.
        """
        wanted = split or self.split
        if _BACK[wanted] < _BACK[self.split]:
            raise LeakageError(
                f"A {self.split} view of {self.corpus.name} was asked for the {wanted} target of user {user}. "
                f"Open SplitView(corpus, {wanted!r}) where that target may be known."
            )
        length = int(self.corpus.lengths[user])
        if length < max(MIN_EVENTS, _BACK[wanted] + 1):
            raise LeakageError(
                f"User {user} of {self.corpus.name} has {length} events and so no {wanted} target; see SplitView.users."
            )
        return int(self.corpus.items[self.corpus.offsets[user + 1] - _BACK[wanted]])

    @cached_property
    def targets(self) -> npt.NDArray[np.int32]:
        """Targets of `users`, in that order."""
        return self.corpus.items[self.corpus.offsets[self.users + 1] - _BACK[self.split]]

    def sequences(self) -> tuple[IntArray, npt.NDArray[np.int32]]:
        """(offsets, items): per user, the events parameters may be trained on (s[:-2])."""
        lengths = self.corpus.lengths
        kept = np.where(lengths >= MIN_EVENTS, lengths - 2, lengths)
        return self._flat(self.corpus.offsets[:-1], kept)

    def histories(self, *, last: int) -> tuple[IntArray, npt.NDArray[np.int32]]:
        """(offsets, items): `history(user)[-last:]` of every one of `users`, in that order."""
        starts = self.corpus.offsets[self.users]
        lengths = np.maximum(self.corpus.offsets[self.users + 1] - _BACK[self.split] - starts, 0)
        kept = np.minimum(lengths, last)
        return self._flat(starts + lengths - kept, kept)

    def _flat(self, starts: IntArray, lengths: IntArray) -> tuple[IntArray, npt.NDArray[np.int32]]:
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + np.repeat(starts, lengths)
        return offsets, self.corpus.items[place]

    def example(self, user: int, *, with_target: bool = False, last: int | None = None) -> Example:
        """The user's history as records, newest last.

        Args:
            user: dense index.
            with_target: also give the target. For evaluation, and for training on the train split: never for a prompt.
            last: keep only this many latest events.
        """
        start, stop = self._span(user)
        if last is not None:
            start = max(start, stop - last)
        uid = self.corpus.user_ids[user]
        target: Item | None = self.corpus.item(self.target(user)) if with_target else None
        return Example(
            f"{self.split}/{uid}", uid, user, self.split, tuple(self._event(r) for r in range(start, stop)), target
        )

    def examples(self, *, last: int | None = None) -> Iterator[Example]:
        """Every example of the split, one at a time, without targets."""
        return (self.example(int(u), last=last) for u in self.users)

    def prefix_digest(self, user: int) -> str:
        """Digest of exactly the history shown: what is made from one prefix may be joined to no other."""
        return prefix_digest(self.history(user))

    def _span(self, user: int) -> tuple[int, int]:
        start, end = int(self.corpus.offsets[user]), int(self.corpus.offsets[user + 1])
        return start, max(start, end - _BACK[self.split])

    def _event(self, row: int) -> Event:
        c = self.corpus
        time = None if c.times is None or c.times[row] == NO_TIME else int(c.times[row])
        rating = None if c.ratings is None or np.isnan(c.ratings[row]) else float(c.ratings[row])
        return Event(c.item(int(c.items[row])), rating, time, "" if c.reviews is None else c.reviews[row])
