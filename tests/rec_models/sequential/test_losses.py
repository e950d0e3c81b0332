"""Losses against torch's own, in value and gradient."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from rec_models.sequential import softmax
from rec_models.sequential.losses import LossSettings, cross_entropy, next_item_loss


def draws(t=7, items=11, d=5, dtype=torch.float64):
    random = torch.Generator().manual_seed(1)
    h = torch.randn(t, d, generator=random, dtype=dtype, requires_grad=True)
    table = torch.randn(items, d, generator=random, dtype=dtype, requires_grad=True)
    return h, table, torch.randint(0, items, (t,), generator=random)


@pytest.fixture(params=["attention", 1, 3, 100])
def way(request, monkeypatch):
    """The way of processors, and the one of other devices in chunks of some places."""
    if request.param != "attention":
        monkeypatch.setattr(softmax, "CHUNK", request.param)
        monkeypatch.setattr(softmax, "_by_attention", softmax._by_chunks)


@pytest.mark.parametrize("directions", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_torchs(way, smoothing, directions):
    h, table, true = draws()
    items = F.normalize(table, dim=-1) if directions else table
    want = F.cross_entropy(h @ items.T, true, label_smoothing=smoothing)
    want_grads = torch.autograd.grad(3 * want, [h, table])
    got = cross_entropy(h, table, true, smoothing=smoothing, directions=directions)
    got_grads = torch.autograd.grad(3 * got, [h, table])
    close = {"rtol": 1e-5, "atol": 1e-7}
    torch.testing.assert_close(got, want, **close)
    torch.testing.assert_close(got_grads, want_grads, **close)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_passes_gradcheck(way, smoothing):
    h, table, true = draws()
    assert torch.autograd.gradcheck(lambda a, b: cross_entropy(a, b, true, smoothing=smoothing), (h, table))


@pytest.mark.parametrize("t", [7, 300, 800])
def test_cross_entropy_of_many_places_and_items_is_torchs(t):
    """More than one block of torch's kernel each way, whose sizes change with the number of places."""
    h, table, true = draws(t=t, items=1103, d=24, dtype=torch.float32)
    want, got = F.cross_entropy(h @ table.T, true), cross_entropy(h, table, true)
    torch.testing.assert_close(got, want)
    want_grads, got_grads = (torch.autograd.grad(loss, [h, table]) for loss in (want, got))
    torch.testing.assert_close(got_grads, want_grads, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("by", "near"), [(1e2, 1e-3), (1e4, 1e-2)])
def test_cross_entropy_survives_scores_far_apart(way, by, near):
    """Scores of 9e4 have steps of .008 in float32: the log of a sum of them is no more exact, shares have to be."""
    h, table, true = draws(dtype=torch.float32)
    h = (by * h.detach()).requires_grad_()
    want, got = F.cross_entropy(h @ table.T, true), cross_entropy(h, table, true)
    torch.testing.assert_close(got, want)
    want_grads, got_grads = (torch.autograd.grad(loss, [h, table]) for loss in (want, got))
    torch.testing.assert_close(got_grads, want_grads, rtol=near, atol=1e-3)


