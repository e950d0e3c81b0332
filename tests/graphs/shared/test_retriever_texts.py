"""SASRec started from texts: which runs it takes, what it makes of them, and that no target is among it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphs.cot_rec import written
from graphs.run import prepare, run
from graphs.workflow import Source, workflow
from rec_models import presets
from rec_models.fit import FitSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "cot_rec.recommend"
FLOW = workflow(NAME)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A SASRec that trains for two epochs."""
    small = SASRecSettings(width=8, blocks=1, heads=1, max_length=10)
    monkeypatch.setattr(presets, "settings", lambda name, corpus: (small, FitSettings(epochs=2, users_per_step=16)))


async def texts(corpus, how, *, split="valid", users=None, model=None):
    """The runs that tables start from."""
    items = await run("cot_rec.describe", corpus=corpus, model=model or Echo(), how=how())
    fold = workflow("cot_rec.preference").options(split=split, descriptions=items.run)
    likes = await run("cot_rec.preference", corpus=corpus, model=model or Echo(), options=fold, users=users, how=how())
    return {"retriever": "sasrec_texts", "item_texts": items.run, "user_texts": likes.run}


async def proposed(corpus, how, **options):
    report = await run(
        NAME, corpus=corpus, model=Echo(), options=FLOW.options(mode="none", **options), how=how(new=True)
    )
    stored = open_run(read_settings().home, report.run)
    try:
        return {r.user: r.payload["retrieved"] for r in stored.results("done")}, report
    finally:
        stored.close()


async def test_tables_start_from_the_texts_and_are_trained_once(world, how, monkeypatch):
    corpus, seen = world.corpus, []
    given = await texts(corpus, how)
    real = SASRec.__init__

    def watched(self, *args, **rest):
        seen.append(rest)
        real(self, *args, **rest)

    monkeypatch.setattr(SASRec, "__init__", watched)
    first, _ = await proposed(corpus, how, **given)
    assert len(first) == len(SplitView(corpus, "test").users) and {len(items) for items in first.values()} == {10}
    (tables,) = seen
    assert tables["item_vectors"].shape == (corpus.n_items, 8) and tables["user_vectors"].shape == (corpus.n_users, 8)
    assert np.linalg.norm(tables["item_vectors"], axis=1) == pytest.approx(np.ones(corpus.n_items), abs=1e-5)
    again, report = await proposed(corpus, how, **given)
    assert again == first and len(seen) == 1, "the lists are kept"
    settings = json.loads(open_run(read_settings().home, report.run).info()["settings"])["options"]
    assert settings["item_texts"].startswith(given["item_texts"] + "@")
    plain, _ = await proposed(corpus, how, retriever="sasrec")
    assert plain != first


async def test_the_texts_are_captions_with_descriptions_and_preferences_with_keywords(world, how):
    corpus = world.corpus
    given = await texts(corpus, how)
    source = Source(corpus, read_settings().home)
    pinned = written.resolved(source, given["item_texts"], given["user_texts"])
    assert written.resolved(source, *pinned) == pinned
    items, users = written.table_texts(source, *pinned, "lsa").read()
    assert all(t.startswith(c) and len(t) > len(c) for t, c in zip(items, captions(corpus), strict=True))
    assert all(users[int(u)] for u in SplitView(corpus, "valid").users)
    assert written.user_text({"text": "Likes soap", "keywords": ["a", "b"]}) == "Likes soap. a, b"


async def test_runs_that_are_not_what_they_should_be_are_refused(world, how):
    corpus = world.corpus
    given = await texts(corpus, how)
    late = await texts(corpus, how, split="test")
    source = Source(corpus, read_settings().home)
    with pytest.raises(LeakageError, match=r"made for the test split, which read s\[-2\]"):
        prepare(NAME, corpus=corpus, model=Echo(), options=FLOW.options(**late), how=how())
    with pytest.raises(UsageError, match="reads two runs"):
        prepare(NAME, corpus=corpus, model=Echo(), options=FLOW.options(retriever="sasrec_texts"), how=how())
    options = FLOW.options(**{**given, "retriever": "sasrec"})
    with pytest.raises(UsageError, match="add that"):
        prepare(NAME, corpus=corpus, model=Echo(), options=options, how=how())
    with pytest.raises(UsageError, match=r"one of cot_rec\.preference is needed"):
        written.resolved(source, given["item_texts"], given["item_texts"])
    with pytest.raises(UsageError, match="has other results now"):
        written.resolved(source, given["item_texts"], f"{given['user_texts']}@0000")


async def test_a_run_over_some_users_is_not_enough(world, how):
    some = await texts(world.corpus, how, users=5)
    with pytest.raises(UsageError, match=r"has 5 of 60 users\. Tables of a recommender start from all of them"):
        prepare(NAME, corpus=world.corpus, model=Echo(), options=FLOW.options(**some), how=how())


async def test_preferences_of_another_history_are_never_joined(world, how, leak_checks, monkeypatch):
    with monkeypatch.context() as patch:
        leak_checks.show_one_more(patch)
        leaky = await texts(world.corpus, how)
    with pytest.raises(LeakageError, match="another history than this user's"):
        await proposed(world.corpus, how, **leaky)


@pytest.mark.parametrize("leaky", [False, True])
async def test_permuted_test_targets_change_no_list(leaky, world, how, leak_checks, monkeypatch):
    """Texts, tables and weights are made anew on the permuted corpus."""
    found = []
    for corpus in (world.corpus, leak_checks.permuted(world.corpus)):
        view = SplitView(corpus, "test")

        def peeked(payload, view=view):
            return view.corpus.item(view.target(view.corpus.user_index[payload["user"]])).title

        if leaky:
            monkeypatch.setattr(written, "user_text", peeked)
        given = await texts(corpus, how)
        found.append((await proposed(corpus, how, **given))[0])
    assert (found[0] != found[1]) == leaky


@pytest.mark.parametrize("split", ["valid", "test"])
async def test_poisoned_targets_are_neither_in_user_texts_nor_retrieved(split, world, how, leak_checks):
    corpus = leak_checks.poisoned(world.corpus, split, "ZQ")
    given = await texts(corpus, how)
    source = Source(corpus, read_settings().home)
    items, users = written.table_texts(source, given["item_texts"], given["user_texts"], "lsa").read()
    assert any("ZQ" in text for text in items), "descriptions are of the whole catalogue (spec 8)"
    assert leak_checks.sentinel_places(users, "ZQ") == []
