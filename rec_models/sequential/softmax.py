"""Softmax cross-entropy over the whole catalogue, without ever holding the [T, I] logits of all places.

What is unusual, and why:

- A softmax over the catalogue is attention whose keys are the items. On CPU torch's attention kernel, which works in
  blocks that stay in the cache, gives the loss and both gradients in two calls: four products instead of three, but no
  logit is ever written to memory. (With products, exponentials and sums in one buffer of 256 places, a whole step of
  SASRec on Beauty took 1.1 to 1.6 times as long; one loaded machine, in bfloat16 with AMX and in float32.)
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

CHUNK = 256
"""Places at a time: of `_by_chunks`, and of torch's attention kernel where there are that many."""


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
        loss: Tensor = _LinearCrossEntropy.apply(h_TD, items_ID, true_T, how)  # type: ignore[no-untyped-call]
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
        over_all = _by_attention if h_TD.device.type == "cpu" else _by_chunks
        log_sums, grad_h, grad_items = over_all(h_TD, table, how.kind)
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


def _by_attention(h_TD: Tensor, table_ID: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
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


def _by_chunks(h_TD: Tensor, table_ID: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The same on any device, chunk by chunk of places in one buffer."""
    h, items, n = h_TD.to(kind), table_ID.to(kind), len(h_TD)
    mean_TD, grad_items = torch.empty_like(h_TD), torch.zeros_like(table_ID)
    buffer = torch.empty(min(CHUNK, n), len(items), dtype=kind, device=h.device)
    total = torch.zeros((), dtype=h_TD.dtype, device=h.device)
    for start in range(0, n, CHUNK):
        part = h[start : start + CHUNK]
        e = torch.mm(part, items.T, out=buffer[: len(part)])
        top = e.amax(1, keepdim=True)
        sums = e.sub_(top).exp_().sum(1, keepdim=True).to(total.dtype)
        total += (top.to(total.dtype) + sums.log()).sum()
        mean_TD[start : start + CHUNK] = (e @ items) / sums
        grad_items += e.T @ (part / (sums * n)).to(kind)
    return total, mean_TD, grad_items
