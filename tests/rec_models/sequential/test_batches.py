"""Rows and batches: every training event once, nothing later, nothing twice."""

from __future__ import annotations

import numpy as np
import pytest

from rec_models.base import NegativesWanted
from rec_models.sequential.batches import Batcher, history_rows, training_rows
from whyrec.data.split import SplitView


def rows_as_lists(rows):
    return [
        (int(u), rows.items[s : s + n].tolist()) for u, s, n in zip(rows.users, rows.starts, rows.lengths, strict=True)
    ]


def test_one_row_per_user_holds_what_may_be_trained_on(make_corpus):
    corpus = make_corpus([[1, 2, 3, 4, 5], [6, 7, 8], [9, 10]])
    assert rows_as_lists(training_rows(SplitView(corpus, "valid"), 10)) == [(0, [1, 2, 3]), (2, [9, 10])]


def test_a_longer_user_adds_windows_half_a_row_apart(make_corpus):
    corpus = make_corpus([list(range(1, 13))])
    got = rows_as_lists(training_rows(SplitView(corpus, "valid"), 4))
    assert got == [(0, [7, 8, 9, 10]), (0, [5, 6, 7, 8]), (0, [3, 4, 5, 6]), (0, [1, 2, 3, 4])]


@pytest.mark.parametrize("length", [2, 3, 5, 8, 31])
def test_windows_cover_every_step_and_no_row_is_too_long(ragged, length):
    view = SplitView(ragged, "valid")
    rows = training_rows(view, length)
    assert rows.lengths.max() <= length
    offsets, items = view.sequences()
    steps = {(u, *items[r : r + 2].tolist()) for u in range(80) for r in range(offsets[u], offsets[u + 1] - 1)}
    got = {(u, *row[i : i + 2]) for u, row in rows_as_lists(rows) for i in range(len(row) - 1)}
    assert got == steps


def test_histories_are_the_latest_shown_events(make_corpus):
    corpus = make_corpus([[1, 2, 3, 4, 5], [6, 7], [8, 9, 10]])
    rows = history_rows(SplitView(corpus, "test"), 3)
    assert rows_as_lists(rows) == [(0, [2, 3, 4]), (2, [8, 9])]


def test_an_epoch_has_every_row_once_and_can_be_replayed(ragged):
    batcher = Batcher(SplitView(ragged, "valid"), row_length=20, users_per_step=8, negatives=None)
    once, again, other = (list(batcher.epoch(3, e)) for e in (1, 1, 2))
    key = [[b.users_B.tolist(), b.items_BL.tolist()] for b in once]
    assert key == [[b.users_B.tolist(), b.items_BL.tolist()] for b in again]
    assert key != [[b.users_B.tolist(), b.items_BL.tolist()] for b in other]
    rows = [(int(u), i[:n].tolist()) for b in once for u, i, n in zip(b.users_B, b.items_BL, b.lengths_B, strict=True)]
    assert sorted(rows) == sorted(rows_as_lists(batcher.rows))


def test_batches_hold_about_equally_many_places_and_little_padding(make_corpus):
    random = np.random.default_rng(0)
    corpus = make_corpus([random.permutation(50)[: 4 + int(random.exponential(6)) % 40] + 1 for _ in range(3000)], 50)
    batcher = Batcher(SplitView(corpus, "valid"), row_length=51, users_per_step=64, negatives=None)
    batches = list(batcher.epoch(1, 1))
    places = np.array([int(b.lengths_B.sum()) for b in batches])
    assert np.quantile(places, [0.1, 0.9]).round() == pytest.approx(batcher.places_per_step, rel=0.12)
    assert sum(b.items_BL.numel() for b in batches) < 1.2 * places.sum()


def test_negatives_of_a_place_are_never_items_its_user_trains_on(ragged):
    view = SplitView(ragged, "valid")
    batcher = Batcher(view, row_length=9, users_per_step=16, negatives=NegativesWanted(5, shared=False))
    offsets, items = view.sequences()
    for batch in batcher.epoch(0, 1):
        assert batch.negatives is not None
        assert batch.negatives.shape == (*batch.items_BL.shape, 5)
        assert batch.negatives.min() >= 1
        assert batch.negatives.max() <= 40
        for user, drawn in zip(batch.users_B.tolist(), batch.negatives, strict=True):
            assert not set(drawn.flatten().tolist()) & set(items[offsets[user] : offsets[user + 1]].tolist())


def test_negatives_may_be_later_targets_of_the_user(make_corpus):
    """Excluding validation or test targets would leak them (spec 7.4)."""
    corpus = make_corpus([[1, 2, 3, 4, 5]] * 4)
    batcher = Batcher(
        SplitView(corpus, "valid"), row_length=9, users_per_step=4, negatives=NegativesWanted(50, shared=False)
    )
    (batch,) = batcher.epoch(0, 1)
    assert batch.negatives is not None
    assert set(batch.negatives.flatten().tolist()) == {4, 5}


def test_shared_negatives_are_one_draw(ragged):
    batcher = Batcher(
        SplitView(ragged, "valid"), row_length=9, users_per_step=16, negatives=NegativesWanted(7, shared=True)
    )
    drawn = [b.negatives for b in batcher.epoch(0, 1)]
    assert all(d is not None and d.shape == (7,) for d in drawn)
