"""The reason shown is the one chosen, the candidates are the frozen ones, and rotations turn one order."""

from __future__ import annotations

import re

import pytest

from graphs.run import prepare, run
from graphs.workflow import Source, workflow
from whyrec.data.candidates import sample
from whyrec.data.some import Drawn, at_most
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "pulse.choose"
FLOW = workflow(NAME)
TREE = {"widths": "2", "selectors": "embedding,longest,base"}


def payloads(report):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: dict(r.payload) for r in found.results("done")}
    finally:
        found.close()


async def test_the_candidates_are_the_frozen_ones_and_the_target_is_among_them(world, how):
    options = FLOW.options(selector="none")
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=10, how=how())
    view = SplitView(world.corpus, "test")
    drawn = sample(view, 9, 0)
    for payload in payloads(report).values():
        user = world.corpus.user_index[payload["user"]]
        assert payload["shown"] == drawn.of(user).tolist() and view.target(user) in payload["shown"]
        assert payload["reason"] == "" and len(payload["probabilities"]) == 1
        assert sum(payload["probabilities"][0]) == pytest.approx(1)


async def test_rotations_turn_one_order(world, how, counting):
    model = counting()
    options = FLOW.options(selector="none", candidates=4, placements=4)
    job = prepare(NAME, corpus=world.corpus, model=model, options=options, users=2, how=how())
    assert job.inputs.calls() == 8
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=2, how=how(cache=False))
    for payload in payloads(report).values():
        asked = [r for r in model.seen if r.about.user == payload["user"] and r.top_logprobs]
        orders = [re.findall(r"^[A-D]\. ([^|\n]*)", r.messages[-1].content, re.MULTILINE) for r in asked]
        assert len(orders) == 4 and len({tuple(sorted(o)) for o in orders}) == 1
        first = [o.strip() for o in orders[0]]
        assert [[o.strip() for o in order] for order in orders] == [[*first[r:], *first[:r]] for r in range(4)]


async def test_a_stored_reason_is_the_one_made_on_the_fly(world, how):
    stored = await run(
        "pulse.refine", corpus=world.corpus, model="extractive", options=workflow("pulse.refine").options(**TREE),
        users=6, how=how(),
    )  # fmt: skip
    read = FLOW.options(reasons=stored.run, selector="longest")
    made = FLOW.options(widths="2", selector="longest")
    one = await run(NAME, corpus=world.corpus, model="extractive", options=read, users=6, how=how())
    two = await run(NAME, corpus=world.corpus, model="extractive", options=made, users=6, how=how())
    assert one.now.calls.calls == 6 and two.now.calls.calls == 6 * (1 + 1 + 2)
    assert two.now.calls.hits >= 6 * 3, "the tree comes from the cache"
    first, second = payloads(one), payloads(two)
    assert first == second
    reasons = payloads(stored)
    for key, payload in first.items():
        tree = reasons[key]
        assert payload["reason"] == tree["thoughts"][tree["chosen"]["longest"]]["text"]


@pytest.mark.parametrize("users", [5, Drawn(6), Drawn(20)])
async def test_a_placebo_is_the_reason_of_another_who_was_asked_too(world, how, users):
    """Everybody gets one, whoever was chosen; and the same one when more are asked."""
    flow = workflow("pulse.refine")
    stored = await run(
        flow.name, corpus=world.corpus, model="extractive", options=flow.options(**TREE), users=users, how=how()
    )
    options = FLOW.options(reasons=stored.run, selector="base", whose="another")
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=users, how=how())
    reasons = {key: tree["thoughts"][0]["text"] for key, tree in payloads(stored).items()}
    assert report.failed == 0 and len(reasons) == report.done == at_most(users)
    for key, payload in payloads(report).items():
        assert payload["reason"] != reasons[key] and payload["reason"] in reasons.values()
    if isinstance(users, Drawn):
        other = flow.inputs(Source(world.corpus, read_settings().home, Drawn(3)), flow.options(**TREE))
        few = FLOW.inputs(Source(world.corpus, read_settings().home, Drawn(3)), options)
        whole = FLOW.inputs(Source(world.corpus, read_settings().home), options)
        assert [few._another(int(i)) for i in other.indices] == [whole._another(int(i)) for i in other.indices]


async def test_a_selector_that_chose_nothing_fails_the_example_with_the_reason(world, how):
    flow = workflow("pulse.refine")
    options = flow.options(widths="1", selectors="likelihood,base")
    stored = await run(flow.name, corpus=world.corpus, model="echo", options=options, users=3, how=how())
    for selector, said in (("likelihood", "scores no texts"), ("longest", "not among the run's selectors")):
        asked = FLOW.options(reasons=stored.run, selector=selector)
        report = await run(NAME, corpus=world.corpus, model="extractive", options=asked, users=3, how=how())
        assert (report.done, report.failed) == (0, 3)
        found = open_run(read_settings().home, report.run)
        assert all(said in r.reason for r in found.results("failed"))
        found.close()


async def test_unusable_options_are_refused(world, how):
    described = await run("cot_rec.describe", corpus=world.corpus, model="echo", users=1, how=how())
    for options, sentence in (
        ({"candidates": 1}, "between 2 and 20"),
        ({"placements": 3}, "1 or all 10 rotations"),
        ({"latest": 0}, "latest is at least 1"),
        ({"whose": "another", "selector": "base"}, "read from a pulse.refine run"),
        ({"reasons": described.run}, "one of pulse.refine is needed"),
    ):
        with pytest.raises(UsageError, match=sentence):
            prepare(NAME, corpus=world.corpus, model="echo", options=FLOW.options(**options), how=how())
