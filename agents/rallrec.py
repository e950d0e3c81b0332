"""RALLRec+'s questions about a click: think freely, several times; then say how likely yes is (paper 4.3; spec 5.a).

`reason` draws several traces of thought in one request. A trace cut off at the token limit is kept: it is read out
like the others. One that is empty, or that the server withheld, is left out; of several, two have to be there, because
one alone agrees with itself whatever it says and would weigh too much in eq. 10. `read_out` continues the assistant's
turn with a trace between think tags and takes the probabilities of Yes and No at the next token, deterministically. The
released code puts the trace into the *user's* turn and draws
that token at temperature .6; the first half of that is kept as the way "user_turn". Where a model shows no
probabilities, and in the way "vote", the trace's own last word counts: 1, 0, or .5 if it says neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from agents import usable
from agents.agent import Agent, AnswerError
from agents.answers import Answer
from agents.domain import domain_of
from agents.ranker import Chooser
from agents.usable import Asked
from agents.wording import as_asked
from prompts.neutral import neutralise_answer
from whyrec.llm.labels import LabelReading
from whyrec.llm.model import About, LanguageModel, Refused, Reply, Request, Unusable
from whyrec.llm.reasoning import CLOSE, OPEN

Way: TypeAlias = Literal["continue", "user_turn", "vote"]
LABELS: Final = ("Yes", "No")
_SAID: Final = re.compile(r"answer\W{0,4}\s*(yes|no)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_READABLE: Final = ("stop", "length")
_LEAST: Final = 2  # traces, where several are asked for
_LONGEST: Final = 20_000  # characters of a thought that are looked at
_END: Final = 200  # characters at the end of a trace in which a bare yes or no is its answer


class Reasoning(Answer):
    """Free thought about one question, ending in an answer."""

    text: Annotated[
        str,
        Field(min_length=1, max_length=_LONGEST, description="the thoughts, then the answer"),
        Asked(least=12, sentence=True),
    ]


@dataclass(frozen=True, slots=True)
class Trace:
    """One sample of thought.

    Attributes:
        text: the thoughts: a reasoning model's reasoning, any other model's whole text.
        said: what it answered after them, "" where that is part of the text.
        tokens: of thoughts and answer, as the server counted; None where it did not.
        finish: "stop", "length" (cut off), "filtered" or "error".
    """

    text: str
    said: str
    tokens: int | None
    finish: str

    @property
    def vote(self) -> float:
        """1 for yes, 0 for no, .5 for neither."""
        return vote(f"{self.text}\n{self.said}")


@dataclass(frozen=True, slots=True)
class ReadOut:
    """P(yes) of one trace, and how it was read: "logprobs", "score" or "vote"."""

    probability: float
    way: str


_thinker = Agent("rallrec/reason", answer=Reasoning)
_clicker = Chooser("rallrec/click", ways=("logprobs", "score"))
PROMPTS: Final = (_thinker.prompt_name, _clicker.prompt_name)


async def reason(llm: LanguageModel, n: int, *, about: About, **blanks: Any) -> list[Trace]:
    """Up to `n` independent traces of thought about the question, from one request where the server can.

    Raises:
        AnswerError: fewer than two of several, or not the one, can be read.
        ModelError: the model did not answer.
        UsageError: blanks are missing or unknown.
    """
    request = _thinker.request(n, about, blanks, domain_of(llm))
    shown = usable.shown(Reasoning, "text", as_asked(llm, _thinker.prompt).instructions)
    request = replace(request, about=replace(request.about, wrong=lambda reply: _wrong(reply, shown)))
    replies = await llm.complete(request)
    found = [trace for reply in replies if (trace := await _settled(llm, request, reply)) is not None]
    if len(found) < min(n, _LEAST):
        raise AnswerError(
            f"{_thinker.prompt_name} got {len(found)} of {n} traces of thought from {llm.name} that say anything, and "
            f"{min(n, _LEAST)} are needed."
        )
    return found


def _trace(reply: Reply) -> Trace:
    return Trace(
        text=(reply.reasoning or reply.text).strip(),
        said=reply.text.strip() if reply.reasoning else "",
        tokens=reply.length,
        finish=reply.finish_reason,
    )


def _wrong(reply: Reply, shown: usable.Shown = usable.NOTHING) -> Unusable | None:
    """Why a reply is no trace of thought; None where it is one."""
    if reply.finish_reason not in _READABLE:
        return Unusable("withheld", f"it ended by {reply.finish_reason}", final=True)
    if not (text := _trace(reply).text):
        return Unusable("too_short", "it says nothing")
    return usable.flaw(Reasoning(text=text[:_LONGEST]), shown)


async def _settled(llm: LanguageModel, first: Request, reply: Reply) -> Trace | None:
    """The trace of a reply, or of the one that mends it; None where neither is one.

    Raises:
        ModelError: the model did not answer.
    """
    request = replace(first, samples=(reply.sample,))
    judge = first.about.wrong
    assert judge is not None
    for turn in range(1, _thinker.repairs + 1):
        if (wrong := judge(reply)) is None or wrong.final:
            break
        try:
            (reply,) = await llm.complete(_thinker.again(request, first, reply, wrong, turn))
        except Refused:
            return None
    return None if judge(reply) else _trace(reply)


async def read_out(llm: LanguageModel, trace: Trace, *, way: Way, about: About, **blanks: Any) -> ReadOut:
    """P(yes) after a trace; see the module. Raises as `click`."""
    if way == "vote":
        return ReadOut(trace.vote, "vote")
    thoughts = neutralise_answer(trace.text)
    try:
        if way == "user_turn":
            reading = await _asked(llm, about, blanks, thoughts=thoughts)
        else:
            reading = await _asked(llm, about, blanks, prefix=f"{OPEN}\n{thoughts}\n{CLOSE}\n\n")
    except Refused:
        return ReadOut(trace.vote, "vote")
    return ReadOut(reading.probabilities["Yes"], reading.way)


async def click(llm: LanguageModel, *, about: About, **blanks: Any) -> ReadOut:
    """P(yes) without any thought, as a general model says it; 1 or 0 where it shows no probabilities.

    Raises:
        ModelError: the model did not answer.
        UsageError: blanks are missing or unknown.
    """
    chooser = Chooser(_clicker.prompt_name)
    reading = await chooser(llm, LABELS, about=about, thoughts="", **blanks)
    return ReadOut(reading.probabilities["Yes"], reading.way)


def vote(text: str) -> float:
    """1, 0 or .5: the last "answer: yes/no" of a text, else the last yes or no near its end, else neither."""
    found = _SAID.findall(text) or _WORD.findall(text[-_END:])
    return 0.5 if not found else float(found[-1].lower() == "yes")


async def _asked(
    llm: LanguageModel, about: About, blanks: Mapping[str, Any], *, prefix: str = "", thoughts: str = ""
) -> LabelReading:
    return await _clicker(llm, LABELS, about=about, prefix=prefix, thoughts=thoughts, **blanks)
