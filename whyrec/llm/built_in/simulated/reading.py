"""What a prompt tells the simulated model: its blocks, read line by line and word by word, with noise.

One rule for every answer, written or chosen: it is made from the text of its prompt alone. A line with a title of the
catalogue tells that item's latent topics, which are looked up by the title; any other text tells the topics of its
words. Who the user is, and what the user's latent taste is, is not known here: a history tells the mean of its lines,
later ones counting for more and badly rated ones for less, a later block more than an earlier one.

Quality is noise in this reading, and nothing else: a line is read rightly with probability q ** (0.25 + difficulty),
else as one topic drawn by lot. The difficulty of a title is the item's own; that of a word, an opinion or a thought is
middling. Every answer reads anew. What stands outside the blocks is not read.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from whyrec.llm.built_in.blocks import Block, Line, tokens
from whyrec.llm.built_in.extract_rank import line_weight
from whyrec.llm.built_in.extract_write import Reading
from whyrec.llm.built_in.simulated.manner import OWN_WORDS, Manner

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

Vector = npt.NDArray[np.float64]
_TITLE_WORDS: Final = 12  # prompts may cut long titles
_OLDER: Final = 0.6  # weight of a block against the one that follows it
_EASIEST, _MIDDLING = 0.25, 0.5  # exponents of the quality: of the easiest line, and what a middling one adds
_ASIDE: Final = ("opinion", "thoughts", "steps", "paths", "performance", "profile", "scale")  # tell of no taste
_SURE: Final = (("might be", 0.6), ("may be", 0.75), ("", 0.9))  # how an opinion is worded -> its probability
_YES_NO: Final = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Prompt:
    """What a prompt shows, before anybody reads it.

    Attributes:
        reading: its blocks, sorted.
        telling: the blocks that tell of a user, in order.
        opinion: the text of somebody's opinion, None without one.
        thoughts: earlier thoughts, those in the assistant's own turn last.
        steps: the steps given, in order.
        paths: ways to reason that are shown.
    """

    reading: Reading
    telling: tuple[Block, ...]
    opinion: str | None
    thoughts: str
    steps: tuple[str, ...]
    paths: tuple[str, ...]


def sort(blocks: Sequence[Block], prefix: str = "") -> Prompt:
    """A prompt's blocks in their parts; `prefix` is what the assistant's turn holds already."""
    reading = Reading(tuple(blocks), frozenset(("item",)))
    subject = reading.subject
    aside: dict[str, list[str]] = {}
    for block in blocks:
        if block.name in _ASIDE:
            aside.setdefault(block.name, []).extend(map(_line_text, block.lines))
    return Prompt(
        reading,
        tuple(
            b
            for b in reading.known
            if b.lines and b.lines[0] is not subject and not b.is_options and b.name not in _ASIDE
        ),
        opinion="\n".join(aside["opinion"]) if "opinion" in aside else None,
        thoughts="\n".join([*aside.get("thoughts", ()), prefix]),
        steps=tuple(aside.get("steps", ())),
        paths=tuple(aside.get("paths", ())),
    )


class Facts:
    """Which topics a title and a word tell; `own_words` are the words [topic] in which this manner speaks."""

    def __init__(self, world: World, manner: Manner = Manner()) -> None:
        self._titles = world.corpus.catalogue["title"].to_list()
        self._truth, self.manner = world.truth, manner
        self.topic_words = world.truth.topic_words
        self.n_topics = len(self.topic_words)
        self.own_words = OWN_WORDS if manner.partial else self.topic_words

    @cached_property
    def topic_of(self) -> dict[str, int]:
        """Topic of each word."""
        known = (self.topic_words, self.own_words)
        return {word: t for of_topics in known for t, words in enumerate(of_topics) for word in words}

    @cached_property
    def _items_by_title(self) -> dict[tuple[str, ...], list[int]]:
        found: dict[tuple[str, ...], list[int]] = {}
        for row, title in enumerate(self._titles):
            found.setdefault(_title_key(title or "untitled"), []).append(row + 1)
        return found

    def item(self, line: Line) -> int:
        """The item a line shows, by title, and by mark where titles are equal; 0 if it shows none."""
        named = self._items_by_title.get(_title_key(line.text.head), [])
        if line.is_option and line.mark.isdecimal() and int(line.mark) in named:
            return int(line.mark)
        return named[0] if named and named != self._items_by_title.get(("untitled",)) else 0

    def topics(self, item: int) -> Vector:
        """Latent topics [T] of an item, sum 1."""
        own: Vector = self._truth.item_topics[item].astype(np.float64)
        return own

    def difficulty(self, item: int) -> float:
        """Of telling what an item is, in [0, 1)."""
        return self._truth.item_difficulty(item)


class Read:
    """What one answer has read of its prompt.

    Args:
        facts: what titles and words tell.
        prompt: what is shown.
        quality: q in [0, 1].
        rng: this answer's draws.

    Attributes:
        taste: [T] what the blocks tell of the user, sums to 1; None if they tell nothing.
        opinion: somebody's P(yes), None without one.
        verdict: what earlier thoughts came to, 1 for yes and 0 for no; None without any.
        paths: the ways to reason that were read.
    """

    def __init__(self, facts: Facts, prompt: Prompt, quality: float, rng: random.Random) -> None:
        self._facts, self._quality, self._rng = facts, quality, rng
        self._lines: dict[int, Vector | None] = {}
        self.reading = prompt.reading
        self.taste = self._taste(prompt.telling)
        self.opinion = self._opinion(prompt.opinion)
        self.verdict = self._verdict(prompt.thoughts)
        self.paths = tuple(path for path in prompt.paths if self._is_right())

    def topics(self, line: Line | None) -> Vector | None:
        """Topics of a line as this answer read it, None where nothing is known of it; read once."""
        if line is None:
            return None
        if id(line) not in self._lines:
            self._lines[id(line)] = self._read(line)
        return self._lines[id(line)]

    def words(self, text: str) -> Vector | None:
        """Topics of a text's words [T] as read now, None if it has no topic word."""
        counts = np.zeros(self._facts.n_topics)
        for word in tokens(text):
            topic = self._facts.topic_of.get(word)
            if topic is not None:
                counts[topic if self._is_right() else self._any_topic()] += 1.0
        return counts / counts.sum() if counts.any() else None

    def _read(self, line: Line) -> Vector | None:
        """Of the item it shows, and in equal parts of the impression of it that is noted there; else of its words."""
        item = self._facts.item(line)
        if not item:
            return self.words(_line_text(line))
        if self._is_right(self._facts.difficulty(item)):
            own = self._facts.topics(item)
        else:
            own = np.zeros(self._facts.n_topics)
            own[self._any_topic()] = 1.0
        seen = self.words(line.text.get("impression"))
        return own if seen is None else (own + seen) / 2

    def _taste(self, blocks: Sequence[Block]) -> Vector | None:
        """What the blocks tell of the user, later ones counting for more."""
        total, weight = np.zeros(self._facts.n_topics), 1.0
        for block in reversed(blocks):
            found = self._listed(block) if block.is_listed else None
            if found is None:
                found = self.words("\n".join(map(_line_text, block.lines)))
            if found is not None:
                total += weight * found
                weight *= _OLDER
        return total / total.sum() if total.any() else None

    def _listed(self, block: Block) -> Vector | None:
        """Mean topics of a block's lines, later ones counting for more and badly rated ones for less."""
        total = np.zeros(self._facts.n_topics)
        for place, line in enumerate(block.lines, 1):
            topics = self.topics(line)
            if topics is not None:
                total += line_weight(line, place / len(block.lines)) * topics
        return total / total.sum() if total.any() else None

    def _opinion(self, text: str | None) -> float | None:
        """P(yes) of a worded opinion, None if it says neither yes nor no."""
        said = _YES_NO.findall(text or "")
        if not said:
            return None
        sure = next(p for words, p in _SURE if words in str(text).lower())
        return sure if self._yes(said[-1]) else 1 - sure

    def _verdict(self, text: str) -> float | None:
        """What thoughts ended in, None if they do not say."""
        said = _YES_NO.findall(text)
        return float(self._yes(said[-1])) if said else None

    def _yes(self, said: str) -> bool:
        """Whether a yes or no reads as a yes."""
        return said.lower() == "yes" if self._is_right() else self._rng.random() < 0.5

    def _is_right(self, difficulty: float = _MIDDLING) -> bool:
        chance: float = self._quality ** (_EASIEST + difficulty)
        return self._rng.random() < chance

    def _any_topic(self) -> int:
        return self._rng.randrange(self._facts.n_topics)


def _title_key(title: str) -> tuple[str, ...]:
    return tokens(title)[:_TITLE_WORDS]


def _line_text(line: Line) -> str:
    return " ".join([line.text.head, *(text for _, text in line.text.fields)])
