"""Counting gives what sorting gives, ties and masks included."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rec_models.rank import places, rank
from whyrec.data.candidates import sample
from whyrec.data.split import SplitView
from whyrec.errors import UsageError


class Table:
    """Fixed scores per user."""

    max_length = 3

    def __init__(self, scores_UI):
        self.scores_UI = torch.as_tensor(scores_UI, dtype=torch.float32)

    def encode(self, batch):
        assert batch.items_BL.shape[1] <= self.max_length
        return batch.users_B

    def scores(self, states):
        return self.scores_UI[states]


@pytest.fixture(scope="module")
def tied():
    """Few distinct values: many ties."""
    return Table(np.random.default_rng(0).integers(0, 6, (80, 40)))


def by_sorting(scores, target, seen, allowed=None):
    """(better, ties) from a sort of every candidate."""
    of = {i: -math.inf if i in seen else float(scores[i - 1]) for i in allowed or range(1, len(scores) + 1)}
    line = sorted(of.values(), reverse=True)
    first = line.index(of[target])
    return first, line.count(of[target]) - 1


@pytest.mark.parametrize("batch", [1, 7, 500])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_counting_is_sorting(ragged, tied, split, masked, batch):
    view = SplitView(ragged, split)
    got = rank(tied, view, mask_seen=masked, batch=batch, top=0)
    assert [r.user for r in got] == view.users.tolist()
    for r, target in zip(got, view.targets, strict=True):
        seen = set(view.history(r.user).tolist()) if masked else set()
        assert (r.better, r.ties) == by_sorting(tied.scores_UI[r.user], int(target), seen)
        assert r.candidates == 40
        assert r.items == ()


def test_candidates_are_ranked_among_themselves(ragged, tied):
    view = SplitView(ragged, "test")
    drawn = sample(view, 8, seed=1)
    got = rank(tied, view, candidates=drawn, top=3)
    for r, row, target in zip(got, drawn.items, view.targets, strict=True):
        allowed = row.tolist()
        assert (r.better, r.ties) == by_sorting(tied.scores_UI[r.user], int(target), set(), allowed)
        assert r.candidates == 9
        best = sorted((float(tied.scores_UI[r.user, i - 1]) for i in allowed), reverse=True)[:3]
        assert [float(tied.scores_UI[r.user, i - 1]) for i in r.items] == best


def test_the_best_items_are_kept_and_none_was_seen(ragged, tied):
    view = SplitView(ragged, "test")
    for r in rank(tied, view, top=5):
        seen = set(view.history(r.user).tolist())
        open_scores = sorted((float(s) for i, s in enumerate(tied.scores_UI[r.user], 1) if i not in seen), reverse=True)
        assert [float(tied.scores_UI[r.user, i - 1]) for i in r.items] == open_scores[:5]
        assert not seen & set(r.items)


def test_a_target_that_was_seen_stands_last_when_seen_items_are_masked(make_corpus):
    corpus = make_corpus([[1, 2, 1]], n_items=5)
    (r,) = rank(Table([[9.0, 1, 1, 1, 1]]), SplitView(corpus, "test"), top=0)
    assert (r.better, r.ties) == (3, 1)
    (r,) = rank(Table([[9.0, 1, 1, 1, 1]]), SplitView(corpus, "test"), mask_seen=False, top=0)
    assert (r.better, r.ties) == (0, 0)


def test_expected_metrics_by_hand(make_corpus):
    corpus = make_corpus([[1, 2, 3]] * 3, n_items=12)
    scores = np.zeros((3, 12))
    scores[0, 2] = 1
    scores[1, 3:7] = 1
    found = places(Table(scores), SplitView(corpus, "test"))
    assert found.better.tolist() == [0, 4, 0]
    assert found.ties.tolist() == [0, 5, 9]
    ndcg, recall = found.expected(5)
    spread = sum(1 / math.log2(r + 1) for r in range(1, 6)) / 10
    assert recall == pytest.approx((1 + 1 / 6 + 5 / 10) / 3)
    assert ndcg == pytest.approx((1 + 1 / math.log2(6) / 6 + spread) / 3)


def test_a_score_that_is_not_a_number_is_no_win(ragged):
    view = SplitView(ragged, "test")
    broken = Table(np.full((80, 40), np.nan))
    with pytest.raises(AssertionError, match="diverged"):
        rank(broken, view)


def test_candidates_without_the_target_are_refused(ragged, tied):
    view = SplitView(ragged, "test")
    with pytest.raises(UsageError, match="exactly once"):
        rank(tied, view, candidates=np.ones((len(view.users), 4), int))
    with pytest.raises(UsageError, match="one row of item ids per user"):
        rank(tied, view, candidates=np.ones((3, 4), int))
