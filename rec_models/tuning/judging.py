"""How good a tuned model is on rows whose answers are known: never with dropout, always in the order they are in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rec_models.tuning.base import Learner
from rec_models.tuning.encoding import Encoded, batch_of, micro_batches
from rec_models.tuning.objectives import Objective, label_logits
from whyrec.precision import Kind, casting


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found over some rows.

    Attributes:
        n: how many.
        loss: the objective's, mean of its terms.
        hr1, ndcg: of the right label among the labels, each tie in expectation at worst place; NaN without labels.
        chance: HR@1 of whoever guesses; NaN without labels.
    """

    n: int
    loss: float
    hr1: float = math.nan
    ndcg: float = math.nan
    chance: float = math.nan


@torch.inference_mode()
def judge(
    learner: Learner, rows: Sequence[Encoded], objective: Objective, *, tokens: int, kind: Kind, device: str
) -> tuple[Judged, dict[str, npt.NDArray[np.float64]]]:
    """(the numbers, key -> probabilities of the labels in their order) over rows; at least one."""
    assert rows
    was = learner.model.training
    learner.model.eval()
    loss, terms, places = 0.0, 0, []
    found: dict[str, npt.NDArray[np.float64]] = {}
    for batch_rows in micro_batches(rows, tokens):
        batch = batch_of(batch_rows, learner.pad, device)
        with casting(kind, device):
            logits_BKV = learner.logits(batch)
        loss += float(objective.loss(logits_BKV, batch))
        terms += sum(objective.weight(row) for row in batch_rows)
        if not batch_rows[0].labels:
            continue
        chances_BL = label_logits(logits_BKV, batch).double().softmax(-1).cpu().numpy()
        for row, chances_L in zip(batch_rows, chances_BL, strict=True):
            found[row.key] = chances_L[: len(row.labels)]
            places.append(int((found[row.key] >= found[row.key][row.chosen]).sum()) - 1)
    learner.model.train(was)
    if not places:
        return Judged(len(rows), loss / terms), found
    at = np.array(places)
    guess = float(np.mean([1 / len(row.labels) for row in rows if row.labels]))
    hr1, ndcg = float((at == 0).mean()), float((1 / np.log2(at + 2.0)).mean())
    return Judged(len(rows), loss / terms, hr1, ndcg, guess), found
