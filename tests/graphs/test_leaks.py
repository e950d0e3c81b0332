"""No prompt, stored text or result of CoT-Rec's graphs holds what was to be predicted (spec 8.1-8.3).

The echo model repeats every title it saw, so a title that slips into one step travels through all later ones. Each
check is also run with a leak put in on purpose, and must find it.
"""

from __future__ import annotations

import json

import pytest

from graphs.run import run
from graphs.workflow import workflow
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

USERS = 25
MARK = "ZQ"  # no title of the world begins so


async def told(name, corpus, split, how):
    """Every (node, text) that was sent, answered or stored, and the results."""
    options = workflow(name).options(split=split)
    report = await run(name, corpus=corpus, model=Echo(), options=options, users=USERS, how=how(cache=False))
    assert report.exit_code == 0
    stored = open_run(read_settings().home, report.run)
    try:
        texts = [(call["node"], call[column]) for call in stored.calls() for column in ("blanks", "messages", "answer")]
        results = [dict(r.payload or {}) for r in stored.results()]
    finally:
        stored.close()
    assert len(texts) > 2 * USERS and len(results) == USERS
    return texts, results


async def preference_leaks(corpus, split, how, leak_checks):
    texts, results = await told("cot_rec.preference", leak_checks.poisoned(corpus, split, MARK), split, how)
    whole = [text for _, text in texts] + [json.dumps(r) for r in results]
    return leak_checks.sentinel_places(whole, MARK)


async def perception_leaks(corpus, split, how, leak_checks):
    """The target is among the candidates: descriptions, reviews and phrases of it may name it, nothing else."""
    texts, results = await told("cot_rec.perception", leak_checks.poisoned(corpus, split, MARK), split, how)
    shown = leak_checks.sentinel_places([text for node, text in texts if node == "review"], MARK)
    assert shown, "the poisoned targets are candidates"
    own = [text for node, text in texts if node not in ("describe", "review", "keywords")]
    return leak_checks.sentinel_places(own + [r["preference"] for r in results], MARK)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("leaks", [preference_leaks, perception_leaks])
async def test_poisoned_targets_appear_nowhere_but_among_the_candidates(leaks, split, world, how, leak_checks):
    assert await leaks(world.corpus, split, how, leak_checks) == []


@pytest.mark.parametrize("leaks", [preference_leaks, perception_leaks])
async def test_the_poison_test_finds_a_leak(leaks, world, how, leak_checks, monkeypatch):
    leak_checks.show_one_more(monkeypatch)
    assert await leaks(world.corpus, "test", how, leak_checks) != []


async def prompts_of(corpus, split, how, counting):
    model = counting()
    options = workflow("cot_rec.preference").options(split=split)
    await run("cot_rec.preference", corpus=corpus, model=model, options=options, how=how(cache=False, new=True))
    return sorted((r.about.example, r.about.node, [m.content for m in r.messages]) for r in model.seen)


@pytest.mark.parametrize("split", ["valid", "test"])
async def test_permuted_targets_change_no_prompt(split, world, how, counting, leak_checks):
    same = await prompts_of(leak_checks.permuted(world.corpus), split, how, counting)
    assert same == await prompts_of(world.corpus, split, how, counting)


async def test_the_permutation_test_finds_a_leak(world, how, counting, monkeypatch, leak_checks):
    leak_checks.show_one_more(monkeypatch)
    other = await prompts_of(leak_checks.permuted(world.corpus), "test", how, counting)
    assert other != await prompts_of(world.corpus, "test", how, counting)


@pytest.mark.parametrize("name", ["cot_rec.preference", "cot_rec.perception"])
@pytest.mark.parametrize("leaky", [False, True])
async def test_results_carry_the_digest_of_exactly_the_prefix_shown(name, leaky, world, how, leak_checks, monkeypatch):
    index = world.corpus.user_index
    for split in ("valid", "test"):
        true = {u: SplitView(world.corpus, split).prefix_digest(i) for u, i in index.items()}
        with monkeypatch.context() as patch:
            if leaky:
                leak_checks.show_one_more(patch)
            _, results = await told(name, world.corpus, split, how)
        wrong = leak_checks.prefix_mismatches([(r["prefix"], true[r["user"]]) for r in results])
        assert bool(wrong) == leaky


async def test_a_stored_preference_of_another_prefix_is_never_joined(world, how, monkeypatch, leak_checks):
    """pref@test made with the target shown cannot be used by perception."""
    flow = workflow("cot_rec.perception")
    with monkeypatch.context() as patch:
        leak_checks.show_one_more(patch)
        leaky = await run("cot_rec.preference", corpus=world.corpus, model=Echo(), users=5, how=how())
    with pytest.raises(LeakageError, match="another history"):
        await run(
            flow.name,
            corpus=world.corpus,
            model=Echo(),
            options=flow.options(preferences=leaky.run),
            users=5,
            how=how(),
        )
