"""Named settings: Beauty keeps what was chosen on it; small corpora get enough steps to learn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rec_models import presets
from rec_models.fit import fit
from rec_models.rank import places
from rec_models.sequential.bert4rec import BERT4RecSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from whyrec.data.generated import world
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError


def test_backbones(ragged):
    network, how = presets.settings("SASRec", ragged)
    assert isinstance(network, SASRecSettings)
    assert how == replace(presets.SASREC_FIT, users_per_step=16)
    assert isinstance(presets.settings("BERT4Rec", ragged)[0], BERT4RecSettings)
    with pytest.raises(UnknownNameError, match="Did you mean 'SASRec'"):
        presets.settings("SASrec", ragged)


@pytest.mark.real_data
def test_beauty_gets_what_was_chosen_on_it(real_data):
    from whyrec.data import load

    assert presets.settings("SASRec", load(str(real_data("amazon14_beauty")))) == (presets.SASREC, presets.SASREC_FIT)


def test_a_small_world_is_learnt_far_above_chance():
    corpus = world.make(users=300, items=150).corpus
    network, how = presets.settings("SASRec", corpus)
    model = SASRec(corpus.n_items, network, seed=1)
    fit(model, corpus, settings=replace(how, epochs=8), seed=1)
    recall = places(model, SplitView(corpus, "test")).expected(10)[1]
    assert recall > 2.0 * 10 / corpus.n_items
