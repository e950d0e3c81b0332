"""How a language model is tuned, and the papers' ways as presets.

Values marked (paper) are the paper's or its released code's; the others are decisions of this project where the paper
says nothing (spec 2.b, 3.b, 4.b, 5.b).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from whyrec.errors import UnknownNameError, UsageError
from whyrec.precision import Precision

Method: TypeAlias = Literal["lora", "all"]
StopOn: TypeAlias = Literal["ndcg", "hr1", "loss"]
ALL_LINEAR = "all-linear"


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """How to tune.

    Attributes:
        objective: one of `rec_models.tuning.objectives`.
        method: "lora" (adapters by PEFT) or "all" (every weight, for tiny models).
        rank, alpha, dropout, modules: of LoRA; ("all-linear",) for every linear layer but the head.
        epochs: at most.
        rows_per_step: of which the gradient is the mean.
        tokens_at_once: read in one pass, padding counted; the rest of a step is accumulated and changes no gradient
            but by rounding.
        longest: tokens of a row, answer included, at most.
        lr, schedule, warmup, weight_decay, clip: of AdamW; warm-up as a share of all steps, clip 0 for none.
        reshuffle: show the options in another order every epoch (never at evaluation).
        stop_on: what of the held-out rows decides which epoch is kept; "loss" where there are no labels.
        patience: stop after so many epochs without a better one; 0 to go through all.
        recompute: gradient checkpointing: less memory, a third more time.
        checkpoint_steps: steps between checkpoints within an epoch; 0 for one at each epoch's end.
        device: "cpu", "cuda", "cuda:1".
        precision: of products; adapters and the head are float32 whatever it is.
    """

    objective: str = "letters"
    method: Method = "lora"
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    modules: tuple[str, ...] = (ALL_LINEAR,)
    epochs: int = 3
    rows_per_step: int = 64
    tokens_at_once: int = 2048
    longest: int = 512
    lr: float = 1e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip: float = 1.0
    reshuffle: bool = True
    stop_on: StopOn = "ndcg"
    patience: int = 0
    recompute: bool = False
    checkpoint_steps: int = 0
    device: str = "cpu"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse what no tuning can be done with.

        Raises:
            UsageError: a number is outside of what it can be.
        """
        for name in ("rank", "alpha", "epochs", "rows_per_step", "tokens_at_once", "longest"):
            if getattr(self, name) < 1:
                raise UsageError(f"The setting {name} of a tuning is at least 1, not {getattr(self, name)}.")
        if not (0 <= self.warmup < 1 and 0 <= self.dropout < 1 and self.lr > 0):
            raise UsageError("Warm-up and dropout of a tuning are shares from 0 to below 1, and lr is above 0.")

    @property
    def recipe(self) -> dict[str, Any]:
        """What a tuning is identified by: all but where and how fast it computes, and how often it is kept."""
        found = asdict(self)
        for name in ("device", "precision", "recompute", "checkpoint_steps"):
            del found[name]
        return found


COT_REC_RANKER = TuneSettings("vocabulary", epochs=3, rows_per_step=64, lr=1e-4, schedule="cosine", warmup=0.05)
"""CoT-Rec's list-wise ranker: Qwen2.5-7B-Instruct, LoRA, the letter over the vocabulary (paper); the rest is ours."""

PULSE_SCORER = TuneSettings("letters", epochs=3, rows_per_step=64, lr=1e-4, stop_on="hr1", patience=1)
"""PULSE's scorer: cross-entropy over the ten logits (paper, eq. 3), stopped on validation HR@1; LoRA as CoT-Rec's."""

RALLREC_EXPERT = TuneSettings(
    "pointwise",
    rank=8,
    alpha=16,
    modules=("q_proj", "v_proj"),
    epochs=20,
    rows_per_step=256,
    longest=2048,
    lr=5e-4,
    schedule="linear",
    stop_on="loss",
    patience=5,
)
"""RALLRec+'s expert: rank 8, alpha 16, dropout .05, q and v, lr 5e-4, linear, batch 256, 20 epochs, patience 5, 2,048
tokens (its code). The code learns "Yes." over the vocabulary; here the loss is over Yes and No alone.
"""

SCOTER_STUDENT = TuneSettings("completion", epochs=2, rows_per_step=32, lr=1e-4, stop_on="loss", longest=1024)
"""SCoTER's student: supervised fine-tuning on the teacher's chains (paper); all numbers are ours."""

TINY = TuneSettings(
    "letters", method="all", epochs=4, rows_per_step=16, lr=3e-3, dropout=0.0, longest=1024, tokens_at_once=8192
)
"""Every weight of `--base tiny`, which has nothing yet that an adapter could adapt."""

PRESETS: Mapping[str, TuneSettings] = MappingProxyType(
    {
        "cot_rec.ranker": COT_REC_RANKER,
        "pulse.scorer": PULSE_SCORER,
        "rallrec.expert": RALLREC_EXPERT,
        "scoter.student": SCOTER_STUDENT,
        "tiny": TINY,
    }
)


def preset(name: str) -> TuneSettings:
    """The settings of this name.

    Raises:
        UnknownNameError: there are none.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset of a tuning", name, PRESETS)
    return PRESETS[name]
