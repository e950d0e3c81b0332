"""BERT4Rec (Sun et al., CIKM 2019): a transformer that looks both ways and fills in masked items.

Training hides a share of a row's places behind one learned mask vector and asks for the items there; a part of the rows
hides only the newest place, which is the task at the end (RecBole's `ft_ratio`). To predict what comes next, a mask
is appended to the history. So the model reads one item fewer than its positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rec_models.base import Batch, NegativesWanted
from rec_models.sequential.layers import Activation, Dropout, Norm, blocks_of
from rec_models.sequential.losses import LossSettings, next_item_loss, scorer
from rec_models.sequential.tables import Tables, UserToken, Vectors, initialise


@dataclass(frozen=True, slots=True)
class BERT4RecSettings:
    """The shape of the network, what is masked, and the loss.

    Attributes:
        width, blocks, heads, inner, dropout, norm, activation, gated, from_end, user_token, init_std, loss: as in
            `SASRecSettings`.
        max_length: positions, the appended mask included.
        masked: share of places hidden in a row (at least one is).
        only_last: share of rows that hide just the newest place.
    """

    width: int = 64
    blocks: int = 2
    heads: int = 2
    inner: int = 4
    dropout: float = 0.2
    max_length: int = 51
    norm: Norm = "post"
    activation: Activation = "gelu"
    gated: bool = False
    from_end: bool = True
    user_token: UserToken = "none"
    init_std: float = 0.02
    masked: float = 0.2
    only_last: float = 0.5
    loss: LossSettings = field(default_factory=LossSettings)


class BERT4Rec(nn.Module):
    """See the module. Arguments and errors are those of `SASRec`."""

    def __init__(
        self,
        n_items: int,
        settings: BERT4RecSettings = BERT4RecSettings(),
        *,
        item_vectors: Vectors | None = None,
        user_vectors: Vectors | None = None,
        n_users: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings, self.n_items = settings, n_items
        self.tables = Tables(n_items, settings, user_vectors=user_vectors, n_users=n_users)
        self.mask = nn.Parameter(torch.empty(1, settings.width))
        self.blocks = blocks_of(settings, causal=False)
        self.last_norm = nn.LayerNorm(settings.width, eps=1e-8) if settings.norm == "pre" else nn.Identity()
        self.head = nn.Linear(settings.width, settings.width)
        self.head_norm = nn.LayerNorm(settings.width, eps=1e-8)
        self.dropout = Dropout(settings.dropout)
        initialise(self, settings.init_std, seed)
        self.tables.start_from(item_vectors, user_vectors)

    @property
    def max_length(self) -> int:
        """One position is kept for the mask."""
        return self.settings.max_length - 1

    @property
    def row_length(self) -> int:
        """All positions."""
        return self.settings.max_length

    @property
    def negatives(self) -> NegativesWanted | None:
        """As the loss wants."""
        return self.settings.loss.wanted

    def forward(self, batch: Batch, masked_BL: Tensor) -> Tensor:
        """States [M, D] of the M masked places, row by row."""
        x = self.dropout(self.tables(batch, masked_BL, self.mask[0]))
        real_BL = F.pad(batch.items_BL > 0, (self.tables.ahead, 0), value=True)
        for block in self.blocks:
            x = block(x, real_BL)
        hidden_MD = self.last_norm(x[:, self.tables.ahead :][masked_BL])
        out: Tensor = self.head_norm(F.gelu(self.head(hidden_MD)))
        return out

    def encode(self, batch: Batch) -> Tensor:
        """states_BD of a mask after the last item."""
        longer = F.pad(batch.items_BL, (0, 1))
        masked_BL = torch.arange(longer.shape[1], device=longer.device) == batch.lengths_B[:, None]
        shown = replace(batch, items_BL=longer.masked_fill(masked_BL, 1), lengths_B=batch.lengths_B + 1)
        states: Tensor = self(shown, masked_BL)
        return states

    def scores(self, states: Tensor) -> Tensor:
        """scores_BI."""
        return self.scorer()(states)

    def scorer(self) -> Callable[[Tensor], Tensor]:
        """`scores` with the item table as it is now."""
        return scorer(self.tables.items, self.settings.loss.temperature)

    def loss(self, batch: Batch) -> Tensor:
        """The hidden places, from torch's random numbers, predict what they hide."""
        masked_BL = self._hide(batch)
        negatives = batch.negatives
        if negatives is not None and negatives.dim() == 3:
            negatives = negatives[masked_BL]
        true_M = batch.items_BL[masked_BL]
        return next_item_loss(
            self(batch, masked_BL), self.tables.items, true_M, settings=self.settings.loss, negatives=negatives
        )

    def _hide(self, batch: Batch) -> Tensor:
        """Which places are masked: a share of the real ones, at least one a row; in some rows just the newest."""
        shape, device = batch.items_BL.shape, batch.items_BL.device
        chance_BL = torch.rand(shape, device=device).masked_fill(batch.items_BL == 0, 2.0)
        lowest_BL = torch.zeros(shape, dtype=torch.bool, device=device)
        lowest_BL.scatter_(1, chance_BL.argmin(1, keepdim=True), True)
        newest_BL = torch.arange(shape[1], device=device) == batch.lengths_B[:, None] - 1
        only_last_B1 = torch.rand(shape[0], 1, device=device) < self.settings.only_last
        return torch.where(only_last_B1, newest_BL, (chance_BL < self.settings.masked) | lowest_BL)
