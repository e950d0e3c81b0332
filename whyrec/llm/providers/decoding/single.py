"""The slow way, for models whose attention cannot be exchanged: row by row, each with a cache of the model's own kind.

Right for every causal model that transformers knows (recurrent layers, attention sinks, caches of other shapes), since
no row is padded, moved or shared.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import torch

from whyrec.llm.providers.decoding.store import Piece

_CACHES = ("past_key_values", "cache_params")  # what models call what they keep


class Single:
    """Reads pieces one by one.

    Args:
        model: as transformers loads it.
    """

    shares = False

    def __init__(self, model: Any) -> None:
        self._model = model
        self._caches: dict[int, Any] = {}
        takes = inspect.signature(model.forward).parameters
        self._cache = next((name for name in _CACHES if name in takes), _CACHES[0])

    def forward(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """Read; the logits that are wanted, float32[N, V], in the order of the pieces."""
        found = []
        for piece in pieces:
            if not piece.start:
                self._caches.pop(piece.slot, None)
            out = self._model(
                input_ids=torch.tensor([list(piece.ids)], device=self._model.device),
                use_cache=True,
                **{self._cache: self._caches.get(piece.slot)},
            )
            self._caches[piece.slot] = out[self._cache]
            found.append(out.logits[0, len(piece.ids) - piece.wanted :].float())
        return torch.cat(found)

    def sharpen(self, logits_RV: torch.Tensor, places: Sequence[int], whole: Collection[int]) -> None:
        """They are as they come."""

    def move(self, source: int, target: int, tokens: int) -> None:
        """The row in slot `source` goes to `target`."""
        self._caches[target] = self._caches.pop(source)

    def in_slot(self, length: int, shared: int) -> int:
        """How many tokens of a row lie in its slot."""
        return length

    def room(self, tokens: int) -> int:
        """How many rows of this many tokens there is memory for: nobody knows, so few."""
        return 16

    def clear(self) -> None:
        """Forget all rows."""
        self._caches.clear()
