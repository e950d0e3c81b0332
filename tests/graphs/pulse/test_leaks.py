"""No rationale, reason, behaviour text, neighbour or space of PULSE knows what was to be predicted (spec 8).

The echo model repeats every title it saw, so a title that slips into one step travels through all later ones. Each
check is also run with a leak put in on purpose, and must find it.
"""

from __future__ import annotations

import dataclasses
import json

import pytest
from safetensors.numpy import load_file

from graphs.run import run
from graphs.workflow import read_options, workflow
from whyrec.data import split as split_module
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

USERS = 20
MARK = "ZQ"  # no title of the world begins so
GROWN = {"widths": "2", "selectors": "space,embedding,random,longest,base"}
LEAKY = "all-i-know-this-leaks"


class Voting(Echo):
    """An echo that can fill in a ballot: it votes for the second thought."""

    async def complete(self, request):
        replies = await super().complete(request)
        ballot = request.about.agent == "pulse/vote_reasons"
        return [dataclasses.replace(r, text='{"best": [2]}') if ballot else r for r in replies]


async def told(name, corpus, how, users=USERS, **given):
    """Every (node, text) that was sent, answered or stored, and the results."""
    flow = workflow(name)
    report = await run(
        name, corpus=corpus, model=Voting(), options=flow.options(**given), users=users, how=how(cache=False)
    )
    assert report.exit_code == 0
    stored = open_run(read_settings().home, report.run)
    try:
        texts = [(call["node"], call[column]) for call in stored.calls() for column in ("blanks", "messages", "answer")]
        results = [dict(r.payload or {}) for r in stored.results()]
    finally:
        stored.close()
    return [(node, text) for node, text in texts if text], results, report.run


async def rationale_leaks(corpus, split, how, leak_checks):
    texts, results, _ = await told("pulse.rationale", leak_checks.poisoned(corpus, split, MARK), how)
    assert len(results) == USERS
    return leak_checks.sentinel_places([t for _, t in texts] + [json.dumps(r) for r in results], MARK)


async def refine_leaks(corpus, split, how, leak_checks, **given):
    """The rationales, the space and the trees: the whole way up to the chosen reason."""
    dirty = leak_checks.poisoned(corpus, split, MARK)
    _, _, made = await told("pulse.rationale", dirty, how, users=None)
    texts, results, _ = await told("pulse.refine", dirty, how, split=split, rationales=made, **GROWN, **given)
    assert len(results) == USERS and len(texts) > 4 * USERS
    return leak_checks.sentinel_places([t for _, t in texts] + [json.dumps(r) for r in results], MARK)


async def choose_leaks(corpus, split, how, leak_checks):
    """The target is among the options and nowhere else."""
    dirty = leak_checks.poisoned(corpus, split, MARK)
    texts, results, _ = await told("pulse.choose", dirty, how, split=split, selector="embedding", widths="2")
    assert leak_checks.sentinel_places([t for node, t in texts if node == "choose"], MARK), "targets are candidates"
    own = [text for node, text in texts if node != "choose"]
    assert own
    blanks = [json.loads(t) for node, t in texts if node == "choose" and t.startswith("{")]
    shown = [json.dumps({k: v for k, v in b.items() if k != "options"}) for b in blanks]
    assert shown
    return leak_checks.sentinel_places(own + shown + [r["reason"] for r in results], MARK)


async def judge_leaks(corpus, split, how, leak_checks):
    """Both ways of judging thoughts, leaves included."""
    dirty = leak_checks.poisoned(corpus, split, MARK)
    found = []
    for way in ("value", "vote"):
        given = {"prune": way, "judgements": 1, "selectors": "judged", "widths": "2,2"}
        texts, results, _ = await told("pulse.refine", dirty, how, split=split, **given)
        judging = [text for node, text in texts if node == "judge"]
        assert len(results) == USERS and len(judging) >= USERS
        found += leak_checks.sentinel_places([t for _, t in texts] + [json.dumps(r) for r in results], MARK)
    return found


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("leaks", [rationale_leaks, refine_leaks, judge_leaks, choose_leaks])
async def test_poisoned_targets_appear_nowhere_but_among_the_candidates(leaks, split, world, how, leak_checks):
    assert await leaks(world.corpus, split, how, leak_checks) == []


