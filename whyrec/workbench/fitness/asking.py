"""Asking the known questions the way every graph asks: through agents, with their checks and their one repair."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import prompts
from agents.agent import Agent
from agents.ranker import Choice
from whyrec.llm.labels import NoLabel, Way, read_labels
from whyrec.llm.model import About, LanguageModel, Refused, Request
from whyrec.llm.tokens import estimate_tokens
from whyrec.workbench.fitness.questions import CHOICES, LETTERS, NOTES, Chosen, Note, Told

Form: TypeAlias = Literal["json", "tags", "headers", "letters"]
FORMS: tuple[Form, ...] = get_args(Form)
_WAYS: tuple[Way, ...] = ("logprobs", "score", "answer")
_ABOUT = About(graph="fitness")


class _NoteAgent(Agent[Note]):
    """An agent whose prompt stands in this folder, since no graph asks it."""

    @cached_property
    def prompt(self) -> prompts.Prompt:
        """The prompt, read at the first use."""
        return read_prompt(self.prompt_name)


class _ChoiceAgent(Agent[Choice]):
    @cached_property
    def prompt(self) -> prompts.Prompt:
        """The prompt, read at the first use."""
        return read_prompt(self.prompt_name)


@dataclass(frozen=True, slots=True)
class Fit:
    """How one form of answer went.

    Attributes:
        form: the form.
        asked: how many questions.
        usable: how many came to a usable answer.
        repaired: how many of those only when they were asked again.
        right: how many of those were right.
        lost: why the others were not usable, a sentence each.
    """

    form: Form
    asked: int
    usable: int
    repaired: int
    right: int
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _One:
    usable: bool
    right: bool = False
    repaired: bool = False
    lost: str = ""


def read_prompt(name: str) -> prompts.Prompt:
    """The prompt of a form, such as "fitness/tags"."""
    path = Path(__file__).with_name(f"{name.removeprefix('fitness/')}.md")
    return prompts.parse(prompts.read_file(path), where=name)


def first_questions() -> list[Request]:
    """Every question as it is asked first: forty, for a forecast of what they cost."""
    agents = [_NoteAgent(f"fitness/{form}", answer=Note) for form in FORMS if form != "letters"]
    notes = [agent.request(1, _ABOUT, {"note": told.note}) for agent in agents for told in NOTES]
    return notes + [_letters_request(chosen) for chosen in CHOICES]


def tokens_of(requests: Sequence[Request]) -> tuple[int, int]:
    """(tokens that will probably be read, the most that will be written) of these questions, asked once."""
    written = sum(request.sampling.max_tokens for request in requests)
    return sum(map(estimate_tokens, requests)) - written, written


async def try_forms(model: LanguageModel, *, at_once: int = 8) -> list[Fit]:
    """Ask every question, several at a time.

    Raises:
        ModelError: the model did not answer.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(asking: Awaitable[_One]) -> _One:
        async with gate:
            return await asking

    found = []
    for form in FORMS:
        if form == "letters":
            went = await asyncio.gather(*(one(_choose(model, chosen)) for chosen in CHOICES))
        else:
            agent = _NoteAgent(f"fitness/{form}", answer=Note)
            went = await asyncio.gather(*(one(_read(agent, model, told)) for told in NOTES))
        found.append(_summed(form, went))
    return found


async def _read(agent: Agent[Note], model: LanguageModel, told: Told) -> _One:
    samples = await agent.many(model, 1, about=_ABOUT, least=0, note=told.note)
    if not samples.answers:
        return _One(usable=False, lost=samples.lost[0].partition(f" from {model.name}: ")[2] or samples.lost[0])
    return _One(usable=True, right=told.is_right(samples.answers[0]), repaired=samples.repairs > 0)


async def _choose(model: LanguageModel, chosen: Chosen) -> _One:
    try:
        reading = await read_labels(model, _letters_request(chosen), LETTERS, ways=_WAYS)
    except (NoLabel, Refused) as error:
        return _One(usable=False, lost=str(error))
    likeliest = max(LETTERS, key=reading.probabilities.__getitem__)
    return _One(usable=True, right=likeliest == chosen.letter)


def _letters_request(chosen: Chosen) -> Request:
    agent = _ChoiceAgent("fitness/letters", answer=Choice)
    blanks = {"question": chosen.question, "options": chosen.options}
    return replace(agent.request(1, _ABOUT, blanks), samples=(0,))


def _summed(form: Form, went: Sequence[_One]) -> Fit:
    return Fit(
        form,
        asked=len(went),
        usable=sum(one.usable for one in went),
        repaired=sum(one.usable and one.repaired for one in went),
        right=sum(one.right for one in went),
        lost=tuple(one.lost for one in went if not one.usable),
    )
