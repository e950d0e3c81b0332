"""Answers to questions, found in their own paragraphs: HotpotQA's distractor setting (PULSE 5.7; spec 3.a).

    ANSWER                                                    standard, cot: from all paragraphs at once
    (ACT -> observe){<= 7} -> finished? : VOTE                act, react; react_cot votes where it has not finished
    REASON x m -> SELECT -> CONCLUDE                          react_best: the rationale that fits best in thought space

A search sees the question and what its actions showed, never all paragraphs; when its steps are used up its answer is
empty, as in the ReAct repository. Where a step's text names no action, a second call asks for the action alone. The
votes of react_cot are reasoned answers drawn at temperature .7 (ReAct -> CoT-SC of ReAct's paper).

Unusual: the gold answer is nowhere in the state; it is read when a run is judged, and by nothing before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import hotpotqa as agents
from agents.agent import Samples
from agents.hotpotqa import Step
from graphs.hotpotqa.answers import outcomes
from graphs.hotpotqa.examples import SEARCHES, Options, Questions, Task
from graphs.hotpotqa.space import resolved, scorer
from graphs.hotpotqa.tools import observe
from graphs.services import Services
from graphs.shared.reasons import scorer_of
from graphs.workflow import Sample, Source, Workflow
from whyrec.llm.built_in.blocks import tokens
from whyrec.llm.model import About
from whyrec.plugins.rules import Builds, Rule, Rules

NAME = "hotpotqa.react"
_SEARCHED = {"question": Rule.ASKED, "steps": Rule.STEPS, "number": Rule.NUMBERS, "most": Rule.NUMBERS}
_READ = {"question": Rule.ASKED, "paragraphs": Rule.PARAGRAPHS}
AUDIT = Rules(
    blanks={
        **dict.fromkeys(("hotpotqa/standard", "hotpotqa/cot", "hotpotqa/reason"), _READ),
        "hotpotqa/conclude": {**_READ, "reason": Rule.SAID},
        **dict.fromkeys(("hotpotqa/act", "hotpotqa/react"), _SEARCHED),
        "hotpotqa/next_action": {**_SEARCHED, "thought": Rule.SAID},
    },
    results={
        **dict.fromkeys(("question", "index", "mode", "finished", "missing", "scores", "chosen"), Rule.NUMBERS),
        "answer": Rule.SAID,
        "steps": Rule.STEPS,
        "reasons": Rule.SAID,
    },
    earlier={"space": Builds(("",), "a space learnt from questions learns from other questions", same_data=False)},
)
_THOUGHT = 600  # characters of a thought that later steps are shown


@dataclass(frozen=True)
class State:
    """A question on its way to an answer.

    Attributes:
        task: the question and the options.
        steps: of the search so far.
        answer: None until there is one.
        reasons: reasoned answers: votes, or rationales to choose among; of `cot` the one.
        missing: reasoned answers that were asked for and could not be read.
        scores: of the rationales.
        chosen: which rationale.
    """

    task: Task
    steps: tuple[Step, ...] = ()
    answer: str | None = None
    reasons: tuple[agents.ReasonedAnswer, ...] = ()
    missing: int = 0
    scores: tuple[float, ...] = field(default=())
    chosen: int = -1


class Update(TypedDict, total=False):
    """What a node may change."""

    steps: tuple[Step, ...]
    answer: str
    reasons: tuple[agents.ReasonedAnswer, ...]
    missing: int
    scores: tuple[float, ...]
    chosen: int


async def answer(state: State, runtime: Runtime[Services]) -> Update:
    """Answer from all paragraphs, reasoned first in `cot`."""
    blanks = {"paragraphs": state.task.shown, "question": state.task.question.text}
    about, llm = _about(state, "answer"), runtime.context.llm()
    if state.task.options.mode == "standard":
        return {"answer": (await agents.answer_directly(llm, about=about, **blanks)).answer}
    found = await agents.answer_reasoned(llm, about=about, **blanks)
    return {"answer": found.answer, "reasons": (found,)}


async def act(state: State, runtime: Runtime[Services]) -> Update:
    """Take one step: think, act, observe."""
    task, llm, number = state.task, runtime.context.llm(), len(state.steps) + 1
    thinks = task.options.mode != "act"
    blanks: dict[str, Any] = {
        "question": task.question.text,
        "steps": agents.blank_steps(state.steps),
        "number": number,
        "most": task.options.steps,
    }
    agent = agents.think_and_act if thinks else agents.act_only
    text = (await agent(llm, about=_about(state, "act"), **blanks)).text
    thought, line = agents.read_step(text)
    thought = thought[:_THOUGHT]
    action, argument = (agents.read_action(line) or ("", line)) if line is not None else ("", "")
    if line is None:
        asked = await agents.next_action(llm, about=_about(state, "next_action"), thought=thought, **blanks)
        action, argument = asked.action, asked.argument
    shown = observe(task.question.paragraphs, state.steps, action, argument)
    steps = (*state.steps, Step(number, thought if thinks else "", action, argument, shown))
    if action == "Finish":
        return {"steps": steps, "answer": argument}
    return {"steps": steps, "answer": ""} if number == task.options.steps else {"steps": steps}


async def vote(state: State, runtime: Runtime[Services]) -> Update:
    """Take the commonest of several reasoned answers."""
    found = await _sample(state, runtime, state.task.options.votes)
    return {**_kept(found), "answer": majority([r.answer for r in found])}


async def reason(state: State, runtime: Runtime[Services]) -> Update:
    """Write the rationales to choose among."""
    return _kept(await _sample(state, runtime, state.task.options.m))


async def select(state: State, runtime: Runtime[Services]) -> Update:
    """Choose the rationale that agrees best with question and paragraphs; the first of equals (PULSE eq. 2)."""
    texts = [r.reasoning for r in state.reasons]
    scores = tuple(await asyncio.to_thread(scorer_of(runtime.context).score, texts, state.task.text))
    return {"scores": scores, "chosen": max(range(len(scores)), key=lambda i: (scores[i], -i))}


async def conclude(state: State, runtime: Runtime[Services]) -> Update:
    """Answer after the chosen rationale; its own answer is not shown."""
    found = await agents.conclude(
        runtime.context.llm(),
        about=_about(state, "conclude"),
        paragraphs=state.task.shown,
        reason=state.reasons[state.chosen].reasoning,
        question=state.task.question.text,
    )
    return {"answer": found.answer}


def begin(state: State) -> str:
    """Which way to go."""
    mode = state.task.options.mode
    return "act" if mode in SEARCHES else "reason" if mode == "react_best" else "answer"


def proceed(state: State) -> str:
    """After a step: the next one, the vote, or the end."""
    if state.answer is None:
        return "act"
    unfinished = state.steps[-1].action != "Finish"
    return "vote" if unfinished and state.task.options.mode == "react_cot" else END


def build() -> Any:
    """The three ways to an answer."""
    graph = StateGraph(State, context_schema=Services)
    for node in (answer, act, vote, reason, select, conclude):
        graph.add_node(node.__name__, node)
    graph.add_conditional_edges(START, begin, ["answer", "act", "reason"])
    graph.add_conditional_edges("act", proceed, ["act", "vote", END])
    for first, then in (("reason", "select"), ("select", "conclude")):
        graph.add_edge(first, then)
    for last in ("answer", "vote", "conclude"):
        graph.add_edge(last, END)
    return graph.compile()


def majority(answers: list[str]) -> str:
    """The commonest answer, spelling and punctuation apart; the earliest of equals; "" if all are empty."""
    keys = [tokens(a) for a in answers]
    counts = Counter(k for k in keys if k)
    if not counts:
        return ""
    best = max(counts.values())
    return next(a for a, k in zip(answers, keys, strict=True) if counts[k] == best)


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """The scorer of rationales, where one is needed."""
    if options.mode != "react_best":
        return ()
    return (scorer(source, options),)


async def _sample(state: State, runtime: Runtime[Services], n: int) -> Samples[agents.ReasonedAnswer]:
    """Reasoned answers, those that can be read of n; the question fails only where none can."""
    return await agents.sample_reasons.many(
        runtime.context.llm(),
        n,
        about=_about(state, "reason"),
        paragraphs=state.task.shown,
        question=state.task.question.text,
    )


def _kept(found: Samples[agents.ReasonedAnswer]) -> Update:
    return {"reasons": found.answers, "missing": found.missing}


def _about(state: State, node: str) -> About:
    return About(graph=NAME, node=node, example=state.task.key)


class Inputs(Questions):
    """The questions, each with a state to start from.

    Raises:
        UsageError, LeakageError: also as `graphs.hotpotqa.space.resolved`.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        if self.options.mode == "react_best":
            self.options = resolved(source, self.options)

    def state(self, index: int) -> State:
        """The question, nothing done yet."""
        return State(self.task(index))


