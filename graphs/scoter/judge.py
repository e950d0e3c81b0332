"""What a chain's recommendations are worth: descriptions become items, and items are held against what came next.

A description is the item of the catalogue whose caption is nearest to it by cosine, by exact search (paper 3.2
Validate; spec 4.a MAP). Recall@20 is whether the target is among the items of the twenty descriptions, NDCG@20 counts
its place among the distinct ones. Both are rare events; the dense surrogate is how many items of the catalogue are
less near to the descriptions than the target is (0 to 1, chance .5), and says something of every chain.

Targets are read here and nowhere else in this room, after the last model call, through the `SplitView` that the
leakage matrix allows (train or valid). A description without a word that the embedder knows is no item.

Shape legend: R descriptions, I items, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.data.text import descriptions as item_descriptions
from whyrec.embed import Embedder, Vectors, open_embedder


@dataclass(frozen=True)
class Mapping:
    """How descriptions become items.

    Attributes:
        greedy: in the order of the descriptions, each takes the nearest item not yet taken.
        exclude_history: items of the history are no recommendations (not for data where targets repeat).
    """

    greedy: bool = False
    exclude_history: bool = True


@dataclass(frozen=True)
class Verdict:
    """What one chain's recommendations are worth.

    Attributes:
        items: distinct items, in the order of their first descriptions.
        unmapped: descriptions without a known word.
        hit: whether the target is among the items.
        place: the target's place among them, from 1; 0 without a hit.
        ndcg: NDCG@20.
        percentile: share of the other items that are less near to the descriptions than the target, ties half.
    """

    items: tuple[int, ...]
    unmapped: int
    hit: bool
    place: int
    ndcg: float
    percentile: float

    @property
    def json(self) -> dict[str, Any]:
        """As kept in a run."""
        return {**asdict(self), "items": list(self.items)}


class Catalogue:
    """The items as vectors. One object serves any number of chains.

    Args:
        corpus: the data.
        embedder: as `whyrec.embed.open_embedder` names them; lsa is fitted on the items' texts.
        items: an item's text: "caption", or "description" for the catalogue's description as well.
        cache: folder for fitted embedders.
    """

    def __init__(self, corpus: Corpus, embedder: str, *, items: str = "caption", cache: Path) -> None:
        texts = captions(corpus) if items == "caption" else item_descriptions(corpus)
        self.embedder: Embedder = open_embedder(embedder, fit_on=texts, cache=cache)
        self._items_ID: Vectors = self.embedder.embed(texts)

    def near(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Cosines of descriptions with all items, float32[R, I]; column i is item i + 1."""
        cosines: npt.NDArray[np.float32] = self.embedder.embed(texts) @ self._items_ID.T
        return cosines

    def map(self, near_RI: npt.NDArray[np.float32], history: npt.NDArray[np.int32], how: Mapping) -> tuple[int, ...]:
        """Distinct items (from 1) of the descriptions, best description first.

        Args:
            near_RI: as `near` gives them.
            history: items already met.
            how: see `Mapping`.
        """
        free = np.zeros(near_RI.shape[1], dtype=np.float32)
        if how.exclude_history:
            free[history - 1] = -np.inf
        found: dict[int, None] = {}
        for row in near_RI:
            if row.any():  # else no word of the description is known
                best = int(np.argmax(row + free))
                found[best + 1] = None
                if how.greedy:
                    free[best] = -np.inf
        return tuple(found)


@dataclass(frozen=True)
class Judge:
    """Scores chains of one split's users; made by `equip`, reached by the nodes that score and by no other."""

    catalogue: Catalogue
    view: SplitView
    how: Mapping

    def verdict(self, user: int, descriptions: Sequence[str]) -> Verdict:
        """What the descriptions made for this user (dense index) are worth."""
        history, target = self.view.history(user), self.view.target(user)
        near_RI = self.catalogue.near(descriptions)
        items = self.catalogue.map(near_RI, history, self.how)
        place = items.index(target) + 1 if target in items else 0
        return Verdict(
            items=items,
            unmapped=int((~near_RI.any(axis=1)).sum()),
            hit=place > 0,
            place=place,
            ndcg=1.0 / math.log2(place + 1) if place else 0.0,
            percentile=round(self._percentile(near_RI.max(axis=0), history, target), 6),
        )

    def _percentile(self, best_I: npt.NDArray[np.float32], history: npt.NDArray[np.int32], target: int) -> float:
        rivals = np.ones(len(best_I), dtype=bool)
        if self.how.exclude_history:
            rivals[history - 1] = False
        rivals[target - 1] = False
        others, mine = best_I[rivals], best_I[target - 1]
        if not len(others):
            return 0.5
        return float(((others < mine).sum() + 0.5 * (others == mine).sum()) / len(others))


def verdict_of(judge: Judge, user: int, payload: Any) -> Verdict:
    """What the first chain of a result of scoter.generate is worth to a user (dense index)."""
    return judge.verdict(user, payload["chains"][0]["recommendations"])
