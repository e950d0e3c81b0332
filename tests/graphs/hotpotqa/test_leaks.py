"""No prompt, answer or result of hotpotqa.react holds a right answer that its paragraphs do not give away (spec 8).

Right answers are replaced by marks of their own, which stand in no paragraph and no question; the echo model repeats
whatever it saw, so a mark that slips into one step travels through all later ones. Each check is also run with a leak
put in on purpose, and must find it.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from graphs.hotpotqa.examples import Task
from graphs.run import prepare, run
from graphs.workflow import workflow
from whyrec.data.generated.facts import make
from whyrec.data.questions import Gold, Questions, Solution
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

MARK = "ZQ"
N = 6
MODES = ("standard", "cot", "act", "react", "react_cot", "react_best")
FACTS = make(N).questions


def with_answers(answers):
    """The questions with these right answers."""
    solutions = [Solution(a, Gold(FACTS).facts(i)) for i, a in enumerate(answers)]
    return Questions("facts", FACTS.questions, tuple(solutions))


POISONED = with_answers([f"{MARK}{i}X" for i in range(N)])


def leak(monkeypatch):
    """A leak: the task shows each question with its right answer."""
    shown = Task.__init__

    def told(self, question, index, options):
        answer = Gold(POISONED).answer(index)
        shown(self, dataclasses.replace(question, text=f"{question.text} ({answer})"), index, options)

    monkeypatch.setattr(Task, "__init__", told)


async def places(mode, how, leak_checks):
    """Which texts that were sent, answered or stored hold a mark."""
    options = workflow("hotpotqa.react").options(mode=mode)
    report = await run("hotpotqa.react", corpus=POISONED, model=Echo(), options=options, how=how(cache=False))
    assert report.exit_code == 0 and report.done == N
    stored = open_run(read_settings().home, report.run)
    try:
        texts = [call[column] for call in stored.calls() for column in ("blanks", "messages", "answer")]
        results = [json.dumps(r.payload) for r in stored.results()]
    finally:
        stored.close()
    assert len(texts) >= 3 * N and len(results) == N
    return leak_checks.sentinel_places(texts + results, MARK)


@pytest.mark.parametrize("mode", MODES)
async def test_marked_answers_appear_nowhere(mode, how, leak_checks):
    assert await places(mode, how, leak_checks) == []


@pytest.mark.parametrize("mode", MODES)
async def test_the_check_finds_a_leak(mode, how, leak_checks, monkeypatch):
    leak(monkeypatch)
    assert len(await places(mode, how, leak_checks)) >= N


async def prompts_of(data, mode, how, counting):
    model = counting()
    options = workflow("hotpotqa.react").options(mode=mode)
    await run("hotpotqa.react", corpus=data, model=model, options=options, how=how(cache=False, new=True))
    return sorted(
        (r.about.example, r.about.node, str(r.about.turn), [m.content for m in r.messages]) for r in model.seen
    )


@pytest.mark.parametrize("mode", MODES)
async def test_permuted_answers_change_no_prompt(mode, how, counting):
    gold = Gold(FACTS)
    turned = with_answers([gold.answer((i + 1) % N) for i in range(N)])
    assert turned.digest != FACTS.digest
    same = await prompts_of(turned, mode, how, counting)
    assert same == await prompts_of(FACTS, mode, how, counting)


def test_the_state_has_no_way_to_an_answer(how):
    """What a node can reach of the data is its own question, and that holds no solution."""
    job = prepare("hotpotqa.react", corpus=POISONED, model="echo", how=how())
    assert MARK not in repr([job.inputs.state(int(i)) for i in job.inputs.indices])
