"""Click rows come in the order of time, and a view hands out nothing later than its split."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from whyrec.data import NO_TIME, load
from whyrec.data.corpus import Corpus
from whyrec.data.ctr import CtrView, ctr_rows
from whyrec.data.generated.world import make
from whyrec.errors import LeakageError, UsageError


def corpus_of(lengths, times=None, ratings=None, fmt="made"):
    total = sum(lengths)
    return Corpus(
        name="made",
        offsets=np.cumsum([0, *lengths]),
        items=np.arange(1, total + 1, dtype=np.int32),
        user_ids=pl.Series([f"u{u}" for u in range(len(lengths))]),
        catalogue=pl.DataFrame(
            {
                "id": [f"i{i + 1}" for i in range(total)],
                "title": [f"title{i + 1}" for i in range(total)],
                "description": [""] * total,
                "brand": [""] * total,
                "categories": [[] for _ in range(total)],
            },
            schema_overrides={"categories": pl.List(pl.String)},
        ),
        times=None if times is None else np.array(times, dtype=np.int64),
        ratings=np.array(ratings or [1.0 + i % 5 for i in range(total)], dtype=np.float32),
        notes={"format": fmt},
    )


@pytest.fixture(scope="module")
def world_rows():
    return ctr_rows(make(users=300, items=80).corpus)


def test_a_row_is_an_event_with_five_earlier_ones_asked_in_the_order_of_time():
    #                      user 0: events 0..6 at times 10..70     user 1: events 7..13 at 5..65
    corpus = corpus_of([7, 7], times=[*range(10, 80, 10), *range(5, 75, 10)])
    rows = ctr_rows(corpus)
    assert rows.events.tolist() == [12, 5, 13, 6] and rows.users.tolist() == [1, 0, 1, 0]
    assert rows.bounds == (3, 3)
    view = CtrView(rows, "test")
    row = view.example(3)
    assert (row.key, row.user, row.item.id) == ("test/row-3", "u0", "i7")
    assert [e.item.id for e in row.history] == [f"i{i}" for i in range(1, 7)]
    assert [e.rating for e in row.history] == [1, 2, 3, 4, 5, 1]
    assert view.clicked(np.array([3])).tolist() == [False]


def test_splits_are_the_notebooks_shares(world_rows):
    n = len(world_rows)
    train, valid, test = (b - a for a, b in map(world_rows.span, ("train", "valid", "test")))
    assert (train, valid, test) == (int(0.8 * n), int(0.1 * n), n - int(0.8 * n) - int(0.1 * n))
    assert [world_rows.split_of(r) for r in (0, train, train + valid)] == ["train", "valid", "test"]


def test_time_never_runs_against_the_rows_and_ties_keep_the_users_order(world_rows):
    times = world_rows.corpus.times[world_rows.events]
    assert (np.diff(times[times != NO_TIME]) >= 0).all()
    for user in np.unique(world_rows.users):
        mine = world_rows.events[world_rows.users == user]
        assert (np.diff(mine) > 0).all()


def test_events_without_a_time_happen_with_the_one_before():
    times = [NO_TIME, 10, NO_TIME, 20, 30, NO_TIME, 40, *range(31, 38)]
    rows = ctr_rows(corpus_of([7, 7], times=times))
    assert rows.events.tolist() == [5, 12, 13, 6], "event 5 has the time 30 of event 4"


def test_without_times_the_place_in_the_history_is_the_time():
    rows = ctr_rows(corpus_of([8, 6, 7]))
    assert [(int(u), int(e - rows.corpus.offsets[u])) for u, e in zip(rows.users, rows.events, strict=True)] == [
        (0, 5), (1, 5), (2, 5), (0, 6), (2, 6), (0, 7),
    ]  # fmt: skip


def test_an_unrated_event_makes_no_row_and_is_still_history():
    ratings = [5.0] * 8
    ratings[5] = float("nan")
    rows = ctr_rows(corpus_of([8], ratings=ratings))
    assert rows.events.tolist() == [6, 7]
    assert [e.rating for e in CtrView(rows, "test").example(0).history][5] is None


@pytest.mark.parametrize("ask", ["history", "ratings", "example", "item", "user", "span", "prefix_digest"])
def test_a_view_refuses_rows_of_later_splits(world_rows, ask):
    last_of_valid, first_of_test = world_rows.bounds[1] - 1, world_rows.bounds[1]
    getattr(CtrView(world_rows, "valid"), ask)(last_of_valid)
    with pytest.raises(LeakageError, match=r"valid view .* which is a test row"):
        getattr(CtrView(world_rows, "valid"), ask)(first_of_test)


def test_a_view_refuses_labels_of_later_splits(world_rows):
    view = CtrView(world_rows, "train")
    assert len(view.clicked(view.rows)) == world_rows.bounds[0]
    with pytest.raises(LeakageError):
        view.clicked(np.array([0, world_rows.bounds[0]]))


def test_a_history_holds_nothing_of_the_row_or_after_it(world_rows):
    view = CtrView(world_rows, "test")
    for row in view.rows.tolist():
        start, stop = view.span(row)
        assert stop == world_rows.events[row] and start == world_rows.corpus.offsets[world_rows.users[row]]
        assert stop - start >= 5


def test_changing_later_ratings_changes_no_earlier_history(world_rows):
    row = int(CtrView(world_rows, "valid").rows[-1])
    before = CtrView(world_rows, "valid").prefix_digest(row)
    ratings = world_rows.corpus.ratings.copy()
    ratings[world_rows.events[row:]] = 1.0
    changed = dataclasses.replace(world_rows, corpus=dataclasses.replace(world_rows.corpus, ratings=ratings))
    assert CtrView(changed, "valid").prefix_digest(row) == before
    ratings[world_rows.events[row] - 1] += 1.0
    changed = dataclasses.replace(world_rows, corpus=dataclasses.replace(world_rows.corpus, ratings=ratings))
    assert CtrView(changed, "valid").prefix_digest(row) != before


def test_training_likes_are_the_train_rows_with_label_one(world_rows):
    view = CtrView(world_rows, "train")
    users, items = world_rows.training_likes()
    liked = view.rows[view.clicked(view.rows)]
    assert users.tolist() == world_rows.users[liked].tolist()
    assert items.tolist() == world_rows.items[liked].tolist()


def test_bookcrossing_has_one_row_per_user_in_a_random_order():
    corpus = corpus_of([6] * 40 + [5] * 10, ratings=[4.0, 5.0] * 145, fmt="bookcrossing")
    rows = ctr_rows(corpus)
    assert not rows.has_time and rows.above == 4.0
    assert sorted(rows.users.tolist()) == list(range(40)) and rows.users.tolist() != list(range(40))
    assert rows.bounds == (33, 36), "10 % test, and the last 10 % of the others valid"
    row = CtrView(rows, "test").example(39)
    user = row.user_index
    own = corpus.items[corpus.offsets[user] : corpus.offsets[user + 1]].tolist()
    shown = [e.item.index for e in row.history] + [row.item.index]
    assert sorted(shown) == own
    orders = {tuple(np.argsort(rows.corpus.items[6 * u : 6 * u + 6])) for u in range(40)}
    assert len(orders) > 20, "every user is shuffled apart (the published code gives equal lengths equal orders)"
    users, _ = rows.training_likes()
    assert set(users) <= set(rows.users[:33].tolist()) and len(users) > 33


def test_data_without_ratings_or_rows_are_refused():
    corpus = corpus_of([7])
    with pytest.raises(UsageError, match="has no ratings"):
        ctr_rows(dataclasses.replace(corpus, ratings=None))
    with pytest.raises(UsageError, match="after 5 earlier ones"):
        ctr_rows(corpus_of([5, 3]))


@pytest.mark.real_data
def test_ml_1m_has_the_rows_of_the_notebooks(real_data):
    rows = ctr_rows(load(str(real_data("ml-1m"))))
    sizes = [b - a for a, b in map(rows.span, ("train", "valid", "test"))]
    assert (len(rows), sizes) == (969_411, [775_528, 96_941, 96_942])
    view = CtrView(rows, "test")
    assert view.clicked(view.rows).mean() == pytest.approx(0.544, abs=0.0005)


@pytest.mark.real_data
def test_book_crossing_rows_and_their_base_rate(real_data):
    rows = ctr_rows(load(str(real_data("book-crossing"))))
    assert (len(rows), rows.bounds) == (6_672, (5_404, 6_004))
    view = CtrView(rows, "test")
    assert view.clicked(view.rows).mean() > 0.95, "this file has no implicit zeros, so nearly all is liked"


def test_fractions_of_a_second_order_rows_of_different_users():
    corpus = corpus_of([6, 6], times=[1, 2, 3, 4, 5, 9] * 2, ratings=[5.0] * 12)
    nanos = np.zeros(12, dtype=np.int32)
    nanos[5] = 1  # u0's last event comes after u1's
    rows = ctr_rows(dataclasses.replace(corpus, nanos=nanos))
    assert rows.users.tolist() == [1, 0] and ctr_rows(corpus).users.tolist() == [0, 1]


def test_a_border_that_nothing_lies_above_names_the_option_that_moves_it():
    corpus = corpus_of([8], ratings=[0.0, 1.0] * 4)
    with pytest.raises(UsageError, match=r"from 0 to 1, .* -o liked_above=0\.5"):
        ctr_rows(corpus)
    assert ctr_rows(corpus, above=0.5).above == 0.5