@pytest.mark.parametrize("leaks", [refine_leaks, judge_leaks, choose_leaks])
async def test_the_poison_test_finds_a_history_that_shows_too_much(leaks, world, how, leak_checks, monkeypatch):
    leak_checks.show_one_more(monkeypatch)
    assert await leaks(world.corpus, "test", how, leak_checks) != []


async def test_the_poison_test_finds_a_rationale_of_a_later_target(world, how, leak_checks, monkeypatch):
    monkeypatch.setitem(split_module._BACK, "train", 2)
    assert await rationale_leaks(world.corpus, "valid", how, leak_checks) != []


@pytest.mark.parametrize("option", ["behaviour", "neighbours"])
async def test_the_poison_test_finds_each_leaking_option(option, world, how, leak_checks):
    assert await refine_leaks(world.corpus, "test", how, leak_checks, **{option: LEAKY}) != []


async def everything_of(corpus, how):
    """All that was made on the way to a chosen reason: results, prompts' blanks, and the space's weights."""
    _, rationales, made = await told("pulse.rationale", corpus, how, users=None)
    texts, results, _ = await told("pulse.refine", corpus, how, rationales=made, **GROWN)
    folders = sorted(
        (read_settings().home / "thought_spaces").glob("*/space.safetensors"), key=lambda p: p.stat().st_mtime
    )
    weights = {name: t.tobytes() for name, t in load_file(folders[-1]).items()}
    return rationales, sorted(texts), results, weights


async def test_permuted_test_targets_change_nothing(world, how, leak_checks):
    one = await everything_of(world.corpus, how)
    two = await everything_of(leak_checks.permuted(world.corpus), how)
    assert one == two


async def test_the_permutation_test_finds_a_leak(world, how, leak_checks, monkeypatch):
    leak_checks.show_one_more(monkeypatch)
    one = await everything_of(world.corpus, how)
    two = await everything_of(leak_checks.permuted(world.corpus), how)
    assert one[1] != two[1] and one[2] != two[2]


async def test_the_permutation_test_finds_rationales_of_test_targets(world, how, leak_checks):
    leaky = {"target": "test-i-know-this-leaks"}
    _, one, _ = await told("pulse.rationale", world.corpus, how, **leaky)
    _, two, _ = await told("pulse.rationale", leak_checks.permuted(world.corpus), how, **leaky)
    assert one != two


@pytest.mark.parametrize("leaky", [False, True])
async def test_results_carry_the_digest_of_exactly_the_prefix_shown(leaky, world, how, leak_checks, monkeypatch):
    index = world.corpus.user_index
    for split in ("train", "valid", "test"):
        true = {u: SplitView(world.corpus, split).prefix_digest(i) for u, i in index.items()}
        with monkeypatch.context() as patch:
            if leaky:
                leak_checks.show_one_more(patch)
            _, results, _ = await told("pulse.refine", world.corpus, how, split=split, widths="1", selectors="base")
        wrong = leak_checks.prefix_mismatches([(r["prefix"], true[r["user"]]) for r in results])
        assert bool(wrong) == leaky


async def test_a_reason_of_another_prefix_is_never_joined(world, how, leak_checks, monkeypatch):
    flow = workflow("pulse.choose")
    with monkeypatch.context() as patch:
        leak_checks.show_one_more(patch)
        _, _, leaky = await told("pulse.refine", world.corpus, how, widths="1", selectors="base")
    options = flow.options(reasons=leaky, selector="base")
    with pytest.raises(LeakageError, match="another history"):
        await run(flow.name, corpus=world.corpus, model=Echo(), options=options, users=5, how=how())


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("pulse.refine", "behaviour", "all"),
        ("pulse.refine", "neighbours", "all"),
        ("pulse.choose", "behaviour", "oracle"),
        ("pulse.rationale", "target", "test"),
    ],
)
def test_no_leak_can_be_asked_for_without_saying_so(name, option, value):
    flow = workflow(name)
    with pytest.raises(UsageError, match="i-know-this-leaks"):
        read_options(flow, {option: value})
    assert "leaks" not in str(flow.options())
