"""Rows for the ranker: what cot_rec.recommend sends, validation targets as answers, nothing of the test split."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from graphs.cot_rec.recommend import Options
from graphs.cot_rec.tuning import ranker_rows
from graphs.run import run
from graphs.workflow import Source
from whyrec.data.generated.world import make
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

HOW = Options(mode="titles", split="valid")
MARK = "ZQ"


@pytest.fixture(scope="module")
def crowd():
    return make(users=120, items=60)


def rows_of(corpus, options=HOW, **more):
    return ranker_rows(Source(corpus, read_settings().home), options, **more)


def texts(rows):
    return {row.key: [message.content for message in row.messages] for row in (*rows.train, *rows.dev)}


def test_the_answer_is_the_validation_item_and_a_tenth_of_the_users_is_held_out(crowd) -> None:
    rows = rows_of(crowd.corpus)
    view = SplitView(crowd.corpus, "valid")
    for row in (*rows.train, *rows.dev):
        chosen = row.blanks["options"][row.labels.index(row.answer)]
        assert chosen["index"] == view.target(crowd.corpus.user_index[row.group]) and len(row.labels) == 10
    n = len(rows.train) + len(rows.dev)
    assert n > 20 and len(rows.dev) == round(0.1 * n)
    assert not {row.group for row in rows.train} & {row.group for row in rows.dev}
    assert rows.made["data_digest"] == crowd.corpus.digest and rows.made["split"] == "valid"
    places = {row.answer for row in rows.train}
    assert len(places) > 4  # the right one stands anywhere


async def test_rows_say_what_the_graph_says(crowd, how) -> None:
    options = replace(HOW, only="hits")
    report = await run("cot_rec.recommend", corpus=crowd.corpus, model=Echo(), options=options, how=how(cache=False))
    stored = open_run(read_settings().home, report.run)
    try:
        sent = {str(call["example"]): str(call["blanks"]) for call in stored.calls()}
        assert all(call["prompt_digest"] for call in stored.calls())
    finally:
        stored.close()
    rows = rows_of(crowd.corpus)
    assert {row.key: dict(row.blanks) for row in (*rows.train, *rows.dev)} == {
        k: json.loads(v) for k, v in sent.items()
    }


def test_nothing_of_the_test_split_is_in_a_row(crowd, leak_checks) -> None:
    rows = rows_of(crowd.corpus)
    assert texts(rows) == texts(rows_of(leak_checks.permuted(crowd.corpus)))
    assert [row.answer for row in rows.train] == [
        row.answer for row in rows_of(leak_checks.permuted(crowd.corpus)).train
    ]
    poisoned = texts(rows_of(leak_checks.poisoned(crowd.corpus, "test", MARK)))
    assert poisoned and not leak_checks.sentinel_places([t for told in poisoned.values() for t in told], MARK)


def test_these_tests_find_a_leak(crowd, leak_checks, monkeypatch) -> None:
    """Histories that go two events too far show the test item, and both tests see it."""
    others = [leak_checks.permuted(crowd.corpus), leak_checks.poisoned(crowd.corpus, "test", MARK)]
    for corpus in (crowd.corpus, *others):
        rows_of(corpus)  # what is retrieved is kept, and does not leave out what a leaky history shows
    span = SplitView._span
    monkeypatch.setattr(SplitView, "_span", lambda self, user: (span(self, user)[0], span(self, user)[1] + 2))
    assert texts(rows_of(crowd.corpus)) != texts(rows_of(others[0]))
    poisoned = texts(rows_of(others[1]))
    assert leak_checks.sentinel_places([t for told in poisoned.values() for t in told], MARK)


def test_what_is_asked_does_not_hang_on_the_answer(crowd, leak_checks) -> None:
    """Validation targets decide who is asked about, and which letter is right; no text changes with them."""
    retriever = replace(HOW, retriever="item_cf")
    before = texts(rows_of(crowd.corpus, retriever))
    items = crowd.corpus.items.copy()
    ends = crowd.corpus.offsets[1:]
    items[ends - 2] = items[ends - 2][::-1].copy()
    after = texts(rows_of(replace(crowd.corpus, items=items), retriever))
    both = before.keys() & after.keys()
    assert both and all(before[key] == after[key] for key in both)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (Options(mode="titles", split="test"), LeakageError, "split=valid"),
        (replace(HOW, mode="none"), UsageError, "nothing to tune"),
        (replace(HOW, mode="perception"), UsageError, "preferences=RUN.*perceptions=RUN"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(crowd, options, error, said) -> None:
    with pytest.raises(error, match=said):
        rows_of(crowd.corpus, options)
