"""The fold reads the right events in the right order, and goes on where a stored preference ended."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import polars as pl
import pytest

from graphs.run import prepare, run
from graphs.workflow import workflow
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError, UnknownNameError, UsageError
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "cot_rec.preference"
FLOW = workflow(NAME)


def corpus_of(lengths: list[int], items: int = 90, *, shift: int = 0) -> Corpus:
    """Users of the given lengths; user u's n-th event is item 1 + (u + n + shift) % items."""
    rows = [[1 + (u + n + shift) % items for n in range(length)] for u, length in enumerate(lengths)]
    return Corpus(
        name="made",
        offsets=np.cumsum([0, *lengths]),
        items=np.array([i for row in rows for i in row], dtype=np.int32),
        user_ids=pl.Series([f"u{u}" for u in range(len(lengths))]),
        catalogue=pl.DataFrame(
            {
                "id": [f"i{i + 1}" for i in range(items)],
                "title": [f"title{i + 1:03d}" for i in range(items)],
                "description": [""] * items,
                "brand": [""] * items,
                "categories": [[] for _ in range(items)],
            },
            schema_overrides={"categories": pl.List(pl.String)},
        ),
    )


def asked(model, user: str) -> list[list[str]]:
    """Titles in each request about the user, oldest request first."""
    return [re.findall(r"title\d+", r.messages[-1].content) for r in model.seen if r.about.user == user]


def results(report) -> dict:
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload for r in found.results("done")}
    finally:
        found.close()


