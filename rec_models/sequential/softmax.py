"""Softmax cross-entropy over the whole catalogue, without ever holding the [T, I] logits of all places.

What is unusual, and why (each was measured on AVX2, AVX512-BF16 and AMX):

- Gradients of states and items are computed in the forward pass, chunk by chunk of places, in one buffer that is used
  again and again: fresh memory of 100 MB runs at a fifth of the rate.
- Exponentials are never divided by their sum: states and gradients are, which are D wide and not I.
- The largest logit is taken away only where the lengths of states and items allow an exponential to overflow.
- Items may count as directions (cosine scores): their gradient is then turned in place, in three passes.

Shapes: T places, I items, D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 256
_MILD = 60.0  # logits up to here have exponentials whose sums no precision overflows


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
        given = (h_TD, items_ID, true_T, smoothing, directions, kind)
        loss: Tensor = _LinearCrossEntropy.apply(*given)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    """logits = h @ E.T, softmax cross-entropy and both gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        h_TD: Tensor,
        items_ID: Tensor,
        true_T: Tensor,
        smoothing: float,
        directions: bool,
        kind: torch.dtype,
    ) -> Tensor:
        """The mean loss; its gradients wait in `ctx`."""
        lengths = _lengths(items_ID) if directions else None
        table = items_ID if lengths is None else items_ID / lengths
        true_TD, n = F.embedding(true_T, table), len(h_TD)
        log_sums, grad_h, grad_items = _over_all(h_TD, table, kind, directions)
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
        return grads[0] * grad_h, grads[0] * grad_items, None, None, None, None


def _over_all(h_TD: Tensor, table_ID: Tensor, kind: torch.dtype, unit: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What the sum over all items gives: (sum of the logs of the sums, mean item of each place, gradient of items)."""
    h, items, n = h_TD.to(kind), table_ID.to(kind), len(h_TD)
    mild = bool(_lengths(h_TD).max() * (1 if unit else _lengths(table_ID).max()) < _MILD)
    mean_TD, grad_items = torch.empty_like(h_TD), torch.zeros_like(table_ID)
    buffer = torch.empty(min(CHUNK, n), len(items), dtype=kind, device=h.device)
    total = torch.zeros((), dtype=h_TD.dtype, device=h.device)
    for start in range(0, n, CHUNK):
        part = h[start : start + CHUNK]
        e = torch.mm(part, items.T, out=buffer[: len(part)])
        if not mild:
            top = e.amax(1, keepdim=True)
            total += top.to(total.dtype).sum()
            e.sub_(top)
        sums = e.exp_().sum(1, keepdim=True).to(total.dtype)
        total += sums.log().sum()
        mean_TD[start : start + CHUNK] = (e @ items) / sums
        shares = (part / (sums * n)).to(kind)
        if kind == grad_items.dtype:
            grad_items.addmm_(e.T, shares)
        else:
            grad_items += e.T @ shares
    return total, mean_TD, grad_items


def _lengths(rows: Tensor) -> Tensor:
    """[..., 1], none of them 0."""
    return torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp_min(1e-12)
