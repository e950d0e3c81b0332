"""What a recommender of sequences is: three functions of a batch.

A model reads a batch of histories into one state per user (`encode`), scores the whole catalogue from that state
(`scores`), and, where it learns, says how wrong it is about a batch of training rows (`loss`). Ranking, early stopping
and tables are written once against this.

Shape legend (rec_models speaks it everywhere): B users of a batch, L places of the longest row in the batch, T real
places of a batch laid end to end, I items of the catalogue, D width of the model, U users, N negatives, H heads, K
width of a head. Item ids are 1..I and 0 is padding, which stands to the right. Columns and tables of items have I
entries without one for padding: entry i belongs to item i + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Histories of some users, oldest first, padded on the right.

    Attributes:
        users_B: int64, dense user indices.
        items_BL: int64, item ids, 0 where a row has ended.
        lengths_B: int64, real places of each row, at least 1.
        negatives: for losses that want them, item ids drawn for this batch: [B, L, N] (N per place; place t belongs
            to the prediction of items_BL[:, t]) or [N] (shared by all places).
    """

    users_B: Tensor
    items_BL: Tensor
    lengths_B: Tensor
    negatives: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        negatives = None if self.negatives is None else self.negatives.to(device)
        return replace(
            self,
            users_B=self.users_B.to(device),
            items_BL=self.items_BL.to(device),
            lengths_B=self.lengths_B.to(device),
            negatives=negatives,
        )


@dataclass(frozen=True, slots=True)
class NegativesWanted:
    """How many uniform negatives a loss wants.

    Attributes:
        count: how many, per place or, if shared, per batch.
        shared: one draw for all places of the batch; otherwise each place has its own, none of them among the items
            that its user meets in training (spec 7.4).
    """

    count: int
    shared: bool


@runtime_checkable
class Recommender(Protocol):
    """What can be ranked with."""

    @property
    def max_length(self) -> int:
        """How many of a user's latest items it reads."""
        ...

    def encode(self, batch: Batch) -> Tensor:
        """State [B, ...] from which each user's next item is predicted, after the last real item of each row."""
        ...

    def scores(self, states: Tensor) -> Tensor:
        """scores_BI of the whole catalogue; may be written over by the caller."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A recommender that makes ready once what the scores of all users need."""

    def scorer(self) -> Callable[[Tensor], Tensor]:
        """`Recommender.scores` for as long as no weight changes."""
        ...


@runtime_checkable
class SequenceModel(Recommender, Protocol):
    """A recommender that learns from rows; also a `torch.nn.Module`."""

    @property
    def row_length(self) -> int:
        """Longest training row it takes."""
        ...

    @property
    def negatives(self) -> NegativesWanted | None:
        """What `loss` expects to find in `Batch.negatives`."""
        ...

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss over the real places of the batch that are predicted, as a scalar with gradients."""
        ...
