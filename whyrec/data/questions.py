"""Questions with the paragraphs to answer them from, and, apart from them, what is right.

A question is what a prompt may see: its text and its paragraphs. Its answer and the sentences that prove it are held
by the same `Questions` but handed out by `Gold` alone, which only evaluation opens: as a target is by `SplitView`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from whyrec.data.corpus import Corpus
from whyrec.errors import UsageError
from whyrec.records import Domain


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A titled text, sentence by sentence. Empty sentences stay, so that their numbers are those of the data set."""

    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All sentences in a row."""
        return " ".join(s for s in self.sentences if s)


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it may be shown.

    Attributes:
        id: the data set's own, unique in it.
        text: the question.
        paragraphs: what may be read to answer it, in the data set's order.
        type: "bridge" or "comparison"; "" where unknown. For tables, never for prompts.
        level: "easy", "medium" or "hard"; "" where unknown.
    """

    id: str
    text: str
    paragraphs: tuple[Paragraph, ...]
    type: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Solution:
    """What is right: the answer, and (title, sentence number from 0) of every sentence that proves it."""

    answer: str
    facts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Questions:
    """A set of questions.

    Attributes:
        name: name or path it was loaded by.
        questions: in the data set's order; what prompts are made from.
        source: as `Corpus.source`.
        notes: what reading mended, for `whyrec data stats`.
        domain: as `Corpus.domain`; prompts over questions do not speak of one.
    """

    name: str
    questions: tuple[Question, ...]
    _solutions: tuple[Solution, ...] = field(repr=False)
    source: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    domain: Domain = field(default_factory=Domain)

    def __post_init__(self) -> None:
        """One solution per question, and ids that name one question each."""
        assert len(self.questions) == len(self._solutions)
        assert len({q.id for q in self.questions}) == len(self.questions), "two questions of one id"

    def __len__(self) -> int:
        return len(self.questions)

    @cached_property
    def digest(self) -> str:
        """Hex digest of everything, solutions included; equal questions have equal digests."""
        h = hashlib.sha256()
        for q, s in zip(self.questions, self._solutions, strict=True):
            shown = [q.id, q.text, [[p.title, *p.sentences] for p in q.paragraphs], q.type, q.level]
            h.update(json.dumps([shown, s.answer, s.facts], ensure_ascii=True).encode())
        return h.hexdigest()[:16]


class Gold:
    """The answers of some questions. Only evaluation, and training on training questions, opens it: never a prompt."""

    def __init__(self, questions: Questions) -> None:
        self._solutions = questions._solutions

    def answer(self, index: int) -> str:
        """The right answer of the question at this place."""
        return self._solutions[index].answer

    def facts(self, index: int) -> tuple[tuple[str, int], ...]:
        """(title, sentence number) of each sentence that proves it."""
        return self._solutions[index].facts


def describe(data: Questions) -> dict[str, Any]:
    """Numbers about questions, for `whyrec data stats`; JSON-ready, shares in 0..1."""
    n, gold = max(len(data), 1), Gold(data)
    paragraphs = [len(q.paragraphs) for q in data.questions]
    characters = [sum(len(p.text) for p in q.paragraphs) for q in data.questions]
    answers = [gold.answer(i).lower() for i in range(len(data))]
    there = [
        {title for title, _ in gold.facts(i)} <= {p.title for p in q.paragraphs} for i, q in enumerate(data.questions)
    ]
    return {
        "name": data.name,
        "digest": data.digest,
        "questions": len(data),
        "type": dict(sorted(Counter(q.type or "unknown" for q in data.questions).items())),
        "level": dict(sorted(Counter(q.level or "unknown" for q in data.questions).items())),
        "paragraphs": {
            "mean per question": sum(paragraphs) / n,
            "fewest": min(paragraphs, default=0),
            "most": max(paragraphs, default=0),
            "characters per question": sum(characters) / n,
        },
        "answers": {
            "share yes or no": sum(a in ("yes", "no") for a in answers) / n,
            "share with every proving paragraph there": sum(there) / n,
        },
        **({"notes": dict(data.notes)} if data.notes else {}),
    }


def need_corpus(data: Corpus | Questions) -> Corpus:
    """The data as interactions.

    Raises:
        UsageError: it holds questions.
    """
    if isinstance(data, Corpus):
        return data
    raise UsageError(
        f"{data.name} holds questions, but users with histories are needed here: name a data set of interactions, "
        "such as world (`whyrec data ls` lists them). Questions are for hotpotqa.react and hotpotqa.table_7."
    )


def need_questions(data: Corpus | Questions) -> Questions:
    """The data as questions.

    Raises:
        UsageError: it holds interactions.
    """
    if isinstance(data, Questions):
        return data
    raise UsageError(
        f"{data.name} holds users with histories, but questions with paragraphs are needed here: name a data set of "
        "questions, such as facts (generated) or hotpotqa."
    )
