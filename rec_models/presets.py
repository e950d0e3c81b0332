"""The settings chosen on the validation split of Beauty, by name (docs/decisions/0002-sasrec-settings.md).

They serve every data set and every cell of a table, so that cells differ only in what the table is about. Only the
number of users in a step follows the size of the corpus, so that an epoch has about as many steps as on Beauty and
early stopping means the same everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from rec_models.fit import FitSettings
from rec_models.sequential.bert4rec import BERT4RecSettings
from rec_models.sequential.losses import LossSettings
from rec_models.sequential.sasrec import SASRecSettings
from whyrec.data.corpus import Corpus
from whyrec.errors import UnknownNameError

COSINE = LossSettings(temperature=0.07)
SASREC = SASRecSettings(width=64, blocks=1, heads=2, dropout=0.4, max_length=50, norm="pre", loss=COSINE)
SASREC_FIT = FitSettings(epochs=60, patience=3, evaluate_every=2, users_per_step=128, lr=2e-3)

# The loss of most published SASRec rows. It overfits early and needs many cheap epochs; averaged weights help it most.
ONE_NEGATIVE = LossSettings("bce", negatives=1)
SASREC_BCE = SASRecSettings(
    width=64, blocks=2, heads=2, dropout=0.5, max_length=50, norm="post", init_std=0.05, loss=ONE_NEGATIVE
)
SASREC_BCE_FIT = FitSettings(epochs=90, patience=2, evaluate_every=10, users_per_step=128, lr=1e-3, average=0.998)

BERT4REC = BERT4RecSettings(
    width=64, blocks=1, heads=2, dropout=0.3, max_length=51, masked=0.5, only_last=0.2, loss=COSINE
)
BERT4REC_FIT = FitSettings(epochs=48, patience=4, evaluate_every=4, users_per_step=128, lr=2e-3)

STEPS = 170
"""Steps of an epoch on Beauty."""

BACKBONES: dict[str, tuple[SASRecSettings | BERT4RecSettings, FitSettings]] = {
    "SASRec": (SASREC, SASREC_FIT),
    "SASRec bce": (SASREC_BCE, SASREC_BCE_FIT),
    "BERT4Rec": (BERT4REC, BERT4REC_FIT),
}


def settings(backbone: str, corpus: Corpus) -> tuple[SASRecSettings | BERT4RecSettings, FitSettings]:
    """(network, fit) of "SASRec", "SASRec bce" (one negative) or "BERT4Rec" for a corpus.

    Raises:
        UnknownNameError: another backbone.
    """
    if backbone not in BACKBONES:
        raise UnknownNameError("backbone", backbone, BACKBONES)
    network, how = BACKBONES[backbone]
    users = min(how.users_per_step, max(16, corpus.n_users // STEPS))
    return network, replace(how, users_per_step=users)
