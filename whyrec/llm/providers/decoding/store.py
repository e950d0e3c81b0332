"""What the model has read: keys and values of every row, in slots; what several rows begin with, in trunks.

A slot holds the tokens of one row behind its trunk. Slots that are in use are always 0..R-1, so that a step reads them
as one tensor without gathering; when a row leaves, the last one moves into its place (`move`). Buffers grow with the
longest row and the number of rows, layer by layer, and are not made before they are needed.

Shapes: R slots, H key heads, C tokens that a slot has room for, D width of a head, P tokens of a trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

_SLACK = 64  # tokens of room that a buffer has when it is made


@dataclass(eq=False)
class Trunk:
    """A beginning that several rows have in common, read once.

    Attributes:
        ids: its tokens, int64[P].
        kept: layer -> (keys_1HPD, values_1HPD).
        users: rows under way that lean on it.
        used: when a row last came to it, in rounds of the scheduler.
    """

    ids: npt.NDArray[np.int64]
    kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    users: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of one row that are read in one forward pass.

    Attributes:
        ids: the tokens.
        start: place of the first of them in its row.
        wanted: after how many of the last ones the next token's logits are needed.
        slot: where their keys and values go; -1 where they become a trunk.
        trunk, shared: what stands before them and was read for several rows: the first `shared` tokens of the trunk.
        into: the trunk that they become, behind what they share.
    """

    ids: Sequence[int]
    start: int
    wanted: int = 0
    slot: int = -1
    trunk: Trunk | None = None
    shared: int = 0
    into: Trunk | None = None


class Store:
    """Buffers of all layers."""

    def __init__(self) -> None:
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._slots, self._room = 0, 0
        self._bytes: dict[int, int] = {}

    @property
    def bytes_per_token(self) -> int:
        """Of keys and values over all layers; 0 before the first forward pass."""
        return sum(self._bytes.values())

    def reserve(self, slots: int, tokens: int) -> None:
        """There will be slots 0..slots-1 with up to `tokens` tokens each."""
        if slots > self._slots:
            self._slots = max(slots, min(2 * self._slots, self._slots + 16))
        if tokens > self._room:
            self._room = max(tokens + _SLACK, self._room * 5 // 4)

    def layer(self, number: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer, [R, H, C, D] each, at least as large as was reserved; `like` is [., H, ., D]."""
        found = self._layers.get(number)
        heads, width = like.shape[1], like.shape[3]
        if found is None or found[0].shape[0] < self._slots or found[0].shape[2] < self._room:
            fresh = [like.new_zeros(self._slots, heads, self._room, width) for _ in range(2)]
            for new, old in zip(fresh, found or (), strict=False):
                new[: old.shape[0], :, : old.shape[2]] = old
            found = self._layers[number] = (fresh[0], fresh[1])
            self._bytes[number] = 2 * heads * width * like.element_size()
        return found

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy a row's tokens to another slot."""
        for keys, values in self._layers.values():
            keys[target, :, :tokens] = keys[source, :, :tokens]
            values[target, :, :tokens] = values[source, :, :tokens]

    def clear(self) -> None:
        """Give the memory back."""
        self._layers.clear()
        self._slots, self._room = 0, 0
