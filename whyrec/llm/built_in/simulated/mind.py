"""How the simulated model writes one answer: true to what its reading gave away, or about something else.

Where an answer follows steps, its reading is as deep as its steps are (whyrec/llm/built_in/simulated/steps.py);
otherwise a text about the user is thought through, and a choice is made at a glance
(whyrec/llm/built_in/simulated/reading.py).
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
from whyrec.llm.built_in.extract_write import ENTRY, MOST_WORDS, clip, is_id, is_no, is_yes, number_word
from whyrec.llm.built_in.schema_fill import Content, Node
from whyrec.llm.built_in.simulated.reading import Facts, Latent, Vector
from whyrec.llm.built_in.simulated.steps import looks_at, own_path, template_of

_SWAYED: Final = 0.6  # how far an opinion moves somebody who is in two minds
_LIKED: Final = 0.45  # a match above this is worth a yes
_SENTENCE: Final = 200  # characters from which an entry of a list is a sentence
_PARTIAL: Final = 0.85  # how much of a partial reason is about the one interest
_STEP: Final = "done in this step"  # in the description of a list's entries: steps are asked for
_TEMPLATES: Final = (
    "Cares for {0} and {1}.",
    "Looks for {0}, {1} and {2}.",
    "Drawn to {0} with {1}.",
    "{0} and {1} matter most.",
    "Often about {0}, {1} or {2}.",
)


@dataclass
class Scribe(Content):
    """Writes one answer: true to the latent facts, or about something else; in a list by lines, each entry for itself.

    Attributes:
        facts, latent: what there is to know.
        rng: this answer's draws.
        quality: q.
    """

    facts: Facts
    latent: Latent
    rng: random.Random
    quality: float
    _listed: dict[str, tuple[Line, ...]] = field(default_factory=dict)
    _entries: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw whether this answer is true, and what it is about if it is not."""
        self._chance = self.quality ** (0.25 + self.latent.difficulty) if self.quality else 0.0
        self._is_true = self.rng.random() < self._chance
        self._slip = 0.0 if self.quality == 1 else 0.3 * (1 - self.quality)
        wrong = np.full(self.facts.n_topics, 0.04 / self.facts.n_topics)
        first, second = (self.rng.randrange(self.facts.n_topics) for _ in range(2))
        wrong[first] += 0.7
        wrong[second] += 0.26
        self._wrong: Vector = wrong
        self._view = self.latent.taste
        if self.facts.manner.partial and self.latent.life is not None:
            interest = np.zeros(self.facts.n_topics)
            interest[self._topic(self.latent.life)] = _PARTIAL
            self._view = interest + (1 - _PARTIAL) * self.latent.life

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
        return self.latent.steps

    def texts(self, path: str, node: Node) -> Sequence[str]:
        """Steps where steps are asked for; sentences for long entries along a chain; else distinct topic words."""
        low, high = node.get("minItems", 0), node.get("maxItems", 8)
        entry = node.get("items", {})
        if _STEP in entry.get("description", ""):
            return self._steps(high)
        if self.chain and entry.get("maxLength", 60) >= _SENTENCE:
            if low > len(self.chain):
                return [self._specific(path) for _ in range(low)]
            return [f"{step}: {', '.join(self._draw(self._read(path, step), 3))}" for step in self.chain[:high]]
        most = node.get("items", {}).get("maxLength", 60)
        return [clip(w, most) for w in self._draw(self._subject(path), max(low, min(high, 8)))]

    def _steps(self, most: int) -> Sequence[str]:
        """What shown paths have in common, or else a path of its own, which the rest of the answer follows."""
        shown = [line.text.head for b in self.latent.reading.blocks if b.name == "paths" for line in b.lines]
        if shown and self._is_true:
            return template_of(shown)[:most]
        self.chain = own_path(self.rng, plain=self.facts.manner.plain)[:most]
        return self.chain

    def _specific(self, path: str) -> str:
        """One thing to recommend, by titles' words of one topic: more of them if a step looked at features."""
        topics = np.zeros(self.facts.n_topics)
        topics[self._topic(self._read(path))] = 1.0
        n = 4 if looks_at(self.chain, "features") else 1
        return ", ".join(self._draw(topics, n, self.facts.truth.topic_words))

    def _read(self, path: str, step: str = "") -> Vector:
        """Topics that a part of a chain speaks of: the taste of the moment if it, or its chain, looks at change."""
        steps = (step,) if step else self.chain
        deep = not steps or looks_at(steps, "change")
        return self._held(path, self.latent.taste if deep else self.latent.surface)

    def count(self, path: str, node: Node) -> int:
        """An entry per line for lists of objects with an id, one for others; none in deep recursion."""
        if path.count(".") > 6:
            return 0
        entry = node.get("items", {})
        if entry.get("type") == "integer" or any(is_id(name) for name in entry.get("properties", ())):
            lines = self.latent.reading.listed(path, frozenset())
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
        return low + (high - low) * self._match(self._line(path) or self.latent.reading.subject, path)

    def judge(self, options: Sequence[str], focus: Line | None = None) -> list[float]:
        """How well each option answers, in [0, 1] and a little noise below quality 1."""
        by_mark = {line.mark: line for line in self.latent.reading.options}
        if all(o.strip() in by_mark for o in options):
            return [self._match(by_mark[o.strip()], taste=self.latent.surface) for o in options]
        if any(map(is_yes, options)) and any(map(is_no, options)):
            liked = self._liked(focus or self._asked, self.latent.surface)
            return [1 - liked if is_no(o) else liked if is_yes(o) else 0.25 for o in options]
        return [self.truth_of(o) for o in options]

    def verdict(self) -> str:
        """ "Yes" or "No" to the one thing asked about, after thinking."""
        return "Yes" if self._liked(self._asked, self._view) > _LIKED else "No"

    @property
    def _asked(self) -> Line | None:
        """The one line that a yes or no is about."""
        return self.latent.reading.subject or next(iter(self.latent.reading.options), None)

    def _liked(self, line: Line | None, taste: Vector | None) -> float:
        """How sure a yes is: by the match, moved to what thoughts came to, and a little to somebody's opinion."""
        own = self._match(line, taste=taste)
        if self.latent.verdict is not None:
            own = 0.3 * own + 0.7 * (0.1 + 0.8 * self.latent.verdict)
        if self.latent.opinion is not None:
            own += _SWAYED * (1 - abs(2 * own - 1)) * (self.latent.opinion - own)
        return own

    def truth_of(self, text: str) -> float:
        """How well a text's topic words agree with what this answer holds for true, in [0, 1]."""
        said = self.facts.words(text)
        return 0.0 if said is None else _cosine(said, self._held("", self.latent.taste))

    def is_true(self, path: str) -> bool:
        """Whether this place of the answer is true."""
        found = ENTRY.match(path)
        if found is None or not self._listed.get(found[1]):
            return self._is_true
        place = f"{found[1]}.{found[2]}"
        if place not in self._entries:
            self._entries[place] = self.rng.random() < self._chance
        return self._entries[place]

    def _match(self, line: Line | None, path: str = "", *, taste: Vector | None = None) -> float:
        """How well a line suits the user, by thinking or by the taste given: the truth, or anything if untrue."""
        topics = self.latent.topics(line)
        taste = self.latent.taste if taste is None else taste
        if not self.is_true(path) or topics is None or taste is None:
            return self.rng.random()
        noise = self._slip * (self.rng.random() - 0.5)
        return min(1.0, max(0.0, _cosine(topics, taste) + noise))

    def _line(self, path: str) -> Line | None:
        """The line that this place of the answer is about."""
        found = ENTRY.match(path)
        lines = self._listed.get(found[1], ()) if found else ()
        return lines[min(int(found[2]), len(lines) - 1)] if found and lines else None

    def _subject(self, path: str) -> Vector:
        """Topics that a field is to speak of: of its line or the subject as the user sees it, or of the user."""
        topics = self.latent.topics(self._line(path) or self.latent.reading.subject)
        taste = self._view
        if topics is None and self.chain:
            return self._read(path, "" if path == "summary" else path.replace("_", " "))
        if topics is None or taste is None:
            return self._held(path, taste if topics is None else topics)
        seen = topics * (taste + 0.1)
        return self._held(path, seen / seen.sum())

    def _held(self, path: str, truth: Vector | None) -> Vector:
        return truth if truth is not None and self.is_true(path) else self._wrong

    def _draw(self, topics: Vector, n: int, vocabulary: Sequence[Sequence[str]] = ()) -> list[str]:
        """Up to n distinct words of these topics, a few of them slips; its own words if no others are given."""
        found: dict[str, None] = {}
        for _ in range(8 * n):
            topic = self._topic(topics)
            if self.rng.random() < self._slip:
                topic = self.rng.randrange(self.facts.n_topics)
            words = (vocabulary or self.facts.own_words)[topic]
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
