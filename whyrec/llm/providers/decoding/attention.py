"""Attention over what was read earlier: the function that takes the place of transformers' own.

All rows of a forward pass stand behind each other in one sequence, so no place is padding and nothing but attention
knows where a row ends. A row attends to its own tokens in its slot. What it shares with other rows is attended to once
for all of them, as one large product that reads those keys a single time, and the two results are put together by their
normalisers (softmax over both = each one's softmax, weighted by its sum of exponentials: Hydragen, 2024).
Where that would round twice (bfloat16), where normalisers cannot be had (off the CPU), or where layers look back only
so far, a row begins with a copy of its trunk.

Shapes: T tokens of a pass, H heads, J key heads, G = H / J, D width of a head, S places attended to, R slots in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch.nn.functional import scaled_dot_product_attention

from whyrec.llm.providers.decoding.store import Piece, Store, Trunk

NAME = "whyrec_slots"
_NORMALISED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # also gives what the softmax divided by
_UNKNOWN = ("softcap", "s_aux", "sinks", "position_bias")  # arguments that change attention in ways not done here


@dataclass
class Plan:
    """What attention has to know about one forward pass.

    Attributes:
        store: where keys and values are kept.
        pieces: what is read, in the order of the tokens.
        leaning: whether trunks are attended to where they are, rather than copied.
        steps: whether every row in use reads one token: all slots are then read at once.
    """

    store: Store
    pieces: Sequence[Piece]
    leaning: bool
    steps: bool
    device: torch.device
    _masks: dict[Any, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bounds: list[tuple[int, int]] = []
        leans: dict[tuple[int, int], tuple[Trunk, list[int]]] = {}
        end = 0
        for piece in self.pieces:
            self.bounds.append((end, end + len(piece.ids)))
            if self.leaning and piece.trunk is not None and piece.shared:
                leans.setdefault((id(piece.trunk), piece.shared), (piece.trunk, []))[1].extend(range(*self.bounds[-1]))
            end = self.bounds[-1][1]
        self.leans = [
            (trunk, shared, torch.tensor(places, device=self.device)) for (_, shared), (trunk, places) in leans.items()
        ]
        if self.steps:  # where each row's token goes: slots and places in them
            places = [self.own(piece) for piece in self.pieces]
            self.newest = torch.arange(len(places), device=self.device), torch.tensor(places, device=self.device)

    def own(self, piece: Piece) -> int:
        """The place of a piece's first token within its slot."""
        return piece.start - piece.shared if self.leaning else piece.start

    def steps_mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """[R, 1, 1, S]: 0 where a row's newest token sees a place of its slot, else -inf."""
        if (found := self._masks.get((window, dtype))) is None:
            ends_R1 = torch.tensor([[self.own(piece) + 1] for piece in self.pieces], device=self.device)
            places_S = torch.arange(int(ends_R1.max()), device=self.device)
            seen_RS = places_S < ends_R1
            if window is not None:
                seen_RS &= places_S >= ends_R1 - window
            found = self._masks[window, dtype] = _mask(seen_RS, dtype)[:, None, None]
        return found

    def piece_mask(self, tokens: int, before: int, window: int | None, dtype: torch.dtype) -> torch.Tensor | None:
        """[1, 1, tokens, before + tokens] in the same way; None where it is the plain causal one."""
        if window is not None and before + tokens <= window:
            window = None
        if not before and window is None:
            return None
        key = (tokens, before, window, dtype)
        if (found := self._masks.get(key)) is None:
            ends_T1 = torch.arange(before, before + tokens, device=self.device)[:, None]
            places_S = torch.arange(before + tokens, device=self.device)
            seen_TS = places_S <= ends_T1
            if window is not None:
                seen_TS &= places_S > ends_T1 - window
            found = self._masks[key] = _mask(seen_TS, dtype)[None, None]
        return found


