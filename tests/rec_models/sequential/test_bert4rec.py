"""BERT4Rec: it sees both ways, never the place it is asked for, and never padding."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rec_models.base import Batch
from rec_models.sequential.bert4rec import BERT4Rec, BERT4RecSettings

SMALL = BERT4RecSettings(width=8, dropout=0.0, max_length=7, init_std=0.5)
VARIANTS = {
    "plain": SMALL,
    "pre": replace(SMALL, norm="pre", from_end=False),
    "user": replace(SMALL, user_token="random"),
}


def batch_of(*rows, users=None):
    longest = max(len(r) for r in rows)
    items = torch.tensor([[*r, *[0] * (longest - len(r))] for r in rows])
    return Batch(torch.arange(len(rows)) if users is None else torch.tensor(users), items, (items > 0).sum(1))


def model_of(settings):
    return BERT4Rec(20, settings, n_users=5, seed=3).eval()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_masked_place_does_not_see_its_item_but_sees_both_sides(name):
    model = model_of(VARIANTS[name])
    masked = torch.tensor([[False, False, True, False, False]])
    base = model(batch_of([1, 2, 3, 4, 5]), masked)
    torch.testing.assert_close(base, model(batch_of([1, 2, 9, 4, 5]), masked), rtol=0, atol=0)
    for changed in ([1, 9, 3, 4, 5], [1, 2, 3, 4, 9]):
        assert (base - model(batch_of(changed), masked)).abs().max() > 1e-4


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_changes_nothing(name):
    model = model_of(VARIANTS[name])
    rows = ([1, 2, 3], [4, 5, 6, 7, 8, 9], [10])
    together = model.encode(batch_of(*rows))
    alone = torch.cat([model.encode(batch_of(r, users=[u])) for u, r in enumerate(rows)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_a_full_history_leaves_a_place_for_the_mask():
    model = model_of(SMALL)
    assert model.max_length == 6
    assert model.row_length == 7
    assert model.encode(batch_of([1, 2, 3, 4, 5, 6])).shape == (1, 8)


def test_what_is_hidden():
    rows = batch_of(*([list(range(1, 11))] * 400), [3, 4])
    model = BERT4Rec(20, replace(SMALL, max_length=10, only_last=0.0))
    torch.manual_seed(0)
    hidden = model._hide(rows)
    assert not hidden[rows.items_BL == 0].any()
    assert hidden.any(1).all()
    assert hidden[:400].float().mean() == pytest.approx(0.2 + 0.8**10 / 10, abs=0.02)
    newest = BERT4Rec(20, replace(SMALL, max_length=10, only_last=1.0))._hide(rows)
    assert newest.sum(1).unique().tolist() == [1]
    assert newest[:400, 9].all()
    assert newest[400, 1]


def test_the_loss_asks_for_what_is_hidden():
    model = model_of(replace(SMALL, only_last=1.0))
    rows = batch_of([1, 2, 3], [4, 5])
    scores = model.scores(model.encode(batch_of([1, 2], [4])))
    want = torch.nn.functional.cross_entropy(scores, torch.tensor([2, 4]))
    torch.testing.assert_close(model.loss(rows), want)
