"""How the simulated model answers from what it has read (whyrec/llm/built_in/simulated/reading.py).

A text speaks in topic words drawn from what was read; a choice goes to what matches it best. Both come from the same
reading. Nothing here depends on what a step is called or on how an instruction is put: which fields there are, how
long they may be, and whether a list holds ids or steps, follows from the answer's schema.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from whyrec.llm.built_in.blocks import Line
from whyrec.llm.built_in.extract_write import clip
from whyrec.llm.built_in.schema_fill import Content, Node
from whyrec.llm.built_in.schema_words import ENTRY, MOST_WORDS, is_id, is_no, is_yes, number_word
from whyrec.llm.built_in.simulated.reading import Facts, Prompt, Read, Vector
from whyrec.llm.built_in.simulated.steps import own_path, shared

_SWAYED: Final = 0.6  # how far an opinion moves somebody who is in two minds
_LIKED: Final = 0.45  # a match above this is worth a yes
_SENTENCE: Final = 200  # characters from which an entry of a list is a sentence
_PARTIAL: Final = 0.85  # how much of a partial reason is about the one interest
_SPECIFIC: Final = 3  # words that describe a thing to recommend
_STEPS: Final = ("steps", "cot_path")  # names of fields that hold the steps of a path
_TEMPLATES: Final = (
    "Cares for {0} and {1}.",
    "Looks for {0}, {1} and {2}.",
    "Drawn to {0} with {1}.",
    "{0} and {1} matter most.",
    "Often about {0}, {1} or {2}.",
)


@dataclass
class Scribe(Content):
    """Writes one answer.

    Attributes:
        facts: what titles and words tell.
        prompt: what is shown.
        rng: this answer's draws.
        quality: q, of its reading.
    """

    facts: Facts
    prompt: Prompt
    rng: random.Random
    quality: float
    _listed: dict[str, tuple[Line, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the prompt, and choose the interest to speak of where reasons are partial."""
        self.read = Read(self.facts, self.prompt, self.quality, self.rng)
        self._view = self.read.taste
        if self.facts.manner.partial and self.read.taste is not None:
            interest = np.zeros(self.facts.n_topics)
            interest[self._topic(self.read.taste)] = _PARTIAL
            self._view = interest + (1 - _PARTIAL) * self.read.taste

    def text(self, path: str, node: Node) -> str:
        """Sentences of topic words, within the field's words and characters."""
        most = min(int(node.get("maxLength", 400)), 400)
        said = MOST_WORDS.search(node.get("description", ""))
        words = min(number_word(said[1], most) if said else most, 40)
        topics = self._subject(path)
        if words <= 12 or most <= 100:
            return clip(", ".join(self._draw(topics, min(4, max(1, words // 2)))), most)
        sentences: list[str] = []
        left = words
        while left >= 8 and sum(map(len, sentences)) < most - 60:
            template = _TEMPLATES[self.rng.randrange(len(_TEMPLATES))]
            sentences.append(template.format(*self._draw(topics, 3)).capitalize())
            left -= len(sentences[-1].split())
        return clip(" ".join(sentences) or ", ".join(self._draw(topics, 3)), most)

    @cached_property
    def chain(self) -> tuple[str, ...]:
        """The steps of this answer: the ones given, or a path of its own; () where it follows none."""
        return self.prompt.steps

    def texts(self, path: str, node: Node) -> Sequence[str]:
        """Steps where steps are asked for; sentences for long entries along a chain; else distinct topic words."""
        low, high = node.get("minItems", 0), node.get("maxItems", 8)
        if path.rpartition(".")[2] in _STEPS:
            return self._steps(high)
        most = node.get("items", {}).get("maxLength", 60)
        if self.chain and most >= _SENTENCE:
            if low > len(self.chain):
                return [self._specific(path) for _ in range(low)]
            return [f"{step}: {', '.join(self._draw(self._subject(path), 3))}" for step in self.chain[:high]]
        return [clip(w, most) for w in self._draw(self._subject(path), max(low, min(high, 8)))]

    def _steps(self, most: int) -> Sequence[str]:
        """What the paths it has read share, or else a path of its own, which the rest of the answer follows."""
        if self.read.paths:
            return shared(self.read.paths)[:most]
        self.chain = own_path(self.rng)[:most]
        return self.chain

    def _specific(self, path: str) -> str:
        """One thing to recommend, by titles' words of one topic."""
        topics = np.zeros(self.facts.n_topics)
        topics[self._topic(self._subject(path))] = 1.0
        return ", ".join(self._draw(topics, _SPECIFIC, self.facts.topic_words))

    def count(self, path: str, node: Node) -> int:
        """An entry per line for lists of objects with an id, one for others; none in deep recursion."""
        if path.count(".") > 6:
            return 0
        entry = node.get("items", {})
        if entry.get("type") == "integer" or any(is_id(name) for name in entry.get("properties", ())):
            lines = self.read.reading.listed(path, frozenset())
            if entry.get("type") == "integer":
                lines = tuple(sorted(lines, key=lambda line: -self._match(line)))
            self._listed[path] = lines
            return len(lines) or 1
        return 1

    def choose(self, path: str, options: Sequence[Any]) -> Any:
        """The option that matches best."""
        scores = self.judge([str(o) for o in options], self._line(path))
        return options[max(range(len(options)), key=lambda i: (scores[i], -i))]

    def number(self, path: str, low: float, high: float) -> float:
        """An id is copied from its line; anything else is the match of the line or subject, from low to high."""
        found = ENTRY.match(path)
        name = path.rpartition(".")[2]
        if found and (lines := self._listed.get(found[1])) and (is_id(name) or name.isdecimal()):
            mark = lines[int(found[2])].mark if int(found[2]) < len(lines) else ""
            return int(mark) if mark.isdecimal() else low
        return low + (high - low) * self._match(self._line(path) or self.read.reading.subject)

    def judge(self, options: Sequence[str], focus: Line | None = None) -> list[float]:
        """How well each option answers, in [0, 1]."""
        by_mark = {line.mark: line for line in self.read.reading.options}
        if all(o.strip() in by_mark for o in options):
            return [self._match(by_mark[o.strip()]) for o in options]
        if any(map(is_yes, options)) and any(map(is_no, options)):
            liked = self._liked(focus or self._asked)
            return [1 - liked if is_no(o) else liked if is_yes(o) else 0.25 for o in options]
        return [self.truth_of(o) for o in options]

    @property
    def verdict(self) -> str:
        """ "Yes" or "No" to the one thing asked about, "" where nothing or more than one thing is."""
        one = self.read.reading.subject is not None or len(self.read.reading.options) == 1
        return ("Yes" if self._liked(self._asked) > _LIKED else "No") if one else ""

    @property
    def _asked(self) -> Line | None:
        """The one line that a yes or no is about."""
        return self.read.reading.subject or next(iter(self.read.reading.options), None)

    def _liked(self, line: Line | None) -> float:
        """How sure a yes is: by the match, moved to what thoughts came to, and a little to somebody's opinion."""
        own = self._match(line)
        if self.read.verdict is not None:
            own = 0.3 * own + 0.7 * (0.1 + 0.8 * self.read.verdict)
        if self.read.opinion is not None:
            own += _SWAYED * (1 - abs(2 * own - 1)) * (self.read.opinion - own)
        return own

    def truth_of(self, text: str) -> float:
        """How well a text's topic words, as it reads them, agree with what it has read of the user, in [0, 1]."""
        said = self.read.words(text)
        return 0.0 if said is None or self.read.taste is None else _cosine(said, self.read.taste)

    def _match(self, line: Line | None) -> float:
        """How well a line suits the user, as far as either was read; by lot where one of them was not."""
        topics, taste = self.read.topics(line), self.read.taste
        return self.rng.random() if topics is None or taste is None else _cosine(topics, taste)

    def _line(self, path: str) -> Line | None:
        """The line that this place of the answer is about."""
        found = ENTRY.match(path)
        lines = self._listed.get(found[1], ()) if found else ()
        return lines[min(int(found[2]), len(lines) - 1)] if found and lines else None

    def _subject(self, path: str) -> Vector:
        """Topics that a field is to speak of: of its line or the subject as the user sees it, or of the user."""
        topics = self.read.topics(self._line(path) or self.read.reading.subject)
        if topics is None or self._view is None:
            known = self._view if topics is None else topics
            return self._anything if known is None else known
        seen: Vector = topics * (self._view + 0.1)
        return np.asarray(seen / seen.sum())

    @cached_property
    def _anything(self) -> Vector:
        """What to speak of where nothing was read: a topic by lot."""
        topics = np.zeros(self.facts.n_topics)
        topics[self.rng.randrange(self.facts.n_topics)] = 1.0
        return topics

    def _draw(self, topics: Vector, n: int, vocabulary: Sequence[Sequence[str]] = ()) -> list[str]:
        """Up to n distinct words of these topics; its own words if no others are given."""
        found: dict[str, None] = {}
        for _ in range(8 * n):
            words = (vocabulary or self.facts.own_words)[self._topic(topics)]
            found[words[self.rng.randrange(len(words))]] = None
            if len(found) == n:
                break
        return list(found)

    def _topic(self, topics: Vector) -> int:
        """One of these topics, drawn by weight."""
        ladder = np.cumsum(topics / topics.sum())
        return min(int(np.searchsorted(ladder, self.rng.random(), side="right")), self.facts.n_topics - 1)


def _cosine(a: Vector, b: Vector) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
