"""The fast way: rows of any length read in one pass without padding, by a model whose attention can be exchanged.

Whether it can is not asked but tried: at opening, a few tokens go both ways, through the model as it came and in
pieces, and where the logits differ the model is asked row by row instead (`single`).

Shapes: T tokens of a pass, N places whose next token is wanted, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import psutil
import torch
import transformers

from whyrec.llm.providers.decoding.attention import NAME, Plan, attend
from whyrec.llm.providers.decoding.head import Head
from whyrec.llm.providers.decoding.store import Piece, Store, Trunk

_SHARE = 0.4  # of the memory that is free when the first rows come: what keys and values may take
_NEAR = (
    0.05  # of the range of the logits: what both ways may differ by (bfloat16 rounds by chance; a wrong mask is far)
)


class Packed:
    """Reads pieces through a model with attention over slots.

    Args:
        model: as transformers loads it.
    """

    shares = True

    def __init__(self, model: Any) -> None:
        self._model, self._store = model, Store()
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        window = getattr(model.config.get_text_config(), "sliding_window", None)
        # two parts put together are rounded twice: nothing in float32, but in bfloat16 the same question asked again,
        # beside others, would be answered otherwise; with a copy its numbers are the same to the last bit
        self._leaning = model.device.type == "cpu" and model.dtype == torch.float32 and not window
        self._free = 0
        rounds = model.dtype in (torch.bfloat16, torch.float16) and model.device.type == "cpu"
        self._head = Head(model) if rounds else None

    def forward(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """Read; the logits that are wanted, float32[N, V], in the order of the pieces."""
        device = self._model.device
        ids_T = [token for piece in pieces for token in piece.ids]
        places_T = [place for piece in pieces for place in range(piece.start, piece.start + len(piece.ids))]
        steps = all(len(piece.ids) == 1 and piece.slot == i for i, piece in enumerate(pieces))
        plan = Plan(self._store, pieces, self._leaning, steps, device)
        kept = [
            b - piece.wanted + k for piece, (_, b) in zip(pieces, plan.bounds, strict=True) for k in range(piece.wanted)
        ]
        kept_N = torch.tensor(kept, dtype=torch.long, device=device)
        slots = [piece for piece in pieces if piece.slot >= 0]
        if slots:
            self._store.reserve(
                max(piece.slot for piece in slots) + 1, max(plan.own(piece) + len(piece.ids) for piece in slots)
            )
        out = self._model(
            input_ids=torch.tensor([ids_T], device=device),
            position_ids=torch.tensor([places_T], device=device),
            use_cache=False,
            whyrec_plan=plan,
            **({"logits_to_keep": kept_N} if self._keeps else {}),
        )
        logits_NV = out.logits[0] if self._keeps else out.logits[0, kept_N]
        if self._head is not None and self._head.changed(logits_NV):
            self._head.leave()
            self._head = None
        found: torch.Tensor = logits_NV.float()
        return found

    def sharpen(self, logits_RV: torch.Tensor, places: Sequence[int], whole: Collection[int]) -> None:
        """Logits of the latest pass as float32 has them; see `Head.sharpen`. They are, where the weights are."""
        if self._head is not None:
            self._head.sharpen(logits_RV, places, whole)

    def move(self, source: int, target: int, tokens: int) -> None:
        """The row in slot `source` goes to `target`; `tokens` is how many of its tokens lie in its slot."""
        self._store.move(source, target, tokens)

    def in_slot(self, length: int, shared: int) -> int:
        """How many tokens of a row lie in its slot."""
        return length - shared if self._leaning else length

    def room(self, tokens: int) -> int:
        """How many rows of this many tokens in their slots there is memory for; at least one."""
        each = self._store.bytes_per_token * tokens
        if not each:
            return 1
        self._free = self._free or _free(self._model.device)
        return max(1, int(_SHARE * self._free / each))

    def clear(self) -> None:
        """Forget all rows and give their memory back."""
        self._store.clear()


def _free(device: torch.device) -> int:
    """Bytes of memory that nobody uses."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def packed(model: Any, some: Sequence[int]) -> Packed | None:
    """The fast way for this model; None where it has none.

    Args:
        model: as transformers loads it, in eval mode.
        some: tokens to try it with.
    """
    ids = (list(some) * 12)[:12]
    try:
        with torch.inference_mode():
            own_TV = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0].float()
        transformers.AttentionInterface.register(NAME, attend)
        before = model.config._attn_implementation
        model.set_attn_implementation(NAME)
        try:
            way = Packed(model)
            near = _NEAR * float(own_TV.max() - own_TV.min())
            if model.config._attn_implementation == NAME and _tried(way, ids, own_TV) <= near:
                way.clear()
                return way
        except Exception:  # of whatever kind: a model of another make does not know our arguments
            pass
        model.set_attn_implementation(before)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        pass
    return None


@torch.inference_mode()
def _tried(way: Packed, ids: list[int], own_TV: torch.Tensor) -> float:
    """The greatest difference from the model's own logits: a trunk, a row on it, one without, and a step of both."""
    trunk = Trunk(torch.tensor(ids[:5]).numpy())
    found_NV = way.forward([Piece(ids[:5], 0, into=trunk), Piece(ids[5:9], 5, 2, 0, trunk, 5), Piece(ids[:7], 0, 1, 1)])
    steps_NV = way.forward([Piece(ids[9:10], 9, 1, 0, trunk, 5), Piece(ids[7:8], 7, 1, 1)])
    return float((torch.cat([found_NV, steps_NV]) - own_TV[[7, 8, 6, 9, 7]]).abs().max())
