"""How wrong a prediction of the next item is: four losses over the real places of a batch.

Every loss takes states h [T, D], the item table E [I, D] and the true items [T], and gives the mean over T. A table
of results must name its loss: the same SASRec differs by half in R@10 between them (spec 7.4).

Unusual: the full softmax never holds the [T, I] logits (rec_models/sequential/softmax.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rec_models.base import NegativesWanted
from rec_models.sequential.softmax import cross_entropy

LossName = Literal["cross_entropy", "bce", "gbce", "sampled_softmax"]


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
    if settings.name == "cross_entropy":
        cosine = settings.temperature is not None
        if settings.temperature is not None:
            h_TD = F.normalize(h_TD, dim=-1) / settings.temperature
        return cross_entropy(h_TD, items_ID, true_T - 1, smoothing=settings.smoothing, directions=cosine)
    h_TD, items_ID = scaled(h_TD, items_ID, settings.temperature)
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


def scorer(items_ID: Tensor, temperature: float | None) -> Callable[[Tensor], Tensor]:
    """States to scores_BI of all items, which are scaled once for many slices of users."""
    _, table_ID = scaled(items_ID, items_ID, temperature)
    return lambda states: scaled(states, items_ID[:0], temperature)[0] @ table_ID.T


def _gbce_power(settings: LossSettings, n_items: int) -> float:
    """gSASRec eq. 9: the power of the positive's sigmoid, from the sampling rate alpha and calibration t."""
    alpha = settings.negatives / (n_items - 1)
    t = settings.calibration
    return alpha * (t * (1 - 1 / alpha) + 1 / alpha)
