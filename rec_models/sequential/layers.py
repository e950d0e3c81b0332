"""The layers of self-attentive recommenders, each a few lines.

Dropout sits on embeddings and on what a sub-block adds (not on attention weights: that keeps the fused attention
kernel on CPU and changed nothing on validation), and draws its random numbers four at a time on CPU. `gated` and
`swiglu` are the LiGR-like variant of eSASRec.
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["pre", "post"]
Activation = Literal["relu", "gelu", "swiglu"]
_STEPS = 1 << 16


class Dropout(nn.Dropout):
    """As torch's. On CPU a draw of 64 bits serves four values: torch draws per value, a twelfth of a step of SASRec.

    The share left out is then `p` rounded to 1/65536, and what stays is scaled by that share.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Any shape."""
        dropped = round(self.p * _STEPS)
        if not self.training or not 0 < dropped < _STEPS or input.device.type != "cpu":
            return super().forward(input)
        words = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
        drawn = words.view(torch.int16)[: input.numel()].view(input.shape)
        kept = (drawn >= dropped - _STEPS // 2).to(input.dtype)
        return input * kept.mul_(_STEPS / (_STEPS - dropped))


class Attention(nn.Module):
    """Multi-head self-attention (SASRec section III.B), causal or over the real places both ways."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        assert width % heads == 0, (width, heads)
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BLD: Tensor, real_BL: Tensor | None) -> Tensor:
        """[B, L, D]; `real_BL` (bool) hides padding as keys, and is only needed where attention is not causal."""
        q, k, v = (self._heads(part) for part in self.qkv(x_BLD).chunk(3, dim=-1))
        mask = None if self.causal or real_BL is None else real_BL[:, None, None, :]
        with _whole(x_BLD):
            mixed = F.scaled_dot_product_attention(
                q.float(), k.float(), v.float(), attn_mask=mask, is_causal=self.causal
            )
        return self._joined(mixed)

    def at(self, x_BLD: Tensor, place_B: Tensor) -> Tensor:
        """Causal attention of one place of each row, [B, 1, D]: what `forward` gives there, for less."""
        assert self.causal
        d = x_BLD.shape[2]
        query = F.linear(pick(x_BLD, place_B), self.qkv.weight[:d], self.qkv.bias[:d])
        keys, values = F.linear(x_BLD, self.qkv.weight[d:], self.qkv.bias[d:]).chunk(2, dim=-1)
        before_BL = torch.arange(x_BLD.shape[1], device=x_BLD.device) <= place_B[:, None]
        q, k, v = (self._heads(part) for part in (query, keys, values))
        return self._joined(F.scaled_dot_product_attention(q, k, v, attn_mask=before_BL[:, None, None, :]))

    def _heads(self, x_BLD: Tensor) -> Tensor:
        b, length, _ = x_BLD.shape
        return x_BLD.reshape(b, length, self.heads, -1).transpose(1, 2)

    def _joined(self, mixed_BHLK: Tensor) -> Tensor:
        out: Tensor = self.out(mixed_BHLK.transpose(1, 2).flatten(2))
        return out


def _whole(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)


def pick(x_BLD: Tensor, place_B: Tensor) -> Tensor:
    """One place of each row, [B, 1, D]."""
    return x_BLD[torch.arange(len(place_B), device=x_BLD.device), place_B][:, None]


class FeedForward(nn.Module):
    """Two linear maps with a nonlinearity between, at every place alike."""

    def __init__(self, width: int, inner: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(width, 2 * inner if activation == "swiglu" else inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """[B, L, D]."""
        hidden = self.up(x_BLD)
        if self.activation == "swiglu":
            gate, hidden = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * hidden
        else:
            hidden = F.relu(hidden) if self.activation == "relu" else F.gelu(hidden)
        out: Tensor = self.down(hidden)
        return out


class Block(nn.Module):
    """Attention, then feed-forward, each added to what came in.

    `norm` "pre" normalises what goes into a sub-block, "post" what comes out of the sum. `gated` multiplies what a
    sub-block adds with a learned gate of its input.
    """

    def __init__(self, attention: Attention, feed: FeedForward, *, norm: Norm, dropout: float, gated: bool) -> None:
        super().__init__()
        width = attention.out.out_features
        self.attention, self.feed, self.norm = attention, feed, norm
        self.norm_1, self.norm_2 = nn.LayerNorm(width, eps=1e-8), nn.LayerNorm(width, eps=1e-8)
        self.gate_1 = nn.Linear(width, width) if gated else None
        self.gate_2 = nn.Linear(width, width) if gated else None
        self.dropout = Dropout(dropout)

    def forward(self, x_BLD: Tensor, real_BL: Tensor | None) -> Tensor:
        """[B, L, D]."""
        inner = self.norm_1(x_BLD) if self.norm == "pre" else x_BLD
        return self._after(x_BLD, inner, self.attention(inner, real_BL))

    def at(self, x_BLD: Tensor, place_B: Tensor) -> Tensor:
        """One place of each row, [B, 1, D]: what `forward` gives there, for less (causal attention only)."""
        inner = self.norm_1(x_BLD) if self.norm == "pre" else x_BLD
        return self._after(pick(x_BLD, place_B), pick(inner, place_B), self.attention.at(inner, place_B))

    def _after(self, x: Tensor, inner: Tensor, attended: Tensor) -> Tensor:
        """The sums, given what attention found."""
        x = x + self._add(attended, inner, self.gate_1)
        if self.norm == "pre":
            inner = self.norm_2(x)
            return x + self._add(self.feed(inner), inner, self.gate_2)
        x = self.norm_1(x)
        out: Tensor = self.norm_2(x + self._add(self.feed(x), x, self.gate_2))
        return out

    def _add(self, part: Tensor, inner: Tensor, gate: nn.Linear | None) -> Tensor:
        out: Tensor = self.dropout(part)
        return out if gate is None else out * torch.sigmoid(gate(inner))


class BlockShape(Protocol):
    """The part of a model's settings that its blocks need; see `SASRecSettings` for the words."""

    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def blocks(self) -> int: ...  # noqa: D102
    @property
    def heads(self) -> int: ...  # noqa: D102
    @property
    def inner(self) -> int: ...  # noqa: D102
    @property
    def dropout(self) -> float: ...  # noqa: D102
    @property
    def norm(self) -> Norm: ...  # noqa: D102
    @property
    def activation(self) -> Activation: ...  # noqa: D102
    @property
    def gated(self) -> bool: ...  # noqa: D102


def blocks_of(shape: BlockShape, *, causal: bool) -> nn.ModuleList:
    """The blocks of a model."""
    return nn.ModuleList(
        Block(
            Attention(shape.width, shape.heads, causal=causal),
            FeedForward(shape.width, shape.inner * shape.width, shape.activation),
            norm=shape.norm,
            dropout=shape.dropout,
            gated=shape.gated,
        )
        for _ in range(shape.blocks)
    )
