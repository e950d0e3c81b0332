"""The settings chosen on the validation split of Beauty, by name (docs/decisions/0002-sasrec-settings.md).

They serve every data set: only the number of users in a step follows the size of the corpus, so that an epoch has about
as many steps as on Beauty and early stopping means the same everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from rec_models.bert4rec import BERT4RecSettings
from rec_models.fit import FitSettings
from rec_models.sasrec import SASRecSettings
from whyrec.data.corpus import Corpus
from whyrec.errors import UnknownNameError

SASREC = SASRecSettings(width=64, blocks=2, heads=2, dropout=0.4, max_length=50, norm="pre")
BERT4REC = BERT4RecSettings(width=64, blocks=2, heads=2, dropout=0.2, max_length=51, norm="post")
BEAUTY = FitSettings(epochs=60, patience=3, evaluate_every=2, users_per_step=128, lr=2e-3)
BEAUTY_BERT4REC = FitSettings(epochs=120, patience=4, evaluate_every=4, users_per_step=128, lr=2e-3)
STEPS = 170
"""Steps of an epoch on Beauty."""

BACKBONES: dict[str, tuple[SASRecSettings | BERT4RecSettings, FitSettings]] = {
    "SASRec": (SASREC, BEAUTY),
    "BERT4Rec": (BERT4REC, BEAUTY_BERT4REC),
}


def settings(backbone: str, corpus: Corpus) -> tuple[SASRecSettings | BERT4RecSettings, FitSettings]:
    """(network, fit) of "SASRec" or "BERT4Rec" for a corpus.

    Raises:
        UnknownNameError: another backbone.
    """
    if backbone not in BACKBONES:
        raise UnknownNameError("backbone", backbone, BACKBONES)
    network, how = BACKBONES[backbone]
    users = min(how.users_per_step, max(16, corpus.n_users // STEPS))
    return network, replace(how, users_per_step=users)
