"""What a language model is tuned towards: one Protocol, the loss of rows whose answers are known.

    letters      cross-entropy over the labels alone (PULSE eq. 3): all else the model might say does not count
    vocabulary   over the whole vocabulary at the label and the end behind it (CoT-Rec, LlamaRec)
    pointwise    letters of two, such as Yes and No
    completion   over every token of a free answer and its end: supervised fine-tuning, the prompt is never learnt

All are computed from float32 logits of the answer's places alone. Shapes as in `encoding`; V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import torch
from torch.nn.functional import cross_entropy

from rec_models.tuning.encoding import IGNORED, Batch, Encoded
from rec_models.tuning.rows import Row
from whyrec.errors import UnknownNameError, UsageError


class Objective(Protocol):
    """What is learnt."""

    @property
    def ended(self) -> bool:
        """Whether the token that ends an answer is learnt, too."""
        ...

    @property
    def chooses(self) -> bool:
        """Whether rows have labels, by which a model is judged."""
        ...

    def check(self, rows: Sequence[Row]) -> None:
        """Refuse rows that it is not for (UsageError)."""
        ...

    def weight(self, row: Encoded) -> int:
        """Of how many terms a row's loss is the sum."""
        ...

    def loss(self, logits_BKV: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The sum over a batch, float32 scalar, from the logits of its last K columns."""
        ...


@dataclass(frozen=True)
class Letters:
    """Over the labels alone.

    Attributes:
        count: how many labels every row must have; 0 for any number.
    """

    count: int = 0
    ended: bool = False
    chooses: bool = True

    def check(self, rows: Sequence[Row]) -> None:
        """Every row needs labels."""
        need_labels(rows, self.count)

    def weight(self, row: Encoded) -> int:
        """One term a row."""
        return 1

    def loss(self, logits_BKV: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Cross-entropy among the labels at the last column."""
        return cross_entropy(label_logits(logits_BKV, batch), batch.chosen_B, reduction="sum")


@dataclass(frozen=True)
class Answers:
    """Over the whole vocabulary, at every token of the answer.

    Attributes:
        chooses: whether rows must have labels, by which the model is judged.
    """

    chooses: bool = False
    ended: bool = True

    def check(self, rows: Sequence[Row]) -> None:
        """Rows need labels where the model is to choose."""
        if self.chooses:
            need_labels(rows, 0)

    def weight(self, row: Encoded) -> int:
        """As many terms as the answer has tokens."""
        return len(row.answer)

    def loss(self, logits_BKV: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Cross-entropy of each token of the answers."""
        return cross_entropy(
            logits_BKV.flatten(0, 1), batch.answers_BK.flatten(), ignore_index=IGNORED, reduction="sum"
        )


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {"letters": Letters(), "vocabulary": Answers(chooses=True), "pointwise": Letters(2), "completion": Answers()}
)


def objective(name: str) -> Objective:
    """The objective of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES)
    return OBJECTIVES[name]


def label_logits(logits_BKV: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Logits [B, L] of the labels where the answer begins; minus infinity where a row has fewer labels."""
    begins_B = (batch.answers_BK == IGNORED).sum(1)
    logits_BV = logits_BKV[torch.arange(len(begins_B), device=begins_B.device), begins_B]
    found_BL = logits_BV.gather(1, batch.labels_BL.clamp(min=0))
    return found_BL.masked_fill(batch.labels_BL < 0, float("-inf"))


def need_labels(rows: Sequence[Row], count: int) -> None:
    """Every row has labels, and as many as are wanted (0: any number).

    Raises:
        UsageError: one has not.
    """
    for row in rows:
        if not row.labels or (count and len(row.labels) != count):
            wanted = f"{count} labels" if count else "labels to choose from"
            raise UsageError(
                f"The row {row.key} has {len(row.labels) or 'no'} labels, and this objective needs {wanted}. "
                "Free answers are learnt by --objective completion."
            )
