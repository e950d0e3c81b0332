"""Nothing later than a row, and no label of a later split, reaches a prompt, a result or anything trained (spec 8).

Rows share one time line, so the poison is in it: from some row on, every event is an item of its own. The echo model
repeats all titles it saw. Each check is also run with a leak put in on purpose, and must find it.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from graphs.rallrec.expert import logistic_expert
from graphs.rallrec.predict import Options, Predictions
from graphs.rallrec.retrieve import retriever
from graphs.run import run
from graphs.workflow import Source, workflow
from whyrec.data.ctr import CtrRows, CtrView, ctr_rows
from whyrec.data.generated.world import make
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

MARK = "ZQ"  # no title of the world begins so
NAMES = ("rallrec.retrieve", "rallrec.predict")
SMALL = {"k": 4, "rows": 40}


@pytest.fixture(scope="module")
def corpus():
    return make(users=150, items=60).corpus


def poisoned(corpus, first):
    """Events of all rows from `first` on become items of their own, rated as before."""
    rows = ctr_rows(corpus)
    items, events = corpus.items.copy(), rows.events[first:]
    items[events] = corpus.n_items + 1 + np.arange(len(events))
    titles = [f"{MARK}{i:04d}X" for i in range(len(events))]
    extra = pl.DataFrame(
        {
            "id": [f"poison{t}" for t in titles],
            "title": titles,
            "description": [""] * len(titles),
            "brand": [""] * len(titles),
            "categories": [[] for _ in titles],
        },
        schema=corpus.catalogue.schema,
    )
    return dataclasses.replace(corpus, items=items, catalogue=pl.concat([corpus.catalogue, extra]), reviews=None)


def show_everything(monkeypatch):
    """A leak: every row shows all of its user's events."""
    span = CtrView.span
    monkeypatch.setattr(
        CtrView, "span", lambda self, row: (span(self, row)[0], int(self.corpus.offsets[self.user(row) + 1]))
    )


async def told(name, corpus, how, **options):
    """Every text that was sent, answered or stored, by row, and the results."""
    flow = workflow(name)
    more = {"samples": 2, "expert_rows": 100} if name.endswith("predict") else {}
    chosen = flow.options(**{**SMALL, **more, **options})
    report = await run(name, corpus=corpus, model=Echo(), options=chosen, how=how(cache=False, new=True))
    assert report.exit_code == 0
    stored = open_run(read_settings().home, report.run)
    try:
        texts = [
            (call["example"], str(call[column]))
            for call in stored.calls()
            for column in ("blanks", "messages", "answer")
        ]
        results = [dict(r.payload or {}) for r in stored.results()]
    finally:
        stored.close()
    assert results
    texts += [(f"{options.get('split', 'test')}/row-{r['row']}", json.dumps(r)) for r in results]
    return texts, results


async def leaks_of(name, corpus, how, leak_checks, split):
    """Rows whose texts hold an item of a later row."""
    rows = ctr_rows(corpus)
    first, stop = rows.span(split)
    border = (first + stop) // 2 if split == "test" else stop
    texts, _ = await told(name, poisoned(corpus, border), how, split=split)
    early = [(key, text) for key, text in texts if int(key.rsplit("-", 1)[1]) < border]
    assert len({key for key, _ in early}) >= 10
    return [early[i][0] for i in leak_checks.sentinel_places([text for _, text in early], MARK)]


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("name", NAMES)
async def test_items_of_later_rows_appear_nowhere(name, split, corpus, how, leak_checks):
    assert await leaks_of(name, corpus, how, leak_checks, split) == []


@pytest.mark.parametrize("name", NAMES)
async def test_the_poison_test_finds_a_leak(name, corpus, how, leak_checks, monkeypatch):
    show_everything(monkeypatch)
    assert await leaks_of(name, corpus, how, leak_checks, "valid") != []


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_results_carry_the_digest_of_exactly_the_history(name, leaky, corpus, how, leak_checks, monkeypatch):
    rows = ctr_rows(corpus)
    true = {int(r): CtrView(rows, "test").prefix_digest(int(r)) for r in CtrView(rows, "test").rows}
    if leaky:
        show_everything(monkeypatch)
    _, results = await told(name, corpus, how)
    pairs = [(r["prefix"], true[r["row"]]) for r in results]
    assert bool(leak_checks.prefix_mismatches(pairs)) == leaky


async def test_a_rows_own_rating_changes_none_of_its_prompts(corpus, how, counting):
    """Ratings that stand in no history (each user's last event) are turned around: every prompt stays the same."""

    async def prompts_of(data):
        model = counting()
        chosen = Options(**SMALL, samples=2, expert_rows=100)
        await run("rallrec.predict", corpus=data, model=model, options=chosen, how=how(cache=False, new=True))
        return sorted((r.about.example, r.about.node, [m.content for m in r.messages], r.prefix) for r in model.seen)

    rows = ctr_rows(corpus)
    last = np.intersect1d(corpus.offsets[1:] - 1, rows.events[rows.bounds[1] :])
    ratings = corpus.ratings.copy()
    ratings[last] = 6 - ratings[last]
    changed = dataclasses.replace(corpus, ratings=ratings)
    assert (changed.ratings != corpus.ratings).any() and len(last) > 10
    assert await prompts_of(changed) == await prompts_of(corpus)


def trained(corpus, home):
    """Everything fitted before test rows are asked: collaborative vectors, the expert's weights, the items' past."""
    source = Source(corpus, home)
    part = retriever(source, Predictions(source, Options(k=4, rows=40)).options)
    expert = logistic_expert(part, train_rows=200, folder=home / "experts")
    w = expert.weights
    parts = [part.vectors.part("collaborative"), w.weights, w.mean, w.scale, expert.past.asked, expert.past.liked]
    return [np.asarray(p) for p in parts] + [np.array(w.bias)]


def same(one, other):
    """Equal but for the last digits, which the sparse solver does not keep from call to call."""
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(one, other, strict=True))


def permuted(corpus):
    """Labels of valid and test rows dealt out anew."""
    rows = ctr_rows(corpus)
    events, ratings = rows.events[rows.bounds[0] :], corpus.ratings.copy()
    ratings[events] = np.random.default_rng(0).permutation(ratings[events])
    changed = dataclasses.replace(corpus, ratings=ratings)
    assert (changed.ratings != corpus.ratings).any()
    return changed


def test_permuted_labels_of_later_rows_leave_everything_trained_as_it_is(corpus, tmp_path):
    assert same(trained(permuted(corpus), tmp_path / "a"), trained(corpus, tmp_path / "b"))


@pytest.mark.parametrize("leak", ["vectors", "expert"])
def test_the_permutation_test_finds_a_leak(leak, corpus, tmp_path, monkeypatch):
    if leak == "vectors":

        def likes_of_all_rows(self, *, without=None):
            liked = self._liked(self.events)
            return self.users[liked], self.items[liked].astype(np.int64)

        monkeypatch.setattr(CtrRows, "training_likes", likes_of_all_rows)
    else:
        view = CtrView.__init__
        monkeypatch.setattr(CtrView, "__init__", lambda self, rows, split: view(self, rows, "test"))
    assert not same(trained(permuted(corpus), tmp_path / "a"), trained(corpus, tmp_path / "b"))