def prompt_names(options: Options) -> tuple[str, ...]:
    """Prompts of a mode."""
    search = ("hotpotqa/react", "hotpotqa/next_action")
    return {
        "standard": ("hotpotqa/standard",),
        "cot": ("hotpotqa/cot",),
        "act": ("hotpotqa/act", "hotpotqa/next_action"),
        "react": search,
        "react_cot": (*search, "hotpotqa/reason"),
        "react_best": ("hotpotqa/reason", "hotpotqa/conclude"),
    }[options.mode]


def result(state: State) -> dict[str, Any]:
    """What is kept: the answer and how it came about. Nothing of what is right."""
    assert state.answer is not None
    return {
        "question": state.task.question.id,
        "index": state.task.index,
        "mode": state.task.options.mode,
        "answer": state.answer,
        "finished": not state.steps or state.steps[-1].action == "Finish",
        "steps": [asdict(step) for step in state.steps],
        "reasons": [{"reasoning": r.reasoning, "answer": r.answer} for r in state.reasons],
        "missing": state.missing,
        "scores": list(state.scores),
        "chosen": state.chosen,
    }


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="answers to questions from their own paragraphs: at once, step by step, or after the best rationale",
    options=Options,
    state=State,
    build=build,
    inputs=Inputs,
    result=result,
    steps=lambda state: state.task.options.steps + 10,
    prompts=prompt_names,
    equip=equip,
    audit=AUDIT,
    outcomes=outcomes,
    sample=Sample("facts"),
)
