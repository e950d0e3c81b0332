"""The estimate is made without asking the model, and is close to what happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphs.cot_rec.preference import Folds
from graphs.engine.estimate import estimate
from graphs.engine.job import Stop
from graphs.run import prepare, run
from graphs.workflow import spread, workflow
from whyrec.data.generated.facts import make as make_facts
from whyrec.data.generated.world import make
from whyrec.data.some import Drawn
from whyrec.llm import Limits, open_provider
from whyrec.llm.model import Usage
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.settings import read_settings

NAME = "cot_rec.preference"


async def test_it_is_close_to_what_happens_and_asks_nobody(world, how, counting):
    model = counting()
    expected = await estimate(prepare(NAME, corpus=world.corpus, model=model, how=how()))
    assert not model.seen
    report = await run(NAME, corpus=world.corpus, model="extractive", how=how(cache=False))
    assert (expected.examples, expected.settled, expected.calls) == (60, 0, report.now.calls.calls)
    assert expected.tokens_in == pytest.approx(report.now.calls.tokens_in, rel=0.35)
    assert expected.dollars == 0.0 and 0 < expected.sampled <= 60


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        ("cot_rec.recommend", {}),
        ("cot_rec.recommend", {"mode": "titles", "only": "hits", "placements": 10}),
        ("cot_rec.preference", {"batch": 4, "overlap": 1}),
        ("cot_rec.perception", {"candidates": 4}),
        ("cot_rec.describe", {}),
        ("pulse.rationale", {}),
        ("scoter.distil", {}),
        ("scoter.mine", {"sample": 64, "fresh": 36}),
    ],
)
async def test_calls_and_tokens_are_those_really_made_within_a_tenth(graph, options, how):
    """Items that many users are shown are described once; the estimate knows it, whatever the sample says."""
    corpus = make(users=100, items=150).corpus
    chosen = workflow(graph).options(**options)
    expected = await estimate(prepare(graph, corpus=corpus, model="extractive", options=chosen, how=how()))
    report = await run(graph, corpus=corpus, model="extractive", options=chosen, how=how())
    made = report.now.calls
    assert expected.calls == pytest.approx(made.asked, rel=0.1) and made.asked <= expected.most
    assert expected.tokens_in == pytest.approx(made.tokens_in, rel=0.1)
    assert expected.tokens_out == pytest.approx(made.tokens_out, rel=0.1)
    assert sum(node.tokens_in for node in expected.nodes) == expected.tokens_in


def test_a_sample_has_examples_of_all_lengths():
    lengths = np.random.default_rng(0).permutation(1000)
    few = spread(lengths, 20)
    assert len(few) == 20 and list(few) == sorted(set(few))
    assert lengths[few].mean() == pytest.approx(lengths.mean(), rel=0.01)
    assert sorted(lengths[few]) == [25 + 50 * k for k in range(20)]
    assert list(spread(lengths[:3], 20)) == [0, 1, 2] and not len(spread(lengths[:0], 20))


async def test_a_bound_that_is_not_reached_is_not_believed(world, how, monkeypatch):
    monkeypatch.setattr(Folds, "calls", lambda self: 4 * len(self.indices))
    expected = await estimate(prepare(NAME, corpus=world.corpus, model="echo", how=how()))
    assert expected.most == 240
    report = await run(NAME, corpus=world.corpus, model="extractive", how=how())
    assert expected.calls == pytest.approx(report.now.calls.asked, rel=0.1)


async def test_only_what_is_left_counts(world, how):
    job = prepare(NAME, corpus=world.corpus, model="echo", how=how())
    whole = await estimate(job)
    await run(NAME, corpus=world.corpus, model="echo", users=30, how=how())
    rest = await estimate(job)
    assert (rest.examples, rest.settled) == (30, 30) and rest.calls == round(whole.calls / 2)
    await run(NAME, corpus=world.corpus, model="echo", how=how())
    done = await estimate(job)
    assert (done.examples, done.calls, done.tokens_in, done.sampled) == (0, 0, 0, 0)
    fresh = await estimate(prepare(NAME, corpus=world.corpus, model="echo", how=how(new=True)))
    assert fresh.calls == whole.calls


async def test_money_and_limits(world, how, counting):
    home = read_settings().home
    home.mkdir(parents=True)
    (home / "prices.toml").write_text('["server:x"]\ninput = 1.0\noutput = 2.0\n')
    model = counting()
    model.name = "server:x"
    limits = Limits(requests_per_minute=30)
    priced = await estimate(prepare(NAME, corpus=world.corpus, model=model, how=how(limits=limits)))
    assert priced.dollars == pytest.approx((priced.tokens_in + 2 * priced.tokens_out) / 1e6)
    assert priced.seconds == pytest.approx(priced.calls * 2) and "assumed" in priced.basis
    model.name = "server:y"
    unknown = await estimate(prepare(NAME, corpus=world.corpus, model=model, how=how()))
    assert unknown.dollars is None


async def test_a_latency_is_measured_by_earlier_runs(world, how, counting):
    model = counting()
    model.name = "server:x"
    complete = model.inner.complete

    class Slow:
        async def complete(self, request):
            return [replace(reply, service_s=0.5) for reply in await complete(request)]

    model.inner = Slow()
    await run(NAME, corpus=world.corpus, model=model, users=5, how=how())
    expected = await estimate(prepare(NAME, corpus=world.corpus, model=model, how=how(concurrency=10)))
    assert "by earlier runs" in expected.basis
    assert expected.seconds == pytest.approx(expected.calls * 0.5 / 10)


class Talker(Wrapper):
    """Counts three tokens in for two, and says nine times as much."""

    async def complete(self, request):
        replies = await self.inner.complete(request)
        return [
            replace(r, usage=Usage(round(1.5 * r.usage.prompt), 9 * r.usage.completion, r.usage.cached))
            for r in replies
        ]


@pytest.mark.parametrize("graph", ["cot_rec.preference", "cot_rec.perception", "pulse.rationale"])
async def test_a_few_settled_users_say_what_the_others_will_take(graph, how):
    corpus = make(users=120, items=150).corpus
    model = Talker(open_provider("extractive", settings=read_settings()))
    model.name = "talker"
    job = prepare(graph, corpus=corpus, model=model, how=how())
    blind = await estimate(job)
    first = (await run(graph, corpus=corpus, model=model, users=Drawn(20), how=how())).now.calls
    expected = await estimate(job)
    made = (await run(graph, corpus=corpus, model=model, how=how())).now.calls
    assert (blind.compared, expected.compared) == (0, 20)
    assert expected.calls == pytest.approx(made.asked, rel=0.03)  # an item described for the first 20 is done
    assert expected.tokens_in == pytest.approx(made.tokens_in, rel=0.1)
    assert expected.tokens_out == pytest.approx(made.tokens_out, rel=0.1)
    assert blind.tokens_out < 0.2 * (made.tokens_out + first.tokens_out)
    afresh = await estimate(prepare(graph, corpus=corpus, model=model, how=how(new=True)))
    assert afresh.compared == 24 and afresh.settled == 0 and afresh.tokens_out > 5 * blind.tokens_out


async def test_too_few_settled_users_say_nothing(world, how, counting):
    model = counting()
    await run(NAME, corpus=world.corpus, model=model, users=4, how=how())
    assert (await estimate(prepare(NAME, corpus=world.corpus, model=model, how=how()))).compared == 0


async def test_a_node_that_the_model_never_comes_to_is_not_paid_for(how):
    """simulated:1 answers a question in fewer steps than extractive, and takes no vote."""
    world = make_facts(questions=120)
    flow, model = workflow("hotpotqa.react"), "simulated:1"
    options = flow.options(mode="react_cot")
    known = replace(how(), world=world)
    job = prepare(flow.name, corpus=world.questions, model=model, options=options, how=known)
    blind = await estimate(job)
    await run(flow.name, corpus=world.questions, model=model, options=options, users=Drawn(24), how=known)
    expected = await estimate(prepare(flow.name, corpus=world.questions, model=model, options=options, how=known))
    report = await run(flow.name, corpus=world.questions, model=model, options=options, how=replace(known, stop=Stop()))
    made = report.now.calls
    assert expected.compared == 24 and blind.calls > 1.2 * made.calls
    assert expected.calls == pytest.approx(made.calls, rel=0.2)
    assert expected.tokens_in == pytest.approx(made.tokens_in, rel=0.2)
    assert expected.tokens_out == pytest.approx(made.tokens_out, rel=0.25)


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        ("pulse.refine", {"rationales": "none", "selectors": "likelihood,base"}),
        ("rallrec.predict", {"mode": "direct", "hint": "none"}),
    ],
)
async def test_scorings_are_calls_of_the_settled_ones_too(graph, options, how):
    world = make(users=120, items=80)
    chosen, known = workflow(graph).options(**options), replace(how(), world=world)
    given = {"corpus": world.corpus, "model": "simulated:0.5", "options": chosen, "how": known}
    await run(graph, **given, users=Drawn(20))
    expected = await estimate(prepare(graph, **given))
    made = (await run(graph, **{**given, "how": replace(known, stop=Stop())})).now.calls
    assert expected.compared and expected.calls == pytest.approx(made.calls, rel=0.15)
    assert expected.tokens_in == pytest.approx(made.tokens_in, rel=0.15)
