"""SASRec (Kang and McAuley, ICDM 2018): a causal transformer over a user's items; the next item is the nearest one.

Unusual here: rows are padded on the right, so a causal mask alone keeps padding out of every real place, and positions
may be counted back from the newest event. An optional token of the user stands in front of the items (CoT-Rec,
llmehance/SASRec_user_emb), with a table of its own, and then predicts the first item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from rec_models.base import Batch, NegativesWanted
from rec_models.sequential.layers import Activation, Block, Dropout, Norm, blocks_of
from rec_models.sequential.losses import LossSettings, next_item_loss, scorer
from rec_models.sequential.tables import Tables, UserToken, Vectors, initialise


@dataclass(frozen=True, slots=True)
class SASRecSettings:
    """The shape of the network and its loss.

    Attributes:
        width: D. Text vectors must have it.
        blocks, heads: of self-attention.
        inner: width inside the feed-forward part, as a multiple of `width`.
        dropout: on embeddings and on what sub-blocks add.
        max_length: latest items read.
        norm: "pre" or "post" layer normalisation.
        activation, gated: see rec_models/sequential/layers.py.
        from_end: count positions back from the newest item instead of on from the oldest.
        user_token: a token of the user in front: none, a random row, or the given user vectors.
        init_std: of every random weight.
        loss: see rec_models/sequential/losses.py.
    """

    width: int = 64
    blocks: int = 2
    heads: int = 2
    inner: int = 1
    dropout: float = 0.3
    max_length: int = 50
    norm: Norm = "pre"
    activation: Activation = "gelu"
    gated: bool = False
    from_end: bool = False
    user_token: UserToken = "none"
    init_std: float = 0.02
    loss: LossSettings = field(default_factory=LossSettings)


class SASRec(nn.Module):
    """See the module.

    Args:
        n_items: I.
        settings: shape and loss.
        item_vectors: float32 [I, D] to start the item table from; random otherwise.
        user_vectors: float32 [U, D] to start the user table from, with user_token="given".
        n_users: U, with user_token="random".
        seed: of the random weights.

    Raises:
        UsageError: vectors of the wrong shape, or a user token without what it needs.
    """

    def __init__(
        self,
        n_items: int,
        settings: SASRecSettings = SASRecSettings(),
        *,
        item_vectors: Vectors | None = None,
        user_vectors: Vectors | None = None,
        n_users: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings, self.n_items = settings, n_items
        self.tables = Tables(n_items, settings, user_vectors=user_vectors, n_users=n_users)
        self.blocks = blocks_of(settings, causal=True)
        self.last_norm = nn.LayerNorm(settings.width, eps=1e-8) if settings.norm == "pre" else nn.Identity()
        self.dropout = Dropout(settings.dropout)
        initialise(self, settings.init_std, seed)
        self.tables.start_from(item_vectors, user_vectors)

    @property
    def max_length(self) -> int:
        """As set."""
        return self.settings.max_length

    @property
    def row_length(self) -> int:
        """What is read, and the item after it."""
        return self.settings.max_length + 1

    @property
    def negatives(self) -> NegativesWanted | None:
        """As the loss wants."""
        return self.settings.loss.wanted

    def forward(self, batch: Batch) -> Tensor:
        """States of all places [B, L, D], or [B, 1 + L, D] with a user token; those of padding mean nothing."""
        x = self.dropout(self.tables(batch))
        for block in self.blocks:
            x = block(x, None)
        out: Tensor = self.last_norm(x)
        return out

    def encode(self, batch: Batch) -> Tensor:
        """states_BD after the last item; the last block works for that place alone."""
        place_B = batch.lengths_B - 1 + self.tables.ahead
        x = self.dropout(self.tables(batch))
        for block in self.blocks[:-1]:
            x = block(x, None)
        last = self.blocks[-1]
        assert isinstance(last, Block)
        out: Tensor = self.last_norm(last.at(x, place_B))[:, 0]
        return out

    def scores(self, states: Tensor) -> Tensor:
        """scores_BI."""
        return self.scorer()(states)

    def scorer(self) -> Callable[[Tensor], Tensor]:
        """`scores` with the item table as it is now."""
        return scorer(self.tables.items, self.settings.loss.temperature)

    def loss(self, batch: Batch) -> Tensor:
        """Every place predicts the item after it; a user token predicts the first."""
        shown = replace(batch, items_BL=batch.items_BL[:, :-1], lengths_B=(batch.lengths_B - 1).clamp_min(1))
        first = 1 - self.tables.ahead
        true_BL = batch.items_BL[:, first:]
        real_BL = true_BL > 0
        negatives = batch.negatives
        if negatives is not None and negatives.dim() == 3:
            negatives = negatives[:, first:][real_BL]
        h_TD = self(shown)[real_BL]
        return next_item_loss(
            h_TD, self.tables.items, true_BL[real_BL], settings=self.settings.loss, negatives=negatives
        )
