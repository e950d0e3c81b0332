"""The training loop: it stops, resumes exactly, keeps the best, and cannot see a test target."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rec_models.fit import FitSettings, fit
from rec_models.rank import places
from rec_models.sequential.bert4rec import BERT4Rec, BERT4RecSettings
from rec_models.sequential.losses import LossSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from whyrec import precision
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError, UsageError

NETWORK = SASRecSettings(width=8, heads=1, blocks=1, dropout=0.2, max_length=10)
SHORT = FitSettings(epochs=5, patience=9, users_per_step=16, lr=0.01)


class Killed(Exception):
    """Stands for kill -9: everything in memory is lost, everything on disk stays."""


def model_of(corpus, network=NETWORK, seed=1):
    if isinstance(network, BERT4RecSettings):
        return BERT4Rec(corpus.n_items, network, seed=seed, n_users=corpus.n_users)
    return SASRec(corpus.n_items, network, seed=seed, n_users=corpus.n_users)


def weights(model):
    return {n: w.detach().clone() for n, w in model.named_parameters()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)


VARIANTS = {
    "ce": (NETWORK, SHORT),
    "bce": (replace(NETWORK, loss=LossSettings("bce", 2)), SHORT),
    "average": (NETWORK, replace(SHORT, average=0.9, warmup=6, clip=1.0)),
    "every second": (replace(NETWORK, user_token="random"), replace(SHORT, evaluate_every=2)),
    "bert": (BERT4RecSettings(width=8, heads=1, blocks=1, max_length=10), SHORT),
}


@pytest.mark.parametrize("killed_after", [1, 3])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_killed_fit_ends_as_if_it_had_not_been(ragged, tmp_path, name, killed_after):
    network, settings = VARIANTS[name]
    whole = model_of(ragged, network)
    want = fit(whole, ragged, settings=settings, seed=4, folder=tmp_path / "whole")

    def kill(row):
        if row.epoch == killed_after:
            raise Killed

    with pytest.raises(Killed):
        fit(model_of(ragged, network), ragged, settings=settings, seed=4, folder=tmp_path / "a", on_epoch=kill)
    rows = []
    torch.rand(3)
    resumed = model_of(ragged, network)
    got = fit(resumed, ragged, settings=settings, seed=4, folder=tmp_path / "a", on_epoch=rows.append)
    assert [r.epoch for r in rows] == list(range(killed_after + 1, want.epochs + 1))
    assert same(weights(whole), weights(resumed))
    assert [replace(r, seconds=0) for r in got.rows] == [replace(r, seconds=0) for r in want.rows]


def test_a_kill_while_writing_leaves_the_epoch_before(ragged, tmp_path, monkeypatch):
    whole = model_of(ragged)
    fit(whole, ragged, settings=SHORT, seed=4)
    calls = []

    def torn(tensors, path):
        calls.append(path)
        if len(calls) == 5:
            path.write_bytes(b"half")
            raise Killed
        return save(tensors, path)

    from rec_models import checkpoint

    save = checkpoint.save_file
    monkeypatch.setattr(checkpoint, "save_file", torn)
    with pytest.raises(Killed):
        fit(model_of(ragged), ragged, settings=SHORT, seed=4, folder=tmp_path / "a")
    resumed = model_of(ragged)
    fit(resumed, ragged, settings=SHORT, seed=4, folder=tmp_path / "a")
    assert same(weights(whole), weights(resumed))
    assert len(list((tmp_path / "a").glob("*.safetensors*"))) == 2


def test_a_finished_fit_returns_at_once(ragged, tmp_path):
    first = model_of(ragged)
    want = fit(first, ragged, settings=SHORT, folder=tmp_path)
    again = model_of(ragged)
    got = fit(again, ragged, settings=SHORT, folder=tmp_path, on_epoch=lambda row: pytest.fail(str(row)))
    assert got == want
    assert same(weights(first), weights(again))


@pytest.mark.parametrize("what", ["settings", "seed", "weights", "data"])
def test_a_folder_of_another_fit_is_refused(ragged, successor, tmp_path, what):
    fit(model_of(ragged), ragged, settings=replace(SHORT, epochs=1), folder=tmp_path)
    settings = replace(SHORT, epochs=1, lr=0.02) if what == "settings" else replace(SHORT, epochs=1)
    corpus = successor if what == "data" else ragged
    with pytest.raises(UsageError, match="folder of its own"):
        fit(
            model_of(corpus, seed=2 if what == "weights" else 1),
            corpus,
            settings=settings,
            seed=int(what == "seed"),
            folder=tmp_path,
        )


def test_it_stops_without_progress_and_keeps_the_best(ragged):
    model = model_of(ragged)
    report = fit(model, ragged, settings=replace(SHORT, epochs=60, patience=3, lr=0.03))
    found = [r.valid_ndcg for r in report.rows]
    assert report.epochs == report.best_epoch + 3 < 60
    assert report.valid_ndcg == max(found) == found[report.best_epoch - 1]
    assert places(model, SplitView(ragged, "valid")).expected(10) == (report.valid_ndcg, report.valid_recall)


def test_the_same_seed_repeats_and_the_callers_random_numbers_are_left_alone(ragged):
    torch.manual_seed(11)
    expected = torch.rand(1)
    one, two, other = model_of(ragged), model_of(ragged), model_of(ragged)
    torch.manual_seed(11)
    fit(one, ragged, settings=SHORT, seed=1)
    assert torch.rand(1) == expected
    fit(two, ragged, settings=SHORT, seed=1)
    fit(other, ragged, settings=SHORT, seed=2)
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))


@pytest.mark.parametrize("name", ["ce", "bce", "bert"])
def test_bf16_trains_like_float32(successor, name):
    network, settings = VARIANTS[name]
    losses = []
    for kind in ("float32", "bfloat16"):
        model = model_of(successor, network)
        report = fit(model, successor, settings=replace(settings, precision=kind))
        losses.append([r.loss for r in report.rows])
        assert all(w.dtype == torch.float32 and w.isfinite().all() for w in weights(model).values())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


def test_an_average_of_weights_is_what_is_kept(ragged):
    plain, averaged = model_of(ragged), model_of(ragged)
    start = weights(plain)
    fit(plain, ragged, settings=replace(SHORT, epochs=1))
    fit(averaged, ragged, settings=replace(SHORT, epochs=1, average=0.99))
    whole, part = ({n: float((w - start[n]).norm()) for n, w in weights(m).items()} for m in (plain, averaged))
    assert 0 < part["tables.items"] < whole["tables.items"]


class LeakyView(SplitView):
    """A view that trains on the test target: the leak that the next tests must see."""

    def sequences(self):
        return self.corpus.offsets, self.corpus.items


def with_permuted_test_targets(corpus):
    items = corpus.items.copy()
    users = np.flatnonzero(corpus.lengths >= 3)
    last = corpus.offsets[users + 1] - 1
    items[last] = items[np.roll(last, 1)]
    return replace(corpus, items=items)


@pytest.mark.parametrize("name", VARIANTS)
def test_permuted_test_targets_change_no_bit_of_a_model(ragged, name):
    """Spec 8, test 2."""
    network, settings = VARIANTS[name]
    other = with_permuted_test_targets(ragged)
    assert (other.items != ragged.items).any()
    one, two = model_of(ragged, network), model_of(other, network)
    reports = [fit(m, c, settings=settings) for m, c in ((one, ragged), (two, other))]
    assert same(weights(one), weights(two))
    assert reports[0].valid_ndcg == reports[1].valid_ndcg


@pytest.mark.parametrize("name", VARIANTS)
def test_the_permutation_test_sees_a_leak(ragged, name):
    network, settings = VARIANTS[name]
    one, two = model_of(ragged, network), model_of(ragged, network)
    fit(one, LeakyView(ragged, "valid"), settings=settings)
    fit(two, LeakyView(with_permuted_test_targets(ragged), "valid"), settings=settings)
    assert not same(weights(one), weights(two))


def test_a_test_view_is_refused(ragged):
    with pytest.raises(LeakageError, match="test view"):
        fit(model_of(ragged), SplitView(ragged, "test"))


def test_what_cannot_be_trained_is_said(make_corpus, ragged, tmp_path):
    with pytest.raises(UsageError, match="nothing can be learnt"):
        fit(model_of(ragged), make_corpus([[1, 2, 3]], n_items=40), settings=SHORT)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        fit(model_of(ragged), ragged, settings=SHORT, folder=tmp_path / "file")
    absent = ["tpu", "cuda:99", *([] if torch.cuda.is_available() else ["cuda"])]
    for device in absent:
        with pytest.raises(UsageError, match=f"'{device}' is not here"):
            fit(model_of(ragged), ragged, settings=replace(SHORT, device=device))


def test_a_constant_model_is_at_chance(ragged):
    """Spec 8, test 5: without learning, expected metrics are those of a random order."""
    model = model_of(ragged, replace(NETWORK, init_std=0.0))
    view = SplitView(ragged, "test")
    found = places(model, view, mask_seen=False).expected(10)
    gain = sum(1 / math.log2(r + 1) for r in range(1, 11)) / 40
    assert found == (pytest.approx(gain), pytest.approx(10 / 40))


def test_a_fit_goes_on_in_the_precision_it_began_in(ragged, tmp_path, monkeypatch):
    """So an unbroken fit and a killed one end alike, whatever the second start measures."""
    monkeypatch.setattr(precision, "rates", lambda device, threads: {"float32": 1.0, "bfloat16": 9.0})
    whole = model_of(ragged)
    fit(whole, ragged, settings=replace(SHORT, epochs=4))

    def kill(row):
        if row.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        fit(model_of(ragged), ragged, settings=replace(SHORT, epochs=4), folder=tmp_path, on_epoch=kill)
    monkeypatch.setattr(precision, "rates", lambda device, threads: {"float32": 9.0, "bfloat16": 1.0})
    again = model_of(ragged)
    report = fit(again, ragged, settings=replace(SHORT, epochs=4), folder=tmp_path)
    assert report.precision.startswith("bfloat16") and same(weights(again), weights(whole))


def test_precision_is_no_part_of_what_a_fit_is_identified_by():
    assert FitSettings(precision="bfloat16").recipe == FitSettings(precision="float32", device="cuda").recipe
