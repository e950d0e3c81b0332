"""Tree of Thoughts' own search: what is judged, what is grown further, and what that costs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from graphs.pulse.deliberate import Judged, Search, best
from graphs.pulse.tree import Thought
from graphs.run import How, prepare, run
from graphs.workflow import identity_of, workflow
from whyrec.data.generated.world import make
from whyrec.errors import UsageError
from whyrec.llm.built_in.extractive import Extractive
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.llm.model import Reply
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "pulse.refine"
FLOW = workflow(NAME)
PLAIN = {"selectors": "random,longest,base"}


def payloads(report):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: dict(r.payload) for r in found.results("done")}
    finally:
        found.close()


SAID = "This user will want more of what the latest lines have in common: "


class Judging:
    """Grows texts that say where they come from, and likes those whose last refinement has a high number."""

    name, revision = "judging", "1"

    def __init__(self, mumbles=lambda request, sample: False):
        self.seen, self.mumbles = [], mumbles

    async def complete(self, request):
        self.seen.append(request)
        texts = [self.answer(request, sample) for sample in request.samples]
        return [
            Reply("hm" if self.mumbles(request, s) else json.dumps(t), sample=s)
            for t, s in zip(texts, request.samples, strict=True)
        ]

    def answer(self, request, sample):
        said = request.messages[-1].content
        shown = re.findall(r"^\[(\d+)\] .*?(\d)$", said, re.MULTILINE)
        if request.about.node == "judge" and "value" in request.about.agent:
            return {"values": [{"id": int(i), "value": 10 * int(grade) + sample} for i, grade in shown]}
        if request.about.node == "judge":
            return {"best": [int(i) for i, _ in sorted(shown, key=lambda pair: -int(pair[1]))][:2]}
        parent = re.search(r"<reason>\n(.*?)\n</reason>", said, re.DOTALL)
        came_from = parent[1].removeprefix(SAID) if parent else "base"
        return {"text": f"{SAID}{came_from}, {request.about.agent[6:9]} {sample}"}

    async def close(self):
        pass


async def grown(world, how, model, users=2, **options):
    chosen = FLOW.options(**{**PLAIN, **options})
    job = prepare(NAME, corpus=world.corpus, model=model, options=chosen, users=users, how=how())
    report = await run(NAME, corpus=world.corpus, model=model, options=chosen, users=users, how=how(cache=False))
    return payloads(report), report, job.inputs.calls()


@pytest.mark.parametrize(
    ("search", "parents", "born", "judging"),
    [
        (Search((3, 3)), (1, 3), (1, 3, 9), 0),
        (Search(()), (), (1,), 0),
        (Search((5, 5), "vote", 1, 5), (1, 1), (1, 5, 5), 5),
        (Search((5, 5), "vote", 1, 5, leaves=True), (1, 1), (1, 5, 5), 10),
        (Search((3, 3, 2), "value", 2, 3), (1, 2, 2), (1, 3, 6, 4), 3 * (3 + 6)),
        (Search((3, 3, 2), "value", 2, 3, leaves=True), (1, 2, 2), (1, 3, 6, 4), 3 * (3 + 6 + 4)),
        (Search((3, 3), "value", 9, 3), (1, 3), (1, 3, 9), 0),
        (Search((), "value", 1, 3, leaves=True), (), (1,), 0),
    ],
)
def test_what_a_search_grows_and_asks_follows_from_its_numbers(search, parents, born, judging):
    assert (search.parents, search.born, search.judging) == (parents, born, judging)


def test_the_best_are_kept_and_equal_texts_once():
    thoughts = [Thought("base"), *(Thought(t, 1, 0) for t in ("a", "b", "a", "c"))]
    judged = Judged({1: 3.0, 2: 1.0, 3: 3.0, 4: 2.0})
    assert [best(judged, thoughts, n) for n in (1, 2, 3, 4)] == [(1,), (1, 4), (1, 2, 4), (1, 2, 3, 4)]
    assert best(Judged({1: 0.0, 2: 0.0}), thoughts, 1) == (1,), "the first of equals"


@pytest.mark.parametrize("how_pruned", ["value", "vote"])
async def test_only_the_best_thoughts_are_grown_and_calls_are_counted_exactly(how_pruned, world, how):
    model = Judging()
    options = {"widths": "3,2,2", "prune": how_pruned, "beam": 2, "selectors": "random,longest,base,judged"}
    found, report, calls = await grown(world, how, model, **options)
    each = (1 + 3 + 4 + 4) + 3 * ((3 + 4 + 4) if how_pruned == "value" else 3)
    assert report.failed == 0 and report.now.calls.calls == calls == 2 * each
    assert {r.samples for r in model.seen if r.about.node == "judge"} == {(0, 1, 2)}, "judgements share a request"
    for told in found.values():
        thoughts = told["thoughts"]
        parents = {depth: {t["parent"] for t in thoughts if t["depth"] == depth} for depth in (2, 3)}
        assert parents[2] == {2, 3}, "of three, the second and third have the highest numbers"
        assert {thoughts[n]["text"][-1] for n in parents[3]} == {"1"}
        judged = {int(n): worth for n, worth in told["judged"].items()}
        assert set(judged) == {n for n, t in enumerate(thoughts) if t["depth"]}
        if how_pruned == "value":
            assert [judged[n] for n in (1, 2, 3)] == [1.0, 11.0, 21.0], "means of three judgements"
        else:
            assert [judged[n] for n in (1, 2, 3)] == [0.0, 1.5, 3.0], "1 for the first of a ballot, 1/2 for the next"
        assert told["scores"]["judged"] == [judged[n] for n in told["leaves"]]
        assert thoughts[told["chosen"]["judged"]]["text"].endswith("1")


async def test_judges_are_told_the_history_and_the_thoughts_and_nothing_of_the_behaviour_text(world, how):
    model = Judging()
    await grown(world, how, model, widths="3,1", prune="vote", behaviour="all-i-know-this-leaks", selectors="embedding")
    honest = Judging()
    await grown(world, how, honest, widths="3,1", prune="vote", selectors="embedding")
    judging = [[r.messages for r in m.seen if r.about.node == "judge"] for m in (model, honest)]
    assert judging[0] == judging[1] != []


async def test_a_judgement_that_cannot_be_read_is_left_out_and_counted(world, how):
    def mumbles(request, sample):
        alone = any(f"[1] {SAID}base, bas 0, spe 2" in message.content for message in request.messages)
        return request.about.node == "judge" and (sample == 1 or alone)

    found, report, _ = await grown(world, how, Judging(mumbles), widths="3,1", prune="value")
    assert report.failed == 0
    for told in found.values():
        assert told["unjudged"] == 2 + 3 and told["judged"] == {"1": 1.0, "2": 11.0, "3": -1.0}
        assert told["thoughts"][4]["parent"] == 2, "what nobody can judge is not taken for the best"
    deaf = Judging(lambda request, sample: request.about.node == "judge")
    deaf.revision = "deaf"
    for way in ("value", "vote"):
        report = (await grown(world, how, deaf, widths="3,1", prune=way))[1]
        assert report.done == 0 and report.failed, "a model of which nothing can be read is stopped early"


@pytest.mark.parametrize("way", ["value", "vote"])
async def test_the_embedded_default_judges_by_schema_alone(way, world, how):
    options = {"widths": "3,2", "prune": way, "judgements": 1, "selectors": "judged,base"}
    found, report, calls = await grown(world, how, Extractive(), users=4, **options)
    assert report.failed == 0 and report.now.calls.calls <= calls
    judged = [list(told["judged"].values()) for told in found.values()]
    assert all(told["unjudged"] == 0 for told in found.values())
    if way == "vote":
        assert all(sorted(worth)[-1] == 1 > sorted(worth)[0] for worth in judged), "each ballot ranks the thoughts"
    else:
        assert judged == [[100.0] * 5] * 4, "its thoughts are quotations, and on its own each is borne out in full"


@pytest.mark.parametrize("way", ["value", "vote"])
async def test_a_model_that_knows_the_truth_grows_truer_thoughts(way, how):
    """Thoughts are drawn at quality .5 and judged at 1: what is grown tells more of the user's own words."""
    world = make(users=60, items=80)

    class Critic:
        name, revision = "critic", ""

        def __init__(self):
            self.writer, self.judge = Simulated(world, 0.5), Simulated(world, 1.0)

        async def complete(self, request):
            return await (self.judge if request.about.node == "judge" else self.writer).complete(request)

        async def close(self):
            pass

    chosen = FLOW.options(widths="4,1", prune=way, judgements=1, **PLAIN)
    report = await run(NAME, corpus=world.corpus, model=Critic(), options=chosen, users=40, how=How())
    words = [set(w) for w in world.truth.topic_words]
    kept, lost = [], []
    for told in payloads(report).values():
        taste = world.truth.taste(world.corpus.user_index[told["user"]], _events(world, told["user"]))
        (parent,) = {t["parent"] for t in told["thoughts"] if t["depth"] == 2}
        for number, thought in enumerate(told["thoughts"]):
            if thought["depth"] == 1:
                said = re.findall(r"\w+", thought["text"].lower())
                hits = np.array([sum(w in topic for w in said) for topic in words], dtype=float)
                (kept if number == parent else lost).append(float(hits @ taste) / max(1.0, hits.sum()))
    assert np.mean(kept) > 1.3 * np.mean(lost)


