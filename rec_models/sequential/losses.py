"""How wrong a prediction of the next item is: four losses over the real places of a batch.

Every loss takes states h [T, D], the item table E [I, D] and the true items [T], and gives the mean over T. A table
of results must name its loss: the same SASRec differs by half in R@10 between them (spec 7.4).

Unusual: `cross_entropy` never holds the [T, I] logits. It walks over the places in chunks, in one buffer that is used
again and again, and computes the gradients of states and items in the forward pass while the chunk is in the cache
(fresh 100 MB tensors run at a fifth of the rate).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rec_models.base import NegativesWanted

LossName = Literal["cross_entropy", "bce", "gbce", "sampled_softmax"]
CHUNK = 128


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Which loss, and its numbers.

    Attributes:
        name: full cross-entropy; binary cross-entropy with negatives (SASRec); gBCE (gSASRec); sampled softmax.
        negatives: uniform negatives (not for cross_entropy).
        shared: one draw of negatives per batch instead of one per place.
        calibration: gBCE's t (spec 13).
        temperature: if given, states and items are normalised to length 1 and the products divided by it.
        smoothing: label smoothing of cross_entropy: this share of the target goes to all items alike.
    """

    name: LossName = "cross_entropy"
    negatives: int = 1
    shared: bool = False
    calibration: float = 0.75
    temperature: float | None = None
    smoothing: float = 0.0

    @property
    def wanted(self) -> NegativesWanted | None:
        """What must be drawn for a batch."""
        return None if self.name == "cross_entropy" else NegativesWanted(self.negatives, self.shared)


def next_item_loss(
    h_TD: Tensor, items_ID: Tensor, true_T: Tensor, *, settings: LossSettings, negatives: Tensor | None = None
) -> Tensor:
    """Mean loss over T places.

    Args:
        h_TD: states.
        items_ID: the item table.
        true_T: the items that came next, ids 1..I.
        settings: which loss.
        negatives: ids [T, N], or [N] if shared.
    """
    h_TD, items_ID = scaled(h_TD, items_ID, settings.temperature)
    if settings.name == "cross_entropy":
        return cross_entropy(h_TD, items_ID, true_T - 1, smoothing=settings.smoothing)
    assert negatives is not None, "this loss needs negatives drawn with the batch"
    positive_T = (h_TD * F.embedding(true_T - 1, items_ID)).sum(-1).float()
    if settings.shared:
        negative_TN = (h_TD @ F.embedding(negatives - 1, items_ID).T).float()
    else:
        negative_TN = torch.einsum("td,tnd->tn", h_TD, F.embedding(negatives - 1, items_ID)).float()
    hit_TN = negatives.expand_as(negative_TN) == true_T[:, None]
    if settings.name == "sampled_softmax":
        logits = torch.cat([positive_T[:, None], negative_TN.masked_fill(hit_TN, -torch.inf)], dim=1)
        return (torch.logsumexp(logits, dim=1) - positive_T).mean()
    beta = _gbce_power(settings, len(items_ID)) if settings.name == "gbce" else 1.0
    wrong_TN = F.softplus(negative_TN).masked_fill(hit_TN, 0.0)
    return (beta * F.softplus(-positive_T) + wrong_TN.sum(1)).mean() / (1 + settings.negatives)


def scaled(h: Tensor, items_ID: Tensor, temperature: float | None) -> tuple[Tensor, Tensor]:
    """States and items whose products are the scores: as they are, or cosines over a temperature."""
    if temperature is None:
        return h, items_ID
    return F.normalize(h, dim=-1) / temperature, F.normalize(items_ID, dim=-1)


def _gbce_power(settings: LossSettings, n_items: int) -> float:
    """gSASRec eq. 9: the power of the positive's sigmoid, from the sampling rate alpha and calibration t."""
    alpha = settings.negatives / (n_items - 1)
    t = settings.calibration
    return alpha * (t * (1 - 1 / alpha) + 1 / alpha)


def cross_entropy(h_TD: Tensor, items_ID: Tensor, true_T: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Mean softmax cross-entropy over all items, `true_T` counted from 0. First derivatives only."""
    loss: Tensor = _LinearCrossEntropy.apply(h_TD, items_ID, true_T, smoothing)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    """logits = h @ E.T, softmax cross-entropy and both gradients, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, h_TD: Tensor, items_ID: Tensor, true_T: Tensor, smoothing: float) -> Tensor:
        """The mean loss; its gradients wait in `ctx`."""
        place = h_TD.device.type
        kind = torch.get_autocast_dtype(place) if torch.is_autocast_enabled(place) else h_TD.dtype
        h, items = h_TD.to(kind), items_ID.to(kind)
        n, n_items = len(h), len(items)
        grad_h, grad_items = torch.empty_like(h_TD), torch.zeros_like(items_ID)
        buffer = torch.empty(min(CHUNK, n), n_items, dtype=kind, device=h.device)
        total = torch.zeros((), dtype=items_ID.dtype, device=h.device)
        mean_item = items_ID.mean(0) if smoothing else None
        for start in range(0, n, CHUNK):
            part, true = h[start : start + CHUNK], true_T[start : start + CHUNK, None]
            p = torch.mm(part, items.T, out=buffer[: len(part)])
            wanted, top = p.gather(1, true).to(total.dtype), p.amax(1, keepdim=True).to(total.dtype)
            torch.softmax(p, 1, out=p)
            log_sum = top - p.amax(1, keepdim=True).to(total.dtype).log()
            total += (log_sum - (1 - smoothing) * wanted).sum()
            p.scatter_add_(1, true, torch.full_like(true, smoothing - 1, dtype=kind))
            grad_h[start : start + CHUNK] = p @ items
            if kind == grad_items.dtype:
                grad_items.addmm_(p.T, part)
            else:
                grad_items += p.T @ part
        if mean_item is not None:
            total -= smoothing * (h_TD.to(total.dtype) @ mean_item).sum()
            grad_h -= smoothing * mean_item
            grad_items -= smoothing / n_items * h_TD.sum(0)
        ctx.save_for_backward(grad_h.div_(n), grad_items.div_(n))
        return total / n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The stored gradients, times what comes from above."""
        grad_h, grad_items = ctx.saved_tensors
        return grads[0] * grad_h, grads[0] * grad_items, None, None
