"""Answering questions over paragraphs (PULSE 5.7; spec 3.a): straight away, reasoned first, or step by step with tools.

A step is free text in the manner of ReAct ("Thought 2: … Action 2: Search[…]"), because that is what the method is
about; `read_step` finds the action in it. Where there is none, `next_action` asks for it alone, as a typed answer,
which every server and every model can give. What a small model takes from the examples instead of the question (their
titles, their answers) is no step and no answer. `sample_reasons` draws several reasoned answers at once: votes for
self-consistency, and the rationales that a thought space chooses among.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

import prompts
from agents.agent import Agent, Check
from agents.answers import Answer
from agents.usable import Asked

Action: TypeAlias = Literal["Search", "Lookup", "Finish"]
ShortText: TypeAlias = Annotated[
    str, Field(max_length=160, description="the answer itself: a name, a date, a number, yes or no, at most 12 words")
]
Reasoning: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=900,
        description="how the answer follows from the paragraphs, step by step, at most 100 words",
    ),
    Asked(least=6, sentence=True),
]

_ACTION_LINE = re.compile(r"^[ \t>*#-]*action(?:[ \t]*\d+)?[ \t]*:[ \t*]*(.*)$", re.IGNORECASE | re.MULTILINE)
_THOUGHT = re.compile(r"^[ \t>*#-]*thought(?:[ \t]*\d+)?[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_OBSERVATION = re.compile(r"^[ \t>*#-]*observation(?:[ \t]*\d+)?[ \t]*:", re.IGNORECASE | re.MULTILINE)
_BARE_CALL = re.compile(r"^[ \t>*#-]*((?:search|lookup|finish)[\[(].*[\])])\W*$", re.IGNORECASE | re.MULTILINE)
_SHOWN = re.compile(r"(?:Search|Finish)\[([^\]\n]*)\]|\"(?:answer|argument)\": \"([^\"\n]*)\"")
_TITLES = re.compile(r"^\d+\. ([^|\n]+?) \| text: ", re.MULTILINE)
_CALL = re.compile(r"\W*(search|lookup|finish)\W*?[\[(](.*)[\])]", re.IGNORECASE)


class ShortAnswer(Answer):
    """An answer and nothing else."""

    answer: ShortText


class ReasonedAnswer(Answer):
    """Reasons first, then the answer that follows from them."""

    reasoning: Reasoning
    answer: ShortText


class StepText(Answer):
    """A thought and an action, as free text."""

    text: Annotated[str, Field(max_length=1600, description="the next step")]


class NextAction(Answer):
    """One action."""

    action: Annotated[Action, Field(description="Search, Lookup or Finish")]
    argument: Annotated[
        str, Field(max_length=100, description="what to search, what to look up, or the answer, at most 12 words")
    ]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search, as it is shown to the model again.

    `action` is "" where what the model wrote was no action; `argument` then holds what it wrote.
    """

    number: int
    thought: str
    action: str
    argument: str
    observation: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A paragraph as a prompt shows it."""

    title: str
    text: str


def read_step(text: str) -> tuple[str, str | None]:
    """(thought, action line) of a step's text; the action line is None where there is none.

    Only the first action counts, and nothing after an observation that the model made up itself.
    """
    text = _OBSERVATION.split(text, maxsplit=1)[0]
    found = _ACTION_LINE.search(text) or _BARE_CALL.search(text)
    before = text[: found.start()] if found else text
    thought = " ".join(_THOUGHT.sub("", before).split())
    return thought, found[1].strip() if found else None


def read_action(line: str) -> tuple[Action, str] | None:
    """(action, argument) of "Search[Grey Harbour]"; None if it is no action."""
    found = _CALL.match(line)
    if found is None:
        return None
    known: dict[str, Action] = {"search": "Search", "lookup": "Lookup", "finish": "Finish"}
    return known[found[1].lower()], found[2].strip()


def borrowed(said: str, name: str, blanks: Mapping[str, Any]) -> str | None:
    """What is wrong with a title or an answer that stands in the prompt's examples and nowhere in what is asked.

    Args:
        said: the title searched for, or the answer.
        name: of the prompt.
        blanks: that filled it: question, paragraphs, steps so far.
    """
    if (folded := said.strip(" .\"'").casefold()) not in _examples(name):
        return None
    if folded in json.dumps(prompts.blanks_json(blanks), ensure_ascii=False).casefold():
        return None
    return f"{said!r} stands only in the examples; go on with the question in the question block"


@lru_cache(maxsize=16)
def _examples(name: str) -> frozenset[str]:
    """Titles and answers of a prompt's examples, folded; a yes or a no may be right."""
    told = prompts.load(name).instructions
    found = {first or second for first, second in _SHOWN.findall(told)} | set(_TITLES.findall(told))
    return frozenset(one.casefold() for one in found) - {"yes", "no", "title", "word", "answer", " ", ""}


def _own_step(name: str) -> Check[StepText]:
    def check(answer: StepText, blanks: Mapping[str, Any]) -> str | None:
        line = read_step(answer.text)[1]
        action = read_action(line) if line is not None else None
        return borrowed(action[1], name, blanks) if action else None

    return check


def _own_answer(name: str) -> Callable[[ShortAnswer | ReasonedAnswer, Mapping[str, Any]], str | None]:
    return lambda answer, blanks: borrowed(answer.answer, name, blanks)


def _own_action(name: str) -> Check[NextAction]:
    return lambda answer, blanks: borrowed(answer.argument, name, blanks)


answer_directly: Agent[ShortAnswer] = Agent("hotpotqa/standard", ShortAnswer, check=_own_answer("hotpotqa/standard"))
answer_reasoned: Agent[ReasonedAnswer] = Agent("hotpotqa/cot", ReasonedAnswer, check=_own_answer("hotpotqa/cot"))
sample_reasons: Agent[ReasonedAnswer] = Agent("hotpotqa/reason", ReasonedAnswer, check=_own_answer("hotpotqa/reason"))
conclude: Agent[ShortAnswer] = Agent("hotpotqa/conclude", ShortAnswer, check=_own_answer("hotpotqa/conclude"))
think_and_act: Agent[StepText] = Agent("hotpotqa/react", StepText, check=_own_step("hotpotqa/react"))
act_only: Agent[StepText] = Agent("hotpotqa/act", StepText, check=_own_step("hotpotqa/act"))
next_action: Agent[NextAction] = Agent("hotpotqa/next_action", NextAction, check=_own_action("hotpotqa/next_action"))


def blank_steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps for a prompt's blank."""
    return [
        {
            "number": s.number,
            "thinks": bool(s.thought),
            "thought": s.thought,
            "call": s.action,
            "argument": s.argument,
            "observation": s.observation,
        }
        for s in steps
    ]