def _events(world, user):
    index = world.corpus.user_index[user]
    return int(world.corpus.lengths[index]) - 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"beam": 0}, "beam is between 1 and 20"),
        ({"judgements": 21}, "judgements is between 1 and 20"),
        ({"selectors": "judged"}, "add prune=value or prune=vote"),
        ({"selectors": "judged", "prune": "vote", "scored": "all"}, "knows leaves alone"),
        ({"prune": "vote", "widths": "8,8,1", "beam": 8}, "compares at most 30 reasons, but a level would have 64"),
    ],
)
def test_options_that_make_no_search_are_refused(wrong, said, world, how):
    options = FLOW.options(**{**PLAIN, **wrong})
    with pytest.raises(UsageError, match=said):
        prepare(NAME, corpus=world.corpus, model=Extractive(), options=options, how=how())


def test_runs_of_before_are_found_again():
    plain = identity_of(FLOW.options())
    assert not {"prune", "beam", "judgements"} & set(plain) and plain["widths"] == "3,3"
    assert identity_of(FLOW.options(prune="vote", beam=2)) == {**plain, "prune": "vote", "beam": 2}


async def test_a_choice_can_be_made_with_the_reason_the_model_itself_holds_for_the_best(world, how):
    flow = workflow("pulse.choose")
    options = flow.options(selector="judged", widths="3,2", prune="vote", judgements=1)
    job = prepare(flow.name, corpus=world.corpus, model="extractive", options=options, users=3, how=how())
    report = await run(flow.name, corpus=world.corpus, model="extractive", options=options, users=3, how=how())
    assert report.failed == 0 and report.now.calls.calls == job.inputs.calls() == 3 * ((1 + 3 + 2) + 2 + 1)
