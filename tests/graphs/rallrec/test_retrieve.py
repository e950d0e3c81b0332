"""What rallrec.retrieve shows, of which rows, and with which vectors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from graphs.rallrec.features import NAMES, ItemPast, features
from graphs.rallrec.options import MODES
from graphs.rallrec.retrieve import Lookups, Options, retriever
from graphs.rallrec.vectors import ItemVectors
from graphs.run import run
from graphs.workflow import Source
from whyrec.data.ctr import CtrView, ctr_rows
from whyrec.data.generated.world import make
from whyrec.errors import UsageError
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "rallrec.retrieve"


@pytest.fixture(scope="module")
def corpus():
    return make(users=150, items=60).corpus


@pytest.fixture
def source(corpus):
    return Source(corpus, read_settings().home)


def opened(report):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload for r in found.results("done")}
    finally:
        found.close()


def test_rows_are_a_frozen_random_draw_that_grows_with_users(source):
    home = source.home
    few = Lookups(dataclasses.replace(source, users=5), Options(rows=20))
    more = Lookups(dataclasses.replace(source, users=12), Options(rows=20))
    whole = Lookups(source, Options(rows=20))
    assert len(few.indices) == 5 and set(few.indices) < set(more.indices) < set(whole.indices)
    assert (np.diff(whole.indices) > 0).all() and len(whole.indices) == 20
    first, stop = whole.view.data.span("test")
    assert whole.indices.min() >= first and whole.indices.max() < stop
    assert whole.indices.tolist() != list(range(first, first + 20)), "not the earliest rows"
    (listed,) = (home / "rows").iterdir()
    lines = listed.read_text().splitlines()
    assert lines[0] == "row\tuser\titem" and [int(x.split("\t")[0]) for x in lines[1:]] == whole.indices.tolist()
    assert set(Lookups(source, Options(rows=20, seed=1)).indices) != set(whole.indices)
    listed.write_text("row\tuser\titem\n")
    with pytest.raises(UsageError, match="lists other rows"):
        Lookups(source, Options(rows=20))


def test_options_are_filled_in_and_checked(source):
    assert Lookups(source, Options()).options.gamma == "2/3"
    shuffled = Lookups(source, Options(protocol="shuffled"))
    assert (shuffled.options.gamma, shuffled.options.liked_above) == ("1", "3"), "no recency where there is no time"
    for wrong, said in (
        ({"gamma": "two"}, "such as 0.5 or 2/3"),
        ({"gamma": "1.5"}, "between 0 and 1"),
        ({"k": 0}, "at least 1"),
        ({"beta": "-1"}, "between 0 and 10"),
        ({"liked_above": "1/0"}, "such as 0.5"),
    ):
        with pytest.raises(UsageError, match=said):
            Lookups(source, Options(**wrong))


@pytest.mark.parametrize("mode", MODES)
async def test_every_mode_shows_events_of_the_history_once(mode, corpus, how):
    options = Options(retrieval=mode, k=4, rows=30)
    stored = opened(await run(NAME, corpus=corpus, model="extractive", options=options, how=how()))
    assert len(stored) == 30
    view = CtrView(ctr_rows(corpus), "test")
    for key, told in stored.items():
        row = told["row"]
        history = [corpus.item(int(i)).id for i in view.history(row)]
        assert key == f"test/row-{row}" and told["events"] == len(history)
        assert told["shown"] == [history[p] for p in told["places"]] and len(set(told["places"])) == 4
        assert told["prefix"] == view.prefix_digest(row)
        if mode == "recent":
            assert told["places"] == list(range(len(history) - 1, len(history) - 5, -1))
        if mode == "relevant":
            assert told["similarity"] == sorted(told["similarity"], reverse=True)


def test_shown_by_time_is_the_same_set_oldest_first(source):
    by_score, by_time = (retriever(source, Lookups(source, Options(k=4, order=o)).options) for o in ("score", "time"))
    for row in by_score.view.rows[:20].tolist():
        one, other = by_score.shown(row), by_time.shown(row)
        assert sorted(one.places.tolist()) == other.places.tolist()
        assert dict(zip(one.places.tolist(), one.scores, strict=True)) == dict(
            zip(other.places.tolist(), other.scores, strict=True)
        )


def test_concatenation_is_the_mean_of_the_parts_cosines(source):
    vectors = ItemVectors(ctr_rows(source.corpus), Lookups(source, Options()).options, source.home)
    items = np.arange(1, 40, dtype=np.int32)
    joined = np.hstack([vectors.part("text"), vectors.part("collaborative")])
    wanted = joined[items] @ joined[7] / 2
    assert vectors.similarity("concat", items, 7) == pytest.approx(wanted, abs=1e-6)
    assert vectors.similarity("text", items, 7)[6] == pytest.approx(1.0, abs=1e-5), "item 7 is like itself"
    lengths = np.linalg.norm(vectors.part("text"), axis=1)
    assert set(lengths.round(4)) == {0.0, 1.0} and lengths[0] == 0, "1, or 0 for padding and items without text"


def test_text_vectors_find_items_of_the_same_topic(source):
    """The world's items share words by topic, so the likest item by text has a likeness far above the mean."""
    part = retriever(source, Lookups(source, Options(vectors="text", retrieval="relevant", k=3)).options)
    top = [part.shown(int(row)).similarity for row in part.view.rows[:60]]
    assert np.mean([s[0] for s in top]) > np.mean([s[-1] for s in top]) > 0


def test_an_items_past_never_tells_the_rows_own_label(source):
    rows = ctr_rows(source.corpus)
    past, train = ItemPast(rows), CtrView(rows, "train")
    clicked = train.clicked(train.rows)
    for row in range(0, rows.bounds[0], 37):
        earlier = np.flatnonzero(rows.items[:row] == rows.items[row])
        rate = (clicked[earlier].sum() + 10 * past.base) / (len(earlier) + 10)
        assert past.of(row, int(rows.items[row])) == pytest.approx((rate, np.log1p(len(earlier))))
    test = int(CtrView(rows, "test").rows[0])
    item = int(rows.items[test])
    assert past.of(test, item)[1] == pytest.approx(np.log1p((rows.items[: rows.bounds[0]] == item).sum()))


def test_features_are_of_the_past_alone(source):
    part = retriever(source, Lookups(source, Options(k=5)).options)
    row = int(part.view.rows[3])
    before = features(part, ItemPast(part.view.data), row, "rerank")
    assert before.shape == (len(NAMES),) and np.isfinite(before).all()
    ratings = part.view.corpus.ratings
    ratings.setflags(write=True)
    kept = ratings.copy()
    try:
        ratings[part.view.data.events[row]] = 6.0 - ratings[part.view.data.events[row]]
        assert features(part, ItemPast(part.view.data), row, "rerank").tolist() == before.tolist()
    finally:
        ratings[:] = kept