def attend(
    module: Any,
    query_1HTD: torch.Tensor,
    key_1JTD: torch.Tensor,
    value_1JTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    whyrec_plan: Plan,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it; returns [1, T, H, D].

    Raises:
        NotImplementedError: the model's attention is of a kind that is not known here.
    """
    for name in _UNKNOWN:
        if more.get(name) is not None:
            raise NotImplementedError(name)
    scale = more.get("scaling") or query_1HTD.shape[-1] ** -0.5
    fresh = Fresh(module.layer_idx, query_1HTD, key_1JTD, value_1JTD, scale, more.get("sliding_window"))
    out_THD, sums_TH = (_steps if whyrec_plan.steps else _pieces)(whyrec_plan, fresh)
    for trunk, shared, places in whyrec_plan.leans:
        keys_1JPD, values_1JPD = trunk.kept[fresh.layer]
        kept = keys_1JPD[:, :, :shared], values_1JPD[:, :, :shared]
        said_1HND, trunk_1HN = _attention(query_1HTD[:, :, places], kept, None, scale=scale)
        own_NH1 = (sums_TH[places] - trunk_1HN[0].T).sigmoid()[..., None]
        said_NHD = said_1HND[0].transpose(0, 1)
        out_THD[places] = torch.lerp(said_NHD.float(), out_THD[places].float(), own_NH1).to(out_THD.dtype)
    return out_THD[None], None


@dataclass(frozen=True, slots=True)
class Fresh:
    """What one layer made of the tokens of a pass, and how it attends."""

    layer: int
    query_1HTD: torch.Tensor
    key_1JTD: torch.Tensor
    value_1JTD: torch.Tensor
    scale: float
    window: int | None


_Found: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""What is said, [T, H, D], and the logarithms of the sums of exponentials, [T, H] (empty where nothing leans)."""


def _steps(plan: Plan, fresh: Fresh) -> _Found:
    """One token of every slot in use."""
    key_1JTD, rows = fresh.key_1JTD, len(plan.pieces)
    keys, values = plan.store.layer(fresh.layer, key_1JTD)
    slots_R, places_R = plan.newest
    keys[slots_R, :, places_R] = key_1JTD[0].transpose(0, 1)
    values[slots_R, :, places_R] = fresh.value_1JTD[0].transpose(0, 1)
    mask_R11S = plan.steps_mask(fresh.window, key_1JTD.dtype)
    seen = mask_R11S.shape[-1]
    kept = keys[:rows, :, :seen], values[:rows, :, :seen]
    query_RH1D = fresh.query_1HTD.transpose(0, 2)
    out_RH1D, sums_RH1 = _attention(query_RH1D, kept, mask_R11S, scale=fresh.scale, sums=plan.leaning)
    return out_RH1D[:, :, 0], sums_RH1[:, :, 0] if plan.leaning else sums_RH1


def _pieces(plan: Plan, fresh: Fresh) -> _Found:
    """Pieces one after another: a later one may lean on what an earlier one has made."""
    outs, sums = [], []
    for piece, (a, b) in zip(plan.pieces, plan.bounds, strict=True):
        kept = _kept(plan, piece, fresh.layer, fresh.key_1JTD[:, :, a:b], fresh.value_1JTD[:, :, a:b])
        query, before = fresh.query_1HTD[:, :, a:b], kept[0].shape[2] - (b - a)
        mask = plan.piece_mask(b - a, before, fresh.window, query.dtype)
        out_1HND, sums_1HN = _attention(query, kept, mask, scale=fresh.scale, causal=True, sums=plan.leaning)
        outs.append(out_1HND[0].transpose(0, 1))
        sums.append(sums_1HN[0].T if plan.leaning else sums_1HN)
    return torch.cat(outs), torch.cat(sums)


def _kept(
    plan: Plan, piece: Piece, layer: int, key_1JND: torch.Tensor, value_1JND: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep what is new of a piece; the keys and values that it attends to by itself, [1, J, S, D]."""
    trunk = piece.trunk.kept[layer] if piece.trunk is not None else (key_1JND[:, :, :0], value_1JND[:, :, :0])
    if piece.into is not None:
        key, value = (
            torch.cat([old[:, :, : piece.shared], new], dim=2)
            for old, new in zip(trunk, (key_1JND, value_1JND), strict=True)
        )
        piece.into.kept[layer] = (key, value)
        return (key_1JND, value_1JND) if plan.leaning else (key, value)
    at, end = plan.own(piece), plan.own(piece) + key_1JND.shape[2]
    keys, values = (part[piece.slot : piece.slot + 1] for part in plan.store.layer(layer, key_1JND))
    if at == piece.shared and not plan.leaning:
        keys[:, :, :at], values[:, :, :at] = trunk[0][:, :, :at], trunk[1][:, :, :at]
    keys[:, :, at:end], values[:, :, at:end] = key_1JND, value_1JND
    return keys[:, :, :end], values[:, :, :end]


def _attention(
    query_BHND: torch.Tensor,
    kept: tuple[torch.Tensor, torch.Tensor],
    mask: torch.Tensor | None,
    *,
    scale: float,
    causal: bool = False,
    sums: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is said, [B, H, N, D], and with `sums` the logarithms of the sums of exponentials, [B, H, N].

    `mask` is [B or 1, 1, N, S]. Without one every query sees everything, or, if `causal`, what is not behind it.
    """
    keys_BJSD, values_BJSD = kept
    batch, heads, count, width = query_BHND.shape
    groups = heads // keys_BJSD.shape[1]
    if mask is None and causal:
        keys_BJSD, values_BJSD = (part.repeat_interleave(groups, 1) for part in (keys_BJSD, values_BJSD))
        query = query_BHND
    else:  # the heads that share a key head are queries of one attention: no key is copied for them
        query = query_BHND.reshape(batch, -1, groups * count, width)
        mask = mask if mask is None else mask.repeat(1, 1, groups, 1)
        causal = False
    if not sums:
        out = scaled_dot_product_attention(query, keys_BJSD, values_BJSD, mask, is_causal=causal, scale=scale)
        return out.reshape(query_BHND.shape), out.new_zeros(0)
    out, found = _NORMALISED(query, keys_BJSD, values_BJSD, 0.0, causal, attn_mask=mask, scale=scale)
    return out.reshape(query_BHND.shape), found.reshape(batch, heads, count)


def _mask(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
