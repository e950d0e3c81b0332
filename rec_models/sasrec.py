"""SASRec (Kang and McAuley, ICDM 2018): a causal transformer over a user's items; the next item is the nearest one.

Unusual here: rows are padded on the right, so a causal mask alone keeps padding out of every real place, and positions
may be counted back from the newest event. An optional token of the user stands in front of the items (CoT-Rec,
llmehance/SASRec_user_emb), with a table of its own, and then predicts the first item. Items and users may start from
text vectors (rec_models/text_init.py) and are trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rec_models.base import Batch, NegativesWanted
from rec_models.layers import Activation, Attention, Block, FeedForward, Norm
from rec_models.losses import LossSettings, next_item_loss, scaled
from whyrec.errors import UsageError

Vectors = npt.NDArray[np.float32]
UserToken = Literal["none", "random", "given"]


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
        activation, gated: see rec_models/layers.py.
        from_end: count positions back from the newest item instead of on from the oldest.
        user_token: a token of the user in front: none, a random row, or the given user vectors.
        init_std: of every random weight.
        loss: see rec_models/losses.py.
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
        item_vectors: [I, D] to start the item table from; random otherwise.
        user_vectors: [U, D] to start the user table from, with user_token="given".
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
        s = self.settings = settings
        self.n_items, self.max_length = n_items, s.max_length
        self.items = nn.Parameter(torch.empty(n_items, s.width))
        self.users = _user_table(s, user_vectors, n_users)
        self.positions = nn.Parameter(torch.empty(s.max_length + 1, s.width))
        self.blocks = nn.ModuleList(_block(s) for _ in range(s.blocks))
        self.last_norm = nn.LayerNorm(s.width, eps=1e-8) if s.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(s.dropout)
        initialise(self, s.init_std, seed)
        load_vectors(self.items, item_vectors, "item_vectors")
        if self.users is not None and user_vectors is not None:
            load_vectors(self.users, user_vectors, "user_vectors")

    @property
    def row_length(self) -> int:
        """What is read, and the item after it."""
        return self.max_length + 1

    @property
    def negatives(self) -> NegativesWanted | None:
        """As the loss wants."""
        return self.settings.loss.wanted

    def forward(self, batch: Batch) -> Tensor:
        """States of all places [B, L, D], or [B, 1 + L, D] with a user token; those of padding mean nothing."""
        length = batch.items_BL.shape[1]
        place_L = torch.arange(length, device=batch.items_BL.device)
        if self.settings.from_end:
            place = (self.max_length - batch.lengths_B[:, None] + place_L).clamp(0, self.max_length - 1)
        else:
            place = place_L[None]
        x = F.embedding((batch.items_BL - 1).clamp_min(0), self.items) + F.embedding(place, self.positions)
        if self.users is not None:
            user_BD = F.embedding(batch.users_B, self.users) + self.positions[self.max_length]
            x = torch.cat([user_BD[:, None], x], dim=1)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, None)
        out: Tensor = self.last_norm(x)
        return out

    def encode(self, batch: Batch) -> Tensor:
        """states_BD after the last item."""
        states = self.forward(batch)
        last_B = batch.lengths_B - (1 if self.users is None else 0)
        return states[torch.arange(len(last_B), device=states.device), last_B]

    def scores(self, states: Tensor) -> Tensor:
        """scores_BI."""
        h_BD, items_ID = scaled(states, self.items, self.settings.loss.temperature)
        return h_BD @ items_ID.T

    def loss(self, batch: Batch) -> Tensor:
        """Every place predicts the item after it; a user token predicts the first."""
        shown = Batch(batch.users_B, batch.items_BL[:, :-1], (batch.lengths_B - 1).clamp_min(1))
        ahead = 1 if self.users is None else 0
        true_BL = batch.items_BL[:, ahead:]
        real_BL = true_BL > 0
        negatives = batch.negatives
        if negatives is not None and negatives.dim() == 3:
            negatives = negatives[:, ahead:][real_BL]
        h_TD = self.forward(shown)[real_BL]
        return next_item_loss(h_TD, self.items, true_BL[real_BL], settings=self.settings.loss, negatives=negatives)


def _block(s: SASRecSettings) -> Block:
    attention = Attention(s.width, s.heads, causal=True)
    feed = FeedForward(s.width, s.inner * s.width, s.activation)
    return Block(attention, feed, norm=s.norm, dropout=s.dropout, gated=s.gated)


def _user_table(s: SASRecSettings, user_vectors: Vectors | None, n_users: int) -> nn.Parameter | None:
    if s.user_token == "none":
        return None
    if s.user_token == "given" and user_vectors is None:
        raise UsageError('A model with user_token="given" needs user_vectors [users, width].')
    count = n_users if user_vectors is None else len(user_vectors)
    if count < 1:
        raise UsageError('A model with user_token="random" needs n_users, the number of users of the corpus.')
    return nn.Parameter(torch.empty(count, s.width))


def initialise(model: nn.Module, std: float, seed: int) -> None:
    """Matrices from N(0, std), vectors of layer norms 1 and 0, biases 0; from this seed alone."""
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, 0.0, std, generator=random)
        else:
            nn.init.constant_(weight, 1.0 if "norm" in name and name.endswith("weight") else 0.0)


def load_vectors(table: nn.Parameter, vectors: Vectors | None, name: str) -> None:
    """Overwrite a table with given rows.

    Raises:
        UsageError: their shape is not the table's.
    """
    if vectors is None:
        return
    if tuple(vectors.shape) != tuple(table.shape):
        raise UsageError(
            f"{name} have shape {tuple(vectors.shape)}, but this model wants {tuple(table.shape)}. "
            "Map them to the model's width first: rec_models.text_init.encode_and_map(vectors, width)."
        )
    with torch.no_grad():
        table.copy_(torch.from_numpy(np.ascontiguousarray(vectors, np.float32)))
