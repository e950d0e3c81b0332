"""SASRec: nothing looks ahead, padding changes nothing, tables start where they are told to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rec_models.base import Batch
from rec_models.sequential.layers import Attention, Dropout
from rec_models.sequential.losses import LossSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from whyrec.errors import UsageError

SMALL = SASRecSettings(width=8, dropout=0.0, max_length=6, init_std=0.5)
VARIANTS = {
    "pre": SMALL,
    "post": replace(SMALL, norm="post", activation="relu"),
    "ligr": replace(SMALL, activation="swiglu", gated=True, inner=2),
    "from end": replace(SMALL, from_end=True),
    "user": replace(SMALL, user_token="random"),
}


def batch_of(*rows, users=None):
    longest = max(len(r) for r in rows)
    items = torch.tensor([[*r, *[0] * (longest - len(r))] for r in rows])
    return Batch(torch.arange(len(rows)) if users is None else torch.tensor(users), items, (items > 0).sum(1))


def model_of(settings, **given):
    return SASRec(20, settings, n_users=5, seed=3, **given).eval()


@pytest.mark.parametrize("name", VARIANTS)
def test_what_comes_later_does_not_change_what_was_said(name):
    model = model_of(VARIANTS[name])
    one, two = model(batch_of([1, 2, 3, 4, 5])), model(batch_of([1, 2, 3, 9, 5]))
    unchanged = 3 + model.tables.ahead
    torch.testing.assert_close(one[:, :unchanged], two[:, :unchanged], rtol=0, atol=1e-6)
    assert (one[:, unchanged:] - two[:, unchanged:]).abs().amax(-1).min() > 1e-4


def test_the_causality_test_fails_without_the_mask():
    model = model_of(SMALL)
    for part in model.modules():
        if isinstance(part, Attention):
            part.causal = False
    one, two = model(batch_of([1, 2, 3, 4, 5])), model(batch_of([1, 2, 3, 9, 5]))
    assert (one[:, :3] - two[:, :3]).abs().max() > 1e-4


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_changes_neither_states_nor_loss(name):
    model = model_of(VARIANTS[name])
    rows = ([1, 2, 3], [4, 5, 6, 7, 8, 9], [10, 11])
    together = model.encode(batch_of(*rows))
    alone = torch.cat([model.encode(batch_of(r, users=[u])) for u, r in enumerate(rows)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    places = [len(r) - 1 + model.tables.ahead for r in rows]
    parts = [model.loss(batch_of(r, users=[u])) * n for (u, r), n in zip(enumerate(rows), places, strict=True)]
    torch.testing.assert_close(model.loss(batch_of(*rows)), sum(parts) / sum(places), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_state_is_that_of_the_last_real_place(name):
    model = model_of(VARIANTS[name])
    batch = batch_of([1, 2, 3], [4, 5, 6, 7, 8, 9], [10])
    last = batch.lengths_B - 1 + model.tables.ahead
    torch.testing.assert_close(model.encode(batch), model(batch)[torch.arange(3), last], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_items_of_no_row_get_gradients_only_as_wrong_answers(name):
    """Padding reads a row of the table; nothing may flow into it from there."""
    model = model_of(replace(VARIANTS[name], loss=LossSettings("bce", 1)))
    rows = batch_of([4, 5, 6], [7, 8])
    model.loss(replace(rows, negatives=torch.full((2, 3, 1), 9))).backward()
    touched = model.tables.items.grad.abs().sum(1).nonzero().flatten() + 1
    assert touched.tolist() == [4, 5, 6, 7, 8, 9]


def test_the_user_token_has_its_own_table_and_predicts_the_first_item():
    model = model_of(VARIANTS["user"])
    batch = batch_of([1, 2, 3], [1, 2, 3], users=[0, 4])
    first, second = model.encode(batch)
    assert (first - second).abs().max() > 1e-3
    loss = model.loss(batch_of([7], users=[2]))
    states = model(batch_of([7], users=[2]))
    want = torch.nn.functional.cross_entropy(model.scores(states[:, 0]), torch.tensor([6]))
    torch.testing.assert_close(loss, want)
    loss.backward()
    assert model.tables.users.grad.abs().sum(1).nonzero().flatten().tolist() == [2]


def test_tables_start_from_the_given_vectors_and_are_trained():
    random = np.random.default_rng(0)
    items, users = (random.standard_normal((n, 8)).astype(np.float32) for n in (20, 5))
    model = model_of(replace(SMALL, user_token="given"), item_vectors=items, user_vectors=users)
    np.testing.assert_array_equal(model.tables.items.detach(), items)
    np.testing.assert_array_equal(model.tables.users.detach(), users)
    model.loss(batch_of([1, 2, 3])).backward()
    assert model.tables.items.grad.abs().sum() > 0
    items[:] = 0
    assert model.tables.items.abs().sum() > 0


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before():
    one = model_of(SMALL)
    torch.rand(7)
    two, other = model_of(SMALL), SASRec(20, SMALL, seed=4)
    for name, weight in one.named_parameters():
        torch.testing.assert_close(weight, dict(two.named_parameters())[name], rtol=0, atol=0)
    assert (one.tables.items != other.tables.items).any()


def test_given_tables_leave_the_other_weights_as_they_were():
    """Cells of a table differ in what they start from and in nothing else."""
    plain, given = model_of(SMALL), model_of(SMALL, item_vectors=np.ones((20, 8), np.float32))
    for name, weight in plain.named_parameters():
        if name != "tables.items":
            torch.testing.assert_close(weight, dict(given.named_parameters())[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"item_vectors": np.zeros((20, 7), np.float32)},
            r"item_vectors have shape \(20, 7\).*\(20, 8\).*encode_and_map",
        ),
        ({"item_vectors": np.full((20, 8), np.nan, np.float32)}, "not finite"),
        ({"user_vectors": np.zeros((5, 8), np.float32)}, 'user_token="given"'),
    ],
)
def test_wrong_vectors_are_refused(given, said):
    with pytest.raises(UsageError, match=said):
        model_of(SMALL, **given)


def test_user_tokens_want_their_table():
    with pytest.raises(UsageError, match="needs user_vectors"):
        SASRec(20, replace(SMALL, user_token="given"))
    with pytest.raises(UsageError, match="needs n_users"):
        SASRec(20, replace(SMALL, user_token="random"))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_keeps_its_share_and_the_mean_and_backward_sees_the_same_values(kind):
    drop, x = Dropout(0.3), torch.ones(999, 101, dtype=kind, requires_grad=True)
    torch.manual_seed(0)
    out = drop(x)
    out.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, out.detach())
    kept = (out > 0).float()
    assert abs(float(kept.mean()) - 0.7) < 0.007  # five standard errors of this many draws
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.7], rel=2**-8 if kind == torch.bfloat16 else 1e-4)
    columns, lanes = kept.mean(0), kept.flatten()[: 4 * (kept.numel() // 4)].view(-1, 4)
    assert columns.min() > 0.7 - 0.08 and columns.max() < 0.7 + 0.08
    assert torch.corrcoef(lanes.T).fill_diagonal_(0).abs().max() < 0.032, "values of one draw depend on each other"


def test_dropout_follows_the_seed_and_does_nothing_outside_of_training():
    drop, x = Dropout(0.5), torch.ones(7, 3)
    torch.manual_seed(1)
    first, second = drop(x), drop(x)
    torch.manual_seed(1)
    assert torch.equal(drop(x), first) and not torch.equal(first, second)
    assert torch.equal(drop.eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x) and not Dropout(1.0)(x).any()
