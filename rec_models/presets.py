"""Settings chosen on validation, by backbone. docs/decisions/0002 says what was tried and what it reached.

One setting serves every data set and every cell of a table, so that cells differ only in what the table is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rec_models.bert4rec import BERT4RecSettings
from rec_models.fit import FitSettings
from rec_models.losses import LossSettings
from rec_models.sasrec import SASRecSettings

TEMPERATURE = 0.07

SASREC = SASRecSettings(width=64, blocks=1, heads=2, dropout=0.4, loss=LossSettings(temperature=TEMPERATURE))
SASREC_FIT = FitSettings(epochs=60, patience=3, evaluate_every=2, lr=2e-3, bf16=True)

# The loss most published SASRec rows were trained with; it needs many cheap epochs.
SASREC_BCE = SASRecSettings(width=64, blocks=2, heads=1, dropout=0.5, loss=LossSettings("bce", negatives=1))
SASREC_BCE_FIT = FitSettings(epochs=300, patience=5, evaluate_every=5, lr=1e-3, bf16=True)

BERT4REC = BERT4RecSettings(width=64, blocks=1, heads=2, dropout=0.3, loss=LossSettings(temperature=TEMPERATURE))
BERT4REC_FIT = FitSettings(epochs=120, patience=4, evaluate_every=4, lr=2e-3, bf16=True)

CHOSEN: Mapping[str, tuple[Any, FitSettings]] = {
    "SASRec": (SASREC, SASREC_FIT),
    "SASRec bce": (SASREC_BCE, SASREC_BCE_FIT),
    "BERT4Rec": (BERT4REC, BERT4REC_FIT),
}