async def test_batches_are_read_in_order_with_their_overlap(how, counting):
    corpus, model = corpus_of([3, 12, 20, 70]), counting()
    options = FLOW.options(batch=5, overlap=2, cap=12)
    report = await run(NAME, corpus=corpus, model=model, options=options, how=how(cache=False))
    assert report.exit_code == 0
    view = SplitView(corpus, "test")
    for user in (0, 1, 2, 3):
        history = [f"title{i:03d}" for i in view.history(user)[-12:]]
        mine = [r for r in model.seen if r.about.user == f"u{user}"]
        nodes = [r.about.node for r in mine]
        n = max(1, -(-(len(history) - 2) // 3))
        assert nodes == ["summarise"] + ["summarise", "merge"] * (n - 1)
        shown = [re.findall(r"title\d+", r.messages[-1].content) for r in mine if r.about.node == "summarise"]
        assert shown == [history[k * 3 : k * 3 + 5] for k in range(n)]
        assert all(r.about.example == f"test/u{user}" and r.about.split == "test" for r in mine)
    stored = results(report)
    assert {k: (p["batches"], p["merges"], p["events"]) for k, p in stored.items()} == {
        "test/u0": (1, 0, 2),
        "test/u1": (3, 2, 11),
        "test/u2": (4, 3, 19),
        "test/u3": (4, 3, 69),
    }
    assert all(p["prefix"] == view.prefix_digest(int(k[6:])) for k, p in stored.items())


async def test_the_first_summary_is_the_first_preference_and_merges_see_both(how, counting):
    corpus, model = corpus_of([9]), counting()
    await run(NAME, corpus=corpus, model=model, options=FLOW.options(batch=5, overlap=1, cap=50), how=how())
    first, second, merge = asked(model, "u0")
    assert set(first) == {f"title{i:03d}" for i in range(1, 6)}
    assert set(second) == {f"title{i:03d}" for i in range(5, 9)}
    assert set(merge) == set(first) | set(second), "echo's summaries carry what they were made from"


async def test_an_empty_history_has_a_constant_preference_without_a_call(how, counting):
    corpus = corpus_of([3, 4])
    job = prepare(NAME, corpus=corpus, model=counting(), how=how())
    state = job.inputs.state(0)
    empty = dataclasses.replace(state.task, batches=(), example=dataclasses.replace(state.task.example, history=()))
    from graphs.cot_rec.histories import NO_HISTORY

    final = await FLOW.build().ainvoke(dataclasses.replace(state, task=empty, long=NO_HISTORY), {"recursion_limit": 5})
    assert FLOW.result(FLOW.state(**final))["text"] == NO_HISTORY.summary


@pytest.mark.parametrize("batch", [3, 4])
async def test_going_on_equals_the_whole_fold_where_the_batches_meet(batch, how, counting):
    """Without overlap, a prefix of whole batches is a beginning of the longer fold: same calls, same preference."""
    corpus = corpus_of([2 * batch + 2, 3 * batch + 2, 2 * batch + 3, 9])
    sizes = {"batch": batch, "overlap": 0}
    base = await run(NAME, corpus=corpus, model=counting(), options=FLOW.options(split="valid", **sizes), how=how())
    whole = await run(NAME, corpus=corpus, model=counting(), options=FLOW.options(**sizes), how=how(cache=False))
    model = counting()
    more = FLOW.options(base=base.run, **sizes)
    assert prepare(NAME, corpus=corpus, model=model, options=more, how=how()).inputs.calls() == 8
    went_on = await run(NAME, corpus=corpus, model=model, options=more, how=how(cache=False))
    assert len(model.seen) == 8, "one summary and one merge for the one new event of each user"
    full, incremental = results(whole), results(went_on)
    for key in ("test/u0", "test/u1"):
        told = ("text", "keywords", "kept", "dropped", "added", "prefix", "events")
        assert {k: full[key][k] for k in told} == {k: incremental[key][k] for k in told}
    for user in range(4):
        new = int(SplitView(corpus, "test").history(user)[-1])
        assert asked(model, f"u{user}")[0] == [f"title{new:03d}"], "only the new event is summarised"


async def test_a_base_of_another_history_is_a_leak(how, counting):
    lengths = [8, 9]
    base = await run(
        NAME, corpus=corpus_of(lengths, shift=3), model="echo", options=FLOW.options(split="valid"), how=how()
    )
    with pytest.raises(LeakageError, match="not the first events"):
        await run(NAME, corpus=corpus_of(lengths), model="echo", options=FLOW.options(base=base.run), how=how())


async def test_a_later_base_is_a_leak(how):
    corpus = corpus_of([8, 9])
    base = await run(NAME, corpus=corpus, model="echo", how=how())
    with pytest.raises(LeakageError, match="made from 7 events"):
        await run(NAME, corpus=corpus, model="echo", options=FLOW.options(split="valid", base=base.run), how=how())


async def test_a_user_missing_in_the_base_fails_with_the_reason(how):
    corpus = corpus_of([8, 9, 10])
    base = await run(NAME, corpus=corpus, model="echo", options=FLOW.options(split="valid"), users=2, how=how())
    report = await run(NAME, corpus=corpus, model="echo", options=FLOW.options(base=base.run), how=how())
    assert (report.done, report.failed, report.exit_code) == (2, 1, 1)
    run_ = open_run(read_settings().home, report.run)
    assert [r.reason for r in run_.results("failed")] == [f"MissingInput: run {base.run} has no preference of user u2"]
    run_.close()


async def test_bases_that_do_not_fit_are_refused(how):
    corpus = corpus_of([8, 9])
    described = await run("cot_rec.describe", corpus=corpus, model="echo", users=1, how=how())
    for options, sentence in (
        ({"base": described.run}, "one of cot_rec.preference is needed"),
        ({"base": described.run, "mode": "official_json"}, "needs mode=loop"),
        ({"candidates": 1}, "between 2 and 20"),
        ({"batch": 3, "overlap": 3}, "0 <= overlap < batch"),
    ):
        with pytest.raises(UsageError, match=sentence):
            prepare(NAME, corpus=corpus, model="echo", options=FLOW.options(**options), how=how())
    with pytest.raises(UnknownNameError, match="no run named 'nowhere'"):
        prepare(NAME, corpus=corpus, model="echo", options=FLOW.options(base="nowhere"), how=how())


async def test_stored_descriptions_are_shown_in_place_of_the_catalogues(how, counting):
    corpus = corpus_of([8, 9])
    described = await run("cot_rec.describe", corpus=corpus, model="echo", how=how())
    model = counting()
    options = FLOW.options(descriptions=described.run[:-2])
    report = await run(NAME, corpus=corpus, model=model, options=options, how=how())
    assert report.exit_code == 0
    texts = {k: p["text"] for k, p in results(described).items()}
    assert f"about: {texts['item/i1']}" in model.seen[0].messages[-1].content
    keywords = counting()
    options = FLOW.options(descriptions=described.run, mode="official_keywords")
    await run(NAME, corpus=corpus, model=keywords, options=options, how=how())
    assert [r.about.node for r in keywords.seen] == ["official_keywords"] * 2, "nothing is described again"
