"""Which prefixes get a chain (spec 4.a): a chain made from a whole history knows too much for a shorter prefix.

    last_only   the longest training prefix s[:-3] of every user
    subsample   `per_user` of a user's training prefixes, drawn by seed, the longest always among them
    per_prefix  every training prefix

An example is a prefix, not a user: its index is the row of the event that follows it, its key "train/USER@LENGTH". For
the validation and test splits there is one prefix per user, the whole history of that split.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyrec.data.split import SplitView
from whyrec.records import Event, Example

Mode = Literal["last_only", "subsample", "per_prefix"]


@dataclass(frozen=True)
class Prefixes:
    """The prefixes of a split's users.

    Attributes:
        view: the split.
        users: dense user indices, ascending.
        mode, per_user, seed: as above; other modes than last_only are for train.
    """

    view: SplitView
    users: npt.NDArray[np.int64]
    mode: Mode
    per_user: int
    seed: int

    @cached_property
    def indices(self) -> npt.NDArray[np.int64]:
        """Row of the event after each prefix, ascending."""
        offsets = self.view.corpus.offsets
        found = [offsets[user] + self._lengths(int(user)) for user in self.users]
        return np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)

    def place(self, index: int) -> tuple[int, int]:
        """(dense user index, length of the prefix)."""
        offsets = self.view.corpus.offsets
        user = int(np.searchsorted(offsets, index, side="right")) - 1
        return user, int(index - offsets[user])

    def key(self, index: int) -> str:
        """Key of a prefix; that of the whole history of valid and test is the user's own."""
        user, length = self.place(index)
        name = self.view.corpus.user_ids[user]
        return f"train/{name}@{length}" if self.view.split == "train" else f"{self.view.split}/{name}"

    def items(self, index: int) -> npt.NDArray[np.int32]:
        """The prefix, item indices, oldest first."""
        user, length = self.place(index)
        history = self.view.history(user)
        assert 0 < length <= len(history), "a prefix ends before the split's target"
        return history[:length]

    def example(self, index: int, *, last: int) -> Example:
        """The prefix as records, its `last` latest events, without a target."""
        user, length = self.place(index)
        whole = self.view.example(user)
        shown: tuple[Event, ...] = whole.history[:length][-last:]
        return Example(self.key(index), whole.user, user, self.view.split, shown)

    def _lengths(self, user: int) -> npt.NDArray[np.int64]:
        longest = len(self.view.history(user))
        if self.mode == "last_only":
            return np.array([longest], dtype=np.int64)
        lengths = np.arange(1, longest + 1, dtype=np.int64)
        if self.mode == "per_prefix" or longest <= self.per_user:
            return lengths
        rng = np.random.default_rng([self.seed, user])
        drawn = rng.choice(lengths[:-1], self.per_user - 1, replace=False)
        return np.sort(np.append(drawn, longest)).astype(np.int64)
