"""Popularity and item-CF by hand, and the anchors of spec 9.5 on real data."""

from __future__ import annotations

import math

import pytest
import torch

from rec_models.base import Batch
from rec_models.collaborative.itemcf import ItemCF
from rec_models.collaborative.popularity import Popularity
from rec_models.rank import places
from whyrec.data import load
from whyrec.data.split import SplitView


def test_popularity_counts_training_events_only(make_corpus):
    corpus = make_corpus([[1, 2, 3, 4], [1, 3, 2, 2], [1, 4]], n_items=5)
    assert Popularity(SplitView(corpus, "valid")).counts_I.tolist() == [3, 1, 1, 1, 0]


def test_item_cf_by_hand(make_corpus):
    corpus = make_corpus([[1, 2, 5, 5], [1, 2, 3, 5, 5], [3, 4, 5, 5]], n_items=5)
    model = ItemCF(SplitView(corpus, "valid"))
    want = torch.zeros(5, 5)
    want[0, 1] = want[1, 0] = (1 / 2 + 1 / 3) / 2
    want[0, 2] = want[2, 0] = want[1, 2] = want[2, 1] = (1 / 3) / 2
    want[2, 3] = want[3, 2] = (1 / 2) / math.sqrt(2)
    torch.testing.assert_close(torch.from_numpy(model.similarity_II.toarray()), want)
    batch = Batch(torch.tensor([0]), torch.tensor([[4, 1, 3]]), torch.tensor([3]))
    expected = want[2] + want[0] / 2 + want[3] / 3
    torch.testing.assert_close(model.scores(model.encode(batch))[0], expected)


@pytest.mark.real_data
def test_anchors_of_beauty(real_data):
    corpus = load(str(real_data("amazon14_beauty")))
    train, test = SplitView(corpus, "valid"), SplitView(corpus, "test")
    for model, recall, ndcg in ((Popularity(train), 0.0115, 0.0055), (ItemCF(train), 0.0638, 0.0363)):
        got = places(model, test).expected(10)
        assert got == (pytest.approx(ndcg, abs=1e-4), pytest.approx(recall, abs=1e-4))
