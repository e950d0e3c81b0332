"""The users of a split as examples: what every graph over histories starts from, whichever paper it is of.

Everything comes through one `SplitView`, so nothing later than the split's target can be shown, and the target itself
is not asked for here: candidate lists hold it unmarked.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from graphs.workflow import Source
from whyrec.data.candidates import Candidates, frozen
from whyrec.data.some import some
from whyrec.data.split import SplitView
from whyrec.llm.model import About
from whyrec.records import Example, Item, Split


class Users:
    """Indices, keys and histories of a split's users; a base for the inputs of a workflow."""

    def __init__(self, source: Source, split: Split) -> None:
        self.source, self.view = source, SplitView(source.corpus, split)
        self.indices: npt.NDArray[np.int64] = some(self.view.users, source.users)

    def part(self, indices: npt.NDArray[np.int64]) -> Self:
        """The same inputs for some of the users only: what an estimate counts a sample by."""
        found = copy.copy(self)
        found.indices = indices
        found.__dict__.pop("lengths", None)
        return found

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each user's history, in the order of `indices`."""
        return np.array([len(self.view.history(int(u))) for u in self.indices], dtype=np.int64)

    def key(self, index: int) -> str:
        """Key of a user's example, as in `SplitView.example`."""
        return f"{self.view.split}/{self.source.corpus.user_ids[index]}"

    def place(self, index: int) -> tuple[str, str]:
        """(user id, split)."""
        return str(self.source.corpus.user_ids[index]), self.view.split

    def candidates(self, index: int, n: int, seed: int) -> tuple[Item, ...]:
        """`n` items with the target among them, unmarked, in an order that does not depend on it; frozen by seed."""
        return tuple(self.source.corpus.item(int(i)) for i in self.candidate_indices(index, n, seed))

    def candidate_indices(self, index: int, n: int, seed: int) -> npt.NDArray[np.int32]:
        """The same candidates by item index, int32[n]."""
        return self._frozen(n, seed).of(index)

    def _frozen(self, n: int, seed: int) -> Candidates:
        if (n, seed) not in self._drawn:
            self._drawn[n, seed] = frozen(self.view, n - 1, seed, folder=self.source.home / "candidates")
        return self._drawn[n, seed]

    @cached_property
    def _drawn(self) -> dict[tuple[int, int], Candidates]:
        return {}


def about_example(example: Example, graph: str, node: str) -> About:
    """Where a call about this example comes from."""
    return About(graph=graph, node=node, example=example.key, user=example.user, split=example.split)
