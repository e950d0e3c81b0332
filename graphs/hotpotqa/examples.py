"""The questions of a data set as examples, and what a graph over them may be told to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from agents.hotpotqa import Shown
from graphs.shared.reasons import PLAIN
from graphs.workflow import Source
from whyrec.data.questions import Paragraph, Question
from whyrec.data.some import some
from whyrec.errors import UsageError

Mode: TypeAlias = Literal["standard", "cot", "act", "react", "react_cot", "react_best"]
SEARCHES = ("act", "react", "react_cot")
LONGEST = 1_500  # characters of a paragraph that a prompt shows, in whole sentences


@dataclass(frozen=True)
class Options:
    """Options of hotpotqa.react. What a mode does not use is not part of its runs' identity.

    Attributes:
        mode: `standard` and `cot` answer from all paragraphs, without and with reasoning; `act` and `react` search for
            the answer, without and with thoughts; `react_cot` falls back on a vote of reasoned answers where `react`
            does not finish; `react_best` answers after the best of several rationales.
        steps: how many steps a search may take.
        votes: reasoned answers that vote (ReAct's paper: 21).
        m: rationales to choose among.
        space: what chooses: "embedder" (plain cosine), "random" (a placebo), the folder of a saved thought space, or
            "qa:RUN" for a space learnt from the rationales of a run of hotpotqa.react over other questions.
        embedder: of the plain cosine, or the one the space's heads were trained over.
        catalogue: data whose captions (or paragraphs) that embedder was fitted on; "" for what the space's note says,
            and for these questions' own paragraphs where there is no space.
        space_digest: of the space's weights, or of the run it is learnt from; filled in by the program.
    """

    mode: Mode = "react"
    steps: int = 7
    votes: int = 7
    m: int = 8
    space: str = PLAIN
    embedder: str = "lsa"
    catalogue: str = ""
    space_digest: str = ""


@dataclass(frozen=True)
class Task:
    """One question and what is to be done about it."""

    question: Question
    index: int
    options: Options

    @property
    def key(self) -> str:
        """Key of the question's example."""
        return f"question/{self.question.id}"

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The paragraphs as a prompt shows them."""
        return tuple(Shown(p.title, shorten(p)) for p in self.question.paragraphs)

    @property
    def text(self) -> str:
        """Question and paragraphs in one text: what a rationale has to agree with."""
        return "\n".join([self.question.text, *(f"{p.title}. {p.text}" for p in self.question.paragraphs)])


def shorten(paragraph: Paragraph) -> str:
    """The first sentences of a paragraph, as many as fit; at least one."""
    text = ""
    for sentence in filter(None, paragraph.sentences):
        if text and len(text) + 1 + len(sentence) > LONGEST:
            break
        text = f"{text} {sentence}".strip()
    return text


class Questions:
    """One example per question.

    Raises:
        UsageError: the data holds no questions, an option is out of range, or there is no such thought space.
    """

    def __init__(self, source: Source, options: Options) -> None:
        self._questions = source.questions.questions
        self.options = used(options)
        self.indices: npt.NDArray[np.int64] = some(np.arange(len(self._questions), dtype=np.int64), source.users)

    def key(self, index: int) -> str:
        """Key of a question's example: "question/" and the data set's id."""
        return self.task(index).key

    def place(self, index: int) -> tuple[str, str]:
        """A question belongs to no user and no split."""
        return "", ""

    def task(self, index: int) -> Task:
        """The question with the options as used."""
        return Task(self._questions[index], index, self.options)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Characters of each question and its paragraphs."""
        return np.array([len(self.task(int(index)).text) for index in self.indices], dtype=np.int64)

    def calls(self) -> int:
        """Of all questions: a step takes a second call where the first names no action, and may be the last one."""
        o = self.options
        return len(self.indices) * (2 * o.steps + o.votes + (o.m + 1 if o.m else 0) + (o.mode in ("standard", "cot")))


def used(options: Options) -> Options:
    """The options with those that the mode does not use set to nothing.

    Raises:
        UsageError: a number is below 1.
    """
    chooses = options.mode == "react_best"
    needed = {"steps": options.mode in SEARCHES, "votes": options.mode == "react_cot", "m": chooses}
    for name, is_needed in needed.items():
        if getattr(options, name) < is_needed:
            raise UsageError(f"Option {name} of hotpotqa.react is at least 1, not {getattr(options, name)}.")
    options = replace(
        options,
        steps=options.steps if needed["steps"] else 0,
        votes=options.votes if needed["votes"] else 0,
        m=options.m if chooses else 0,
        space_digest="",
    )
    return options if chooses else replace(options, space="", embedder="", catalogue="")
