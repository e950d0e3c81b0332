"""Samples that cannot be read cost themselves and nothing else; every workflow says how many it lacks."""

from __future__ import annotations

import json

import pytest

from graphs.rallrec.merge import Opinion, merged
from graphs.run import run
from graphs.workflow import workflow
from whyrec.data.generated.facts import make as make_facts
from whyrec.data.generated.world import make
from whyrec.llm.model import Reply, Usage
from whyrec.runs import open_run
from whyrec.settings import read_settings

ITEMS = "\n".join(f"thing {n}" for n in range(20))
CHAIN = f"<cot_path>look back -> choose</cot_path><reason>a\nb</reason><recommendations>{ITEMS}</recommendations>"

THOUGHT = "The item is near what this user rated high, and far from what was rated low."


class Samples:
    """Answers each sample by its index, and repairs never."""

    name, revision = "samples", ""

    def __init__(self, *answers):
        self.answers, self.seen = answers, []

    async def complete(self, request):
        self.seen.append(request)
        answers = ((self.answers[s % len(self.answers)], s) for s in request.samples)
        return [
            Reply(a, sample=s, usage=Usage(1, 10 + s), finish_reason="stop" if a else "filtered") for a, s in answers
        ]

    async def close(self):
        pass


async def made(name, corpus, model, how, users=4, **options):
    flow = workflow(name)
    report = await run(
        name, corpus=corpus, model=model, options=flow.options(**options), users=users, how=how(cache=False)
    )
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload for r in found.results("done")}, report
    finally:
        found.close()


async def test_chains_that_can_be_read_are_kept_and_scored(world, how):
    kept, report = await made("scoter.generate", world.corpus, Samples(CHAIN, "", CHAIN), how, samples=3)
    assert len(kept) == 4 and all((len(p["chains"]), p["missing"]) == (2, 1) for p in kept.values())
    stored, _ = await made("scoter.validate", world.corpus, Samples(""), how, generate=report.run, prune="merge")
    on_the_fly, _ = await made("scoter.validate", world.corpus, Samples(CHAIN, "", CHAIN), how, samples=3)
    assert stored == on_the_fly, "a run's chains and those made on the fly lack the same"
    assert all((len(p["chains"]), p["missing"]) == (2, 1) for p in stored.values())


async def test_mining_counts_the_chains_it_lacks(world, how):
    class Miner(Samples):
        async def complete(self, request):
            if request.about.node != "abstract":
                return await super().complete(request)
            names = ("core_logic", "strengths", "limits", "rationale")
            told = {name: f"The {name} of it: what people come back to says more than the rest." for name in names}
            return [Reply(json.dumps({**told, "steps": ["Look at the past", "Item recommendation"]}))]

    options = {"sample": 12, "fresh": 4, "samples": 2, "most_clusters": 2}
    kept, _ = await made("scoter.mine", world.corpus, Miner(CHAIN, ""), how, users=None, **options)
    (told,) = kept.values()
    assert (told["chains"], told["missing"], told["failed"]) == (12, 12, 0)


async def test_a_vote_is_among_the_answers_there_are(how):
    said = [
        json.dumps({"reasoning": f"The second text says of the tree that it is {a}.", "answer": a})
        for a in ("Olm", "Elm", "Elm")
    ]
    model = Samples(said[0], "", said[1], "", said[2])
    facts = make_facts(6).questions
    options = {"mode": "react_best", "m": 5, "space": "random"}

    class Concluding(Samples):
        async def complete(self, request):
            if request.about.node == "conclude":
                return [Reply('{"answer": "Elm"}')]
            return await model.complete(request)

    kept, report = await made("hotpotqa.react", facts, Concluding(), how, users=3, **options)
    assert report.failed == 0
    assert all((len(p["reasons"]), len(p["scores"]), p["missing"]) == (3, 3, 2) for p in kept.values())


@pytest.fixture(scope="module")
def ratings():
    return make(users=150, items=60).corpus


SMALL = {"k": 4, "expert_rows": 200, "readout": "vote"}


async def test_consistency_is_of_the_traces_there_are(ratings, how):
    model = Samples(f"{THOUGHT} Answer: Yes", "", f"{THOUGHT} Answer: No", "")
    kept, report = await made("rallrec.predict", ratings, model, how, samples=4, **SMALL)
    assert report.failed == 0 and len(kept) == 4
    for told in kept.values():
        assert told["p"] == [1.0, 0.0] and told["missing"] == 2 and told["tokens"] == [10, 12]
        assert told["variance"] == 0.25, "of the two that are there"
        expert = Opinion(told["expert"], told["expert_variance"])
        assert told["probability"] == pytest.approx(merged([1.0, 0.0], expert))


async def test_one_trace_of_several_says_nothing_of_consistency(ratings, how):
    _, report = await made(
        "rallrec.predict", ratings, Samples(f"{THOUGHT} Answer: Yes", "", ""), how, samples=3, **SMALL
    )
    assert report.failed == 4
    kept, _ = await made("rallrec.predict", ratings, Samples(f"{THOUGHT} Answer: Yes"), how, samples=1, **SMALL)
    assert all((p["p"], p["missing"]) == ([1.0], 0) for p in kept.values()), "who asks for one gets one"