@pytest.mark.parametrize("states", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("amx", [True, False])
@pytest.mark.parametrize("by", [1.0, 100.0])
def test_chunks_in_bfloat16_are_near_whether_scores_are_small_or_not(by, amx, states, monkeypatch):
    """Processors with AMX attend, others go by chunks; scores above `SAFE` are lowered first."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    h, table, true = draws(t=600, items=300, d=8, dtype=torch.float32)
    table = F.normalize(table.detach(), dim=-1).requires_grad_()
    h = (by * F.normalize(h.detach(), dim=-1)).to(torch.bfloat16).float().requires_grad_()
    want = F.cross_entropy(h @ table.T, true)
    with torch.autocast("cpu", torch.bfloat16):
        got = cross_entropy(h.to(states), table, true)
    torch.testing.assert_close(got, want, rtol=0.01, atol=0.02)
    grads, wanted = (torch.autograd.grad(loss, [h, table]) for loss in (got, want))
    for near, exact in zip(grads, wanted, strict=True):
        assert F.cosine_similarity(near.flatten(), exact.flatten(), dim=0) > 0.99


def test_cross_entropy_under_bf16_is_near_and_its_gradients_stay_float32():
    h, table, true = draws(t=40, items=30, d=8, dtype=torch.float32)
    want = F.cross_entropy(h @ table.T, true)
    with torch.autocast("cpu", torch.bfloat16):
        got = cross_entropy(h, table, true)
    grads = torch.autograd.grad(got, [h, table])
    assert [g.dtype for g in grads] == [torch.float32, torch.float32]
    torch.testing.assert_close(got, want, rtol=0.02, atol=0.02)
    for near, exact in zip(grads, torch.autograd.grad(want, [h, table]), strict=True):
        assert F.cosine_similarity(near.flatten(), exact.flatten(), dim=0) > 0.999


def test_bce_by_hand():
    h, table, true = draws(t=2)
    negatives = torch.tensor([[1, 2], [3, 4]])
    true = torch.tensor([8, 9])
    got = next_item_loss(h, table, true, settings=LossSettings("bce", 2), negatives=negatives)
    scores = h @ table.T
    parts = [-F.logsigmoid(scores[i, t - 1]) for i, t in enumerate(true)]
    parts += [-F.logsigmoid(-scores[i, n - 1]) for i in range(2) for n in negatives[i]]
    torch.testing.assert_close(got, torch.stack(parts).sum().float() / 6)


def test_sampled_softmax_with_every_item_is_cross_entropy():
    h, table, true = draws(dtype=torch.float32)
    every = torch.arange(1, 12)
    for shared, negatives in ((True, every), (False, every.expand(7, 11))):
        settings = LossSettings("sampled_softmax", 11, shared=shared)
        got = next_item_loss(h, table, true + 1, settings=settings, negatives=negatives)
        torch.testing.assert_close(got, F.cross_entropy(h @ table.T, true))


@pytest.mark.parametrize("name", ["bce", "gbce", "sampled_softmax"])
def test_a_negative_that_is_the_answer_does_not_count(name):
    h, table, _ = draws(t=1)
    true = torch.tensor([5])
    settings = LossSettings(name, 2)
    first, second = (
        next_item_loss(h, table, true, settings=settings, negatives=torch.tensor([[3, n]])) for n in (5, 5)
    )
    with_other = next_item_loss(h, table, true, settings=settings, negatives=torch.tensor([[3, 4]]))
    assert first == second < with_other


def test_gbce_is_bce_with_the_positive_to_the_power_beta():
    """gSASRec eq. 9; with t = 0 it is BCE, with t = 1 the power is the sampling rate."""
    h, table, true = draws(t=3, items=101)
    h, table, true = h.detach(), table.detach(), true + 1
    negatives = torch.randint(1, 102, (3, 10), generator=torch.Generator().manual_seed(2))
    ask = {
        t: float(next_item_loss(h, table, true, settings=LossSettings("gbce", 10, calibration=t), negatives=negatives))
        for t in (0.0, 0.75, 1.0)
    }
    bce = float(next_item_loss(h, table, true, settings=LossSettings("bce", 10), negatives=negatives))
    positive = float(F.softplus(-(h * table[true - 1]).sum(-1)).mean()) / 11
    alpha = 10 / 100
    assert math.isclose(ask[0.0], bce, rel_tol=1e-5)
    assert math.isclose(ask[1.0], bce - (1 - alpha) * positive, rel_tol=1e-5)
    assert math.isclose(ask[0.75], bce - (1 - (0.25 + 0.75 * alpha)) * positive, rel_tol=1e-5)


def test_temperature_makes_cosines():
    h, table, true = draws(dtype=torch.float32)
    got = next_item_loss(h, table, true + 1, settings=LossSettings(temperature=0.1))
    cosines = F.normalize(h, dim=1) @ F.normalize(table, dim=1).T
    torch.testing.assert_close(got, F.cross_entropy(cosines / 0.1, true))
