"""Spec 8.4, on our sampler and on samplers with a leak put in on purpose."""

import dataclasses

import numpy as np
import pytest

from whyrec.data import SplitView
from whyrec.data.candidates import Candidates, frozen, sample
from whyrec.data.prepare import prepare
from whyrec.errors import UsageError


@pytest.fixture
def corpus(raw):
    rng = np.random.default_rng(5)
    users = np.repeat(np.arange(400), rng.integers(2, 9, 400))
    return prepare(raw(user=users.tolist(), item=rng.integers(0, 60, len(users)).tolist()), "hand")


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("n", [1, 9, 40])
def test_candidates_hold_the_target_once_and_nothing_the_user_met(corpus, leak_checks, split, n):
    view = SplitView(corpus, split)
    c = sample(view, n, seed=1)
    assert c.items.shape == (len(view.users), n + 1) and c.negatives == n and c.items.min() >= 1
    assert leak_checks.candidate_faults(corpus, c.users, view.targets, c.items) == []


def test_the_check_finds_leaks_put_in_on_purpose(corpus, leak_checks):
    view = SplitView(corpus, "test")
    items, rng = sample(view, 9, seed=1).items, np.random.default_rng(0)

    def faults(leaky):
        return leak_checks.candidate_faults(corpus, view.users, view.targets, leaky)

    front = np.argsort(items != view.targets[:, None], axis=1, kind="stable")
    assert "place of the target not uniform" in faults(np.take_along_axis(items, front, axis=1))
    without = np.where(items == view.targets[:, None], items[:, [0]], items)
    assert "target not exactly once" in faults(without)
    # A-LLMRec's own sampler: negatives from outside the *training* items, so the validation item may come
    valid = SplitView(corpus, "valid").targets
    met = items.copy()
    met[np.arange(len(met)), (items == view.targets[:, None]).argmin(axis=1)] = valid
    assert "negative the user has met" in faults(met)
    drawn = np.concatenate([view.targets[:, None], rng.integers(1, 61, (len(items), 9))], axis=1)
    assert {"repeated candidate", "target not exactly once"} <= set(faults(rng.permuted(drawn, axis=1)))


def test_every_unmet_item_is_equally_likely(raw):
    c = prepare(raw(user=["u"] * 4 + ["all"] * 12, item=[0, 1, 2, 3, *range(12)]), "hand")
    view = SplitView(c, "test")
    with pytest.raises(UsageError, match="user all of hand has met all but 0 of 12 items"):
        sample(view, 1)
    one = SplitView(
        prepare(raw(user=["u"] * 4 + ["v", "w"] * 4, item=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), "h"), "test"
    )
    counts = np.zeros(13)
    for seed in range(900):
        counts[sample(one, 3, seed).of(0)] += 1
    drawn = counts[5:]
    assert counts[4] == 900 and counts[1:4].sum() == 0
    assert ((drawn - 900 * 3 / 8) ** 2 / (900 * 3 / 8)).sum() < 30  # chi-square of 7 degrees: p < 1e-4


def test_all_unmet_items_can_be_asked_for_and_not_one_more(corpus):
    view = SplitView(corpus, "test")
    most = corpus.n_items - max(len(set(corpus.items[corpus.offsets[u] : corpus.offsets[u + 1]])) for u in view.users)
    assert sample(view, int(most)).items.shape[1] == most + 1
    with pytest.raises(UsageError, match="Ask for fewer"):
        sample(view, int(most) + 1)
    with pytest.raises(UsageError, match="at least one"):
        sample(view, 0)


def test_a_file_gives_the_same_candidates_back(corpus, tmp_path):
    view = SplitView(corpus, "valid")
    first = frozen(view, 9, 3, folder=tmp_path / "sets")
    [path] = (tmp_path / "sets").iterdir()
    before = path.stat().st_mtime_ns
    again = frozen(view, 9, 3, folder=tmp_path / "sets")
    assert path.stat().st_mtime_ns == before and again.seed == 3
    assert np.array_equal(first.items, again.items) and np.array_equal(first.users, again.users)
    assert np.array_equal(sample(view, 9, 3).items, first.items)
    assert not np.array_equal(sample(view, 9, 4).items, first.items)


def test_a_file_of_other_data_or_another_split_is_refused(corpus, tmp_path):
    path = tmp_path / "c.npz"
    sample(SplitView(corpus, "test"), 9).save(path)
    with pytest.raises(UsageError, match="drawn for split 'test'"):
        Candidates.load(path, SplitView(corpus, "valid"))
    items = corpus.items.copy()
    items[0] = items[0] % corpus.n_items + 1
    with pytest.raises(UsageError, match="drawn for data_digest"):
        Candidates.load(path, SplitView(dataclasses.replace(corpus, items=items), "test"))
    path.write_bytes(b"no")
    with pytest.raises(UsageError, match="not a candidate file"):
        Candidates.load(path, SplitView(corpus, "test"))
    with pytest.raises(UsageError, match="no candidate file"):
        Candidates.load(tmp_path / "missing.npz", SplitView(corpus, "test"))


def test_a_user_without_candidates_is_a_key_error(corpus):
    c = sample(SplitView(corpus, "test"), 3)
    short = int(np.flatnonzero(corpus.lengths < 3)[0])
    with pytest.raises(KeyError, match=f"User {short}"):
        c.of(short)
