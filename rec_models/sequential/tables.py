"""The rows a sequence model looks up: items, positions and, in front, an optional token of the user (CoT-Rec).

Items and users may start from given vectors (rec_models/sequential/text_init.py); they are trained on either way. There
is no row for padding: padded places read some row, and nothing ever reads them.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rec_models.base import Batch
from whyrec.errors import UsageError

Vectors = npt.NDArray[np.float32]
UserToken = Literal["none", "random", "given"]


class TableShape(Protocol):
    """The part of a model's settings that its tables need."""

    @property
    def width(self) -> int:
        """D."""
        ...

    @property
    def max_length(self) -> int:
        """Positions."""
        ...

    @property
    def from_end(self) -> bool:
        """Count positions back from the newest event instead of on from the oldest."""
        ...

    @property
    def user_token(self) -> UserToken:
        """No token of the user, one with a random start, or one that starts from given vectors."""
        ...


class Tables(nn.Module):
    """Items [I, D], positions [max_length, D], users [U, D] and the position of the user's token, if there is one.

    Args:
        n_items: I.
        shape: settings.
        user_vectors: float32 [U, D], needed by user_token "given".
        n_users: U, needed by user_token "random".

    Raises:
        UsageError: a user token without what it needs, or user vectors without a user token.
    """

    def __init__(self, n_items: int, shape: TableShape, *, user_vectors: Vectors | None, n_users: int) -> None:
        super().__init__()
        self.max_length, self.from_end = shape.max_length, shape.from_end
        self.items = nn.Parameter(torch.empty(n_items, shape.width))
        self.positions = nn.Parameter(torch.empty(shape.max_length, shape.width))
        self.users: nn.Parameter | None = None
        if shape.user_token == "none" and user_vectors is not None:
            raise UsageError('User vectors were given to a model without a user token: set user_token="given".')
        if shape.user_token != "none":
            users = _count_users(shape.user_token, user_vectors, n_users)
            self.users = nn.Parameter(torch.empty(users, shape.width))
            self.user_position = nn.Parameter(torch.empty(1, shape.width))

    @property
    def ahead(self) -> int:
        """Places in front of the items: 1 with a user token, else 0."""
        return 0 if self.users is None else 1

    def start_from(self, item_vectors: Vectors | None, user_vectors: Vectors | None) -> None:
        """Overwrite tables with given rows.

        Raises:
            UsageError: their shape is not the table's, or they hold something that is not a finite number.
        """
        for name, table, vectors in (
            ("item_vectors", self.items, item_vectors),
            ("user_vectors", self.users, user_vectors),
        ):
            if vectors is not None and table is not None:
                _fill(table, vectors, name)

    def forward(self, batch: Batch, masked_BL: Tensor | None = None, mask_D: Tensor | None = None) -> Tensor:
        """[B, ahead + L, D]: what stands at each place plus its position; places in `masked_BL` show `mask_D`."""
        place = torch.arange(batch.items_BL.shape[1], device=batch.items_BL.device)[None]
        if self.from_end:
            place = (place + self.max_length - batch.lengths_B[:, None]).clamp_max(self.max_length - 1)
        x_BLD = F.embedding((batch.items_BL - 1).clamp_min(0), self.items)
        if masked_BL is not None and mask_D is not None:
            x_BLD = torch.where(masked_BL[..., None], mask_D, x_BLD)
        x_BLD = x_BLD + F.embedding(place, self.positions)
        if self.users is None:
            return x_BLD
        user_BD = F.embedding(batch.users_B, self.users) + self.user_position
        return torch.cat([user_BD[:, None], x_BLD], dim=1)


def _count_users(kind: UserToken, user_vectors: Vectors | None, n_users: int) -> int:
    if kind == "given" and user_vectors is None:
        raise UsageError('A model with user_token="given" needs user_vectors [users, width].')
    if kind == "random" and n_users < 1:
        raise UsageError('A model with user_token="random" needs n_users, the number of users of the corpus.')
    return n_users if user_vectors is None else len(user_vectors)


def _fill(table: nn.Parameter, vectors: Vectors, name: str) -> None:
    if tuple(vectors.shape) != tuple(table.shape):
        raise UsageError(
            f"{name} have shape {tuple(vectors.shape)}, but this model wants {tuple(table.shape)}. "
            "Map them to the model's width first: rec_models.sequential.text_init.encode_and_map(vectors, width)."
        )
    if not np.isfinite(vectors).all():
        raise UsageError(f"{name} hold values that are not finite numbers; embed the texts again.")
    with torch.no_grad():
        table.copy_(torch.from_numpy(np.ascontiguousarray(vectors, np.float32)))


def initialise(model: nn.Module, std: float, seed: int) -> None:
    """Matrices from N(0, std), layer norms 1 and 0, biases and positions 0; from this seed alone.

    A position that no training row reaches then adds nothing, where noise would move the newest place of the longest
    histories, which is read at test time only.
    """
    random = torch.Generator().manual_seed(seed)
    for name, weight in sorted(model.named_parameters()):
        if name.endswith("positions"):
            nn.init.zeros_(weight)
        elif weight.dim() > 1:
            nn.init.normal_(weight, 0.0, std, generator=random)
        else:
            nn.init.constant_(weight, 1.0 if "norm" in name and name.endswith("weight") else 0.0)
