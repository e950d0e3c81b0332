"""Softmax cross-entropy over the whole catalogue, without ever holding the [T, I] logits of all places.

What is unusual, and why:

- A softmax over the catalogue is attention whose keys are the items. On CPU torch's attention kernel, which works in
  blocks that stay in the cache, gives the loss and both gradients in two calls: four products instead of three, but no
  logit is ever written to memory. In bfloat16 it is fast only on processors with AMX.
- Elsewhere: three products and the exponentials of chunks of places, in one buffer. Nothing is taken off the scores
  first where none can be large enough for their exponentials to overflow, which saves two passes over the buffer of
  five. (1,400 places of Beauty on a Zen core with AVX512-BF16, bfloat16: attention 112 ms, chunks 51, without the two
  passes 44; float32: attention 109, chunks 110.)
- Gradients of states and items are computed in the forward pass.
- Items may count as directions (cosine scores): their gradient is then turned in place.

Shapes: T places, I items, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 512
"""Places at a time, of `_by_chunks`."""
FAR = 8192.0
"""Above scores of this size the log of a sum has steps of .001 in float32, and by attention gradients are no better."""
SAFE = 60.0
"""Scores up to this size go into exponentials as they are: e^60 times 10^7 items is a quarter of float32's range."""


def cross_entropy(
    h_TD: Tensor, items_ID: Tensor, true_T: Tensor, *, smoothing: float = 0.0, directions: bool = False
) -> Tensor:
    """Mean softmax cross-entropy over all items. First derivatives only.

    Args:
        h_TD: states.
        items_ID: the item table.
        true_T: the items that came next, counted from 0.
        smoothing: this share of the target goes to all items alike.
        directions: score by the items' directions, as if each row had length 1.
    """
    place = h_TD.device.type
    kind = torch.get_autocast_dtype(place) if torch.is_autocast_enabled(place) else h_TD.dtype
    with torch.autocast(place, enabled=False):
        how = _How(smoothing, directions, kind)
        loss: Tensor = _LinearCrossEntropy.apply(h_TD.to(items_ID.dtype), items_ID, true_T, how)  # type: ignore[no-untyped-call]
    return loss


@dataclass(frozen=True, slots=True)
class _How:
    """Smoothing and directions of `cross_entropy`, and the precision of its products."""

    smoothing: float
    directions: bool
    kind: torch.dtype


class _LinearCrossEntropy(torch.autograd.Function):
    """logits = h @ E.T, softmax cross-entropy and both gradients."""

    @staticmethod
    def forward(ctx: Any, h_TD: Tensor, items_ID: Tensor, true_T: Tensor, how: _How) -> Tensor:
        """The mean loss; its gradients wait in `ctx`."""
        smoothing = how.smoothing
        lengths = torch.linalg.vector_norm(items_ID, dim=-1, keepdim=True).clamp_min(1e-12) if how.directions else None
        table = items_ID if lengths is None else items_ID / lengths
        true_TD, n = F.embedding(true_T, table), len(h_TD)
        most = float(_largest(h_TD) * _largest(table))
        over_all = _by_attention if _attends(h_TD.device.type, how.kind, most) else _by_chunks
        log_sums, grad_h, grad_items = over_all(h_TD, table, how.kind, most)
        total = log_sums - (1 - smoothing) * (h_TD * true_TD).sum()
        grad_h.add_(true_TD, alpha=smoothing - 1)
        grad_items.index_add_(0, true_T, h_TD, alpha=(smoothing - 1) / n)
        if smoothing:
            mean_item = table.mean(0)
            total -= smoothing * (h_TD @ mean_item).sum()
            grad_h -= smoothing * mean_item
            grad_items -= smoothing / n / len(table) * h_TD.sum(0)
        if lengths is not None:
            along = torch.linalg.vecdot(grad_items, table).unsqueeze(-1)
            grad_items.addcmul_(table, along, value=-1).div_(lengths)
        ctx.save_for_backward(grad_h.div_(n), grad_items)
        return total / n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The stored gradients, times what comes from above."""
        grad_h, grad_items = ctx.saved_tensors
        return grads[0] * grad_h, grads[0] * grad_items, None, None


def _attends(place: str, kind: torch.dtype, most: float) -> bool:
    """Whether torch's attention kernel is the faster way, and scores are small enough for the logs of its sums."""
    return place == "cpu" and most <= FAR and (kind != torch.bfloat16 or torch.cpu._is_amx_tile_supported())


def _by_attention(h_TD: Tensor, table_ID: Tensor, kind: torch.dtype, _most: float) -> tuple[Tensor, Tensor, Tensor]:
    """What the sum over all items gives: (sum of the logs of the sums, mean item of each place, gradient of items).

    Places attend to items: the kernel returns their mean item and the log of their sum. Then items attend to places,
    each place lowered by the log of its sum: mean state times sum of weights is the sum over places of share and state.
    """
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # the only door to the logs of the sums
    h, items = h_TD.to(kind)[None, None], table_ID.to(kind)[None, None]
    mean, log_sums = attend(h, items, items, scale=1.0)
    lowered = log_sums.neg().view(1, 1, 1, -1).expand(1, 1, len(table_ID), -1)
    mean_h, log_shares = attend(items, h, h, attn_mask=lowered, scale=1.0)
    shares = (log_shares - math.log(len(h_TD))).exp_().view(-1, 1)
    return log_sums.sum().to(h_TD.dtype), mean[0, 0].to(h_TD.dtype), (mean_h[0, 0] * shares).to(h_TD.dtype)


def _by_chunks(h_TD: Tensor, table_ID: Tensor, kind: torch.dtype, most: float) -> tuple[Tensor, Tensor, Tensor]:
    """The same on any device, chunk by chunk of places in one buffer."""
    h, items, n = h_TD.to(kind), table_ID.to(kind), len(h_TD)
    mean_TD, grad_items = torch.empty_like(h_TD), torch.zeros_like(table_ID)
    sums_T, tops_T = h_TD.new_empty(n, 1), h_TD.new_zeros(n, 1)
    buffer = torch.empty(min(CHUNK, n), len(items), dtype=kind, device=h.device)
    safe = most <= SAFE
    for start in range(0, n, CHUNK):
        part, here = h[start : start + CHUNK], slice(start, start + CHUNK)
        e = torch.mm(part, items.T, out=buffer[: len(part)])
        if not safe:
            tops_T[here] = e.amax(1, keepdim=True)
            e.sub_(tops_T[here])
        sums_T[here] = e.exp_().sum(1, keepdim=True)
        mean_TD[here] = e @ items
        grad_items += e.T @ (h_TD[here] / sums_T[here]).to(kind)
    return (tops_T + sums_T.log()).sum(), mean_TD.div_(sums_T), grad_items.div_(n)


def _largest(rows: Tensor) -> Tensor:
    """The length of the longest row: no score is larger than that of the states times that of the items."""
    largest: Tensor = torch.linalg.vector_norm(rows, dim=-1).max()
    return largest
