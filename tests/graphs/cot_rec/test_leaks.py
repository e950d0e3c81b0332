"""Nothing that cot_rec.recommend shows, keeps or is trained on holds what was to be predicted (spec 8.1-8.3).

A poisoned target is an item nobody trained on, so a retriever cannot know it: the sentinel appears nowhere at all.
Among the frozen candidates it may be shown as one of ten, and nowhere else. Each check also runs with a leak put in.
"""

from __future__ import annotations

import json

import pytest

from graphs.cot_rec import recommend
from graphs.run import run
from graphs.workflow import workflow
from rec_models import presets
from rec_models.fit import FitSettings
from rec_models.sequential.sasrec import SASRecSettings
from whyrec.data.split import SplitView
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "cot_rec.recommend"
USERS = 25
MARK = "ZQ"  # no title of the world begins so


async def told(corpus, how, **options):
    """Every (node, text) that was sent, answered or stored, and the results."""
    made = workflow(NAME).options(**options)
    report = await run(NAME, corpus=corpus, model=Echo(), options=made, users=USERS, how=how(cache=False, new=True))
    assert report.exit_code == 0
    stored = open_run(read_settings().home, report.run)
    try:
        texts = [(call["node"], call[column]) for call in stored.calls() for column in ("blanks", "messages", "answer")]
        results = [dict(r.payload or {}) for r in stored.results()]
    finally:
        stored.close()
    return texts, results


async def retrieved_leaks(corpus, split, how, leak_checks):
    texts, results = await told(leak_checks.poisoned(corpus, split, MARK), how, split=split)
    assert len(results) == USERS
    return leak_checks.sentinel_places([text for _, text in texts] + [json.dumps(r) for r in results], MARK)


async def frozen_leaks(corpus, split, how, leak_checks):
    """The target is among the candidates: texts about it may name it, what is about the user may not."""
    texts, results = await told(leak_checks.poisoned(corpus, split, MARK), how, split=split, retriever="frozen")
    ranked = [text for node, text in texts if node == "rank"]
    assert leak_checks.sentinel_places(ranked, MARK), "the poisoned targets are candidates"
    own = [text for node, text in texts if node not in ("describe", "review", "keywords", "rank")]
    own += [text.partition("<options>")[0] for text in ranked if "<options>" in text]
    return leak_checks.sentinel_places(own + [r["preference"] for r in results], MARK)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("leaks", [retrieved_leaks, frozen_leaks])
async def test_poisoned_targets_appear_nowhere_but_among_frozen_candidates(leaks, split, world, how, leak_checks):
    assert await leaks(world.corpus, split, how, leak_checks) == []


@pytest.mark.parametrize("leaks", [retrieved_leaks, frozen_leaks])
async def test_the_poison_test_finds_a_leak(leaks, world, how, leak_checks, monkeypatch):
    leak_checks.show_one_more(monkeypatch)
    assert await leaks(world.corpus, "test", how, leak_checks) != []


async def prompts_of(corpus, how, counting, **options):
    model = counting()
    made = workflow(NAME).options(mode="titles", **options)
    await run(NAME, corpus=corpus, model=model, options=made, how=how(cache=False, new=True))
    return {r.about.example: [m.content for m in r.messages] for r in model.seen}


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("retriever", ["item_cf", "sasrec"])
async def test_permuted_targets_change_no_prompt(retriever, split, world, how, counting, leak_checks, monkeypatch):
    """Retrievers are trained anew on the permuted corpus and propose the same items in the same order."""
    small = SASRecSettings(width=8, blocks=1, heads=1, max_length=10)
    monkeypatch.setattr(presets, "settings", lambda name, corpus: (small, FitSettings(epochs=2, users_per_step=16)))
    options = {"retriever": retriever, "split": split}
    same = await prompts_of(leak_checks.permuted(world.corpus), how, counting, **options)
    assert same == await prompts_of(world.corpus, how, counting, **options)


@pytest.mark.parametrize("leak", ["history", "training", "order"])
async def test_the_permutation_test_finds_a_leak(leak, world, how, counting, leak_checks, monkeypatch):
    if leak == "history":
        leak_checks.show_one_more(monkeypatch)
    elif leak == "training":
        whole = property(lambda self: lambda: (self.corpus.offsets, self.corpus.items))
        monkeypatch.setattr(SplitView, "sequences", whole)
    else:
        real = recommend.Ranked.state

        def target_first(self, index):
            state = real(self, index)
            target = SplitView(self.source.corpus, "test").target(index)
            first = sorted(state.orders[0], key=lambda i: state.task.candidates[i].index != target)
            return recommend.replace(state, orders=(tuple(first),))

        monkeypatch.setattr(recommend.Ranked, "state", target_first)
    other = await prompts_of(leak_checks.permuted(world.corpus), how, counting)
    assert other != await prompts_of(world.corpus, how, counting)


async def test_targets_decide_who_is_asked_about_and_nothing_else(world, how, counting, leak_checks):
    """`only=hits`: the same prompt for a user whether or not the others' targets are dealt out anew."""
    ours = await prompts_of(world.corpus, how, counting, only="hits")
    others = await prompts_of(leak_checks.permuted(world.corpus), how, counting, only="hits")
    common = set(ours) & set(others)
    assert ours.keys() != others.keys() and common
    assert all(ours[key] == others[key] for key in common)


@pytest.mark.parametrize("leaky", [False, True])
async def test_results_carry_the_digest_of_exactly_the_prefix_shown(leaky, world, how, leak_checks, monkeypatch):
    for split in ("valid", "test"):
        true = {u: SplitView(world.corpus, split).prefix_digest(i) for u, i in world.corpus.user_index.items()}
        with monkeypatch.context() as patch:
            if leaky:
                leak_checks.show_one_more(patch)
            _, results = await told(world.corpus, how, split=split, mode="titles")
        wrong = leak_checks.prefix_mismatches([(r["prefix"], true[r["user"]]) for r in results])
        assert bool(wrong) == leaky
