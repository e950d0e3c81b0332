"""A model that knows the facts: q is a dial, what is not shown is not known, and reading pays."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import prompts
from agents.hotpotqa import Shown, Step, act_only, answer_directly, blank_steps, conclude, next_action, think_and_act
from agents.hotpotqa import sample_reasons as reason
from whyrec.data.generated.facts import make
from whyrec.data.questions import Gold
from whyrec.errors import UsageError
from whyrec.llm import open_provider
from whyrec.llm.built_in.simulated.facts import SimulatedFacts
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.llm.built_in.simulated.statements import asked, statements
from whyrec.llm.model import About
from whyrec.settings import read_settings

FACTS = make(120)
ALL = range(len(FACTS.truths))


def shown(i, keep=lambda title: True):
    return tuple(Shown(p.title, p.text) for p in FACTS.questions.questions[i].paragraphs if keep(p.title))


def searched(i, titles):
    by_title = {p.title: p.text for p in FACTS.questions.questions[i].paragraphs}
    steps = [Step(n, "so", "Search", title, by_title[title]) for n, title in enumerate(titles, 1)]
    return {
        "question": FACTS.questions.questions[i].text,
        "steps": blank_steps(steps),
        "number": len(steps) + 1,
        "most": 7,
    }


async def share_right(quality, agent=answer_directly, **more):
    model, right = SimulatedFacts(FACTS, quality), 0
    for i in ALL:
        blanks = {"paragraphs": shown(i), "question": FACTS.questions.questions[i].text}
        blanks |= {k: v(i) for k, v in more.items()}
        right += (await agent(model, **blanks)).answer == FACTS.truths[i].answer
    return right / len(ALL)


async def test_quality_is_a_dial():
    shares = [await share_right(q) for q in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert shares == sorted(shares) and shares[0] < 0.1 and shares[-1] == 1.0 and shares[2] - shares[1] > 0.1


async def test_what_is_not_shown_is_not_known():
    missing = await share_right(1.0, paragraphs=lambda i: shown(i, lambda t: t != FACTS.truths[i].hops[1]))
    assert missing < 0.15, "only guesses are left"


async def test_a_reason_is_one_more_place_to_read_the_proof() -> None:
    gold = Gold(FACTS.questions)

    def proof(i: int) -> str:
        by_title = {p.title: p for p in FACTS.questions.questions[i].paragraphs}
        return " ".join(by_title[t].sentences[n] for t, n in gold.facts(i))

    true = await share_right(0.5, conclude, reason=proof)
    false = await share_right(0.5, conclude, reason=lambda i: "Friends remembered a large collection of kites.")
    assert true > false


async def test_a_false_statement_in_a_reason_misleads_even_at_1() -> None:
    """What is answered follows from what is shown, not from what is so: the right answer is not looked up."""
    for i in range(40):
        truth = FACTS.truths[i]
        if truth.named:
            continue
        lie = f"{truth.hops[1]} was born in Nowheremouth. {truth.hops[1]} lies on the river Nowheremouth. "
        lie += f"{truth.hops[1]} is a town in the province of Nowheremouth."
        blanks = {"paragraphs": shown(i), "question": FACTS.questions.questions[i].text, "reason": lie}
        answer = (await conclude(SimulatedFacts(FACTS, 1.0), **blanks)).answer
        assert answer == "Nowheremouth" or answer.isdigit(), answer


def test_every_question_and_sentence_of_the_world_is_understood() -> None:
    for question, truth in zip(FACTS.questions.questions, FACTS.truths, strict=True):
        said = {(s.subject, s.relation): s for p in question.paragraphs for s in statements(p.text)}
        wanted = asked(question.text)
        assert wanted is not None
        proof, gone = wanted.proof(said)
        assert not gone and wanted.answer(proof) == truth.answer
        for one in proof:
            assert one in statements(one.words), "what it writes can be read again"


async def test_a_search_reads_the_proof_in_order_and_then_finishes():
    model = SimulatedFacts(FACTS, 1.0)
    for i in range(20):
        truth = FACTS.truths[i]
        for read, wanted in ((0, f"Search[{truth.hops[0]}]"), (1, f"Search[{truth.hops[1]}]"), (2, "Finish")):
            text = (await think_and_act(model, **searched(i, truth.hops[:read]))).text
            assert f"\nAction {read + 1}: {wanted}" in text
        assert f"Finish[{truth.answer}]" in (await act_only(model, **searched(i, truth.hops))).text
        assert (await next_action(model, thought="", **searched(i, truth.hops))).argument == truth.answer
        if not truth.named:
            after = (await think_and_act(model, **searched(i, []))).text
            assert truth.hops[1] not in after, "the second paragraph is not known of before the first is read"


async def test_reading_the_right_paragraphs_makes_a_right_answer_likelier():
    model, right = SimulatedFacts(FACTS, 0.5), Counter()
    for i in ALL:
        for read in (0, 2):
            step = await next_action(model, thought="", **searched(i, FACTS.truths[i].hops[:read]))
            right[read] += step.action == "Finish" and step.argument == FACTS.truths[i].answer
    assert right[2] > 15 > 3 >= right[0]


async def test_samples_differ_and_draws_depend_on_nothing_else():
    async def drawn(quality=0.5, **about):
        blanks = {"paragraphs": shown(3), "question": FACTS.questions.questions[3].text}
        found = await reason.many(SimulatedFacts(FACTS, quality), 12, about=About(**about), **blanks)
        return [r.answer for r in found]

    assert await drawn() == await drawn(example="x", user="y", split="test")
    assert len(set(await drawn())) > 1 and set(await drawn(1.0)) == {FACTS.truths[3].answer}


async def test_texts_without_a_schema_and_unknown_questions_are_answered():
    agent = reason.request(1, About(), {"paragraphs": shown(0), "question": "Who painted the sea?"})
    (reply,) = await SimulatedFacts(FACTS, 1.0).complete(agent)
    assert json.loads(reply.text)["answer"] in " ".join(f"{s.title} {s.text}" for s in shown(0)), "a guess"
    assert prompts.load("hotpotqa/reason").digest == agent.about.prompt_digest


def test_the_scheme_opens_by_the_data():
    def opened(name, world):
        return open_provider(name, settings=read_settings(), world=world)

    from whyrec.data.generated.world import make as make_world

    model = opened("simulated:0.5", FACTS)
    assert isinstance(model, SimulatedFacts) and (model.name, model.revision) == (
        "simulated:0.5",
        "2/facts:questions=120",
    )
    assert isinstance(opened("simulated:0.5", make_world(users=10, items=30)), Simulated)
    with pytest.raises(UsageError, match="a number from 0 to 1"):
        opened("simulated:2", FACTS)
    with pytest.raises(UsageError, match="a number from 0 to 1"):
        opened("simulated:x", FACTS)
    with pytest.raises(UsageError, match="--data world"):
        opened("simulated:0.5", None)
