"""What the simulated model knows and how it writes: from a prompt's blocks to a latent estimate, from that to words.

`Facts` looks things up in the world's truth, `Latent` is what one prompt gives away, `Scribe` writes one answer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from whyrec.data.split import SplitView
from whyrec.llm.blocks import Block, Line, tokens
from whyrec.llm.extract_write import ENTRY, MOST_WORDS, Reading, clip, is_id, is_no, is_yes, number_word
from whyrec.llm.schema_fill import Content, Node
from whyrec.records import Split

if TYPE_CHECKING:
    from whyrec.data.world import World

Vector = npt.NDArray[np.float64]
_TITLE_WORDS: Final = 12  # prompts may cut long titles
_SPLITS: Final[Mapping[str, Split]] = {"train": "train", "valid": "valid", "test": "test"}
_OLDER: Final = 0.6  # weight of a text against the one that follows it
_TEMPLATES: Final = (
    "Cares for {0} and {1}.",
    "Looks for {0}, {1} and {2}.",
    "Drawn to {0} with {1}.",
    "{0} and {1} matter most.",
    "Often about {0}, {1} or {2}.",
)


def _title_key(title: str) -> tuple[str, ...]:
    return tokens(title)[:_TITLE_WORDS]


@dataclass(frozen=True)
class Latent:
    """What a prompt gives away.

    Attributes:
        reading: its blocks, sorted.
        taste: [T] the user's taste as far as the blocks show it, sums to 1; None if they show nothing of a user.
        lines: topics [T] of the marked lines and of the subject, by line.
        difficulty: latent difficulty of the example in [0, 1).
    """

    reading: Reading
    taste: Vector | None
    lines: Mapping[int, Vector]
    difficulty: float

    def topics(self, line: Line | None) -> Vector | None:
        """Topics of a line, None where nothing is known of it."""
        return None if line is None else self.lines.get(id(line))


class Facts:
    """The truth, by title and by user."""

    def __init__(self, world: World) -> None:
        self.corpus, self.truth = world.corpus, world.truth
        self.n_topics = len(world.truth.topic_words)

    @cached_property
    def topic_of(self) -> dict[str, int]:
        """Topic of each word."""
        return {word: t for t, words in enumerate(self.truth.topic_words) for word in words}

    @cached_property
    def _items_by_title(self) -> dict[tuple[str, ...], list[int]]:
        found: dict[tuple[str, ...], list[int]] = {}
        for row, title in enumerate(self.corpus.catalogue["title"].to_list()):
            found.setdefault(_title_key(title or "untitled"), []).append(row + 1)
        return found

    def item(self, line: Line) -> int:
        """The item a line shows, by title, and by mark where titles are equal; 0 if it shows none."""
        named = self._items_by_title.get(_title_key(line.text.head), [])
        if line.is_option and line.mark.isdecimal() and int(line.mark) in named:
            return int(line.mark)
        return named[0] if named and named != self._items_by_title.get(("untitled",)) else 0

    def read(self, blocks: Sequence[Block], user: str, split: str) -> Latent:
        """What the blocks give away about the user (an id of the corpus, or "") and about items."""
        reading = Reading(tuple(blocks), frozenset(("item",)))
        lines: dict[int, Vector] = {}
        shown_item = 0
        for block in blocks:
            for line in block.lines:
                if line.mark or line is reading.subject:
                    item = self.item(line)
                    shown_item = item or shown_item
                    topics = self.truth.item_topics[item].astype(np.float64) if item else self.words(_line_text(line))
                    if topics is not None:
                        lines[id(line)] = topics
        person = self.corpus.user_index.get(user) if user else None
        known = [b for b in reading.known if b.lines[0] is not reading.subject and not b.is_options]
        taste = self._taste(known, person, _SPLITS.get(split, "train"))
        if taste is None and person is None and shown_item:
            difficulty = self.truth.item_difficulty(shown_item)
        else:
            difficulty = 0.5 if person is None else self.truth.difficulty(person, split)
        return Latent(reading, taste, lines, difficulty)

    def words(self, text: str) -> Vector | None:
        """Topics of a text's words [T], None if it has no topic word."""
        counts = np.zeros(self.n_topics)
        for word in tokens(text):
            topic = self.topic_of.get(word)
            if topic is not None:
                counts[topic] += 1.0
        return counts / counts.sum() if counts.any() else None

    def _taste(self, blocks: Sequence[Block], person: int | None, split: Split) -> Vector | None:
        """The user's taste from the blocks about the user, later ones counting for more."""
        total, weight = np.zeros(self.n_topics), 1.0
        for block in reversed(blocks):
            found = self._shown_taste(block, person, split) if block.is_listed else None
            if found is None:
                found = self.words("\n".join(_line_text(line) for line in block.lines))
            if found is not None:
                total += weight * found
                weight *= _OLDER
        return total / total.sum() if total.any() else None

    def _shown_taste(self, block: Block, person: int | None, split: Split) -> Vector | None:
        """Taste at the last event shown if the lines are this user's; else the mean topics of the items shown."""
        if person is not None and (n_events := self._shown_events(block, person, split)):
            return self.truth.taste(person, n_events).astype(np.float64)
        items = [item for line in block.lines if (item := self.item(line))]
        return self.truth.item_topics[items].astype(np.float64).mean(axis=0) if items else None

    def _shown_events(self, block: Block, person: int, split: Split) -> int:
        """How many of the user's events have happened by the block's last line; 0 if most lines are not the user's.

        Looks at the split's history alone: a target is not even compared.
        """
        history = [
            _title_key(self.corpus.item(int(i)).title or "untitled")
            for i in SplitView(self.corpus, split).history(person)
        ]
        shown = [_title_key(line.text.head) for line in block.lines]
        own = set(history)
        if 2 * sum(title in own for title in shown) <= len(shown):
            return 0
        best, found = 0, 0
        for end in range(1, len(history) + 1):
            pairs = zip(reversed(shown), reversed(history[:end]), strict=False)
            run = 0
            for ours, theirs in pairs:
                if ours != theirs:
                    break
                run += 1
            if run and run >= best:
                best, found = run, end
        return found


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

    def texts(self, path: str, node: Node) -> Sequence[str]:
        """Distinct topic words."""
        low, high = node.get("minItems", 0), node.get("maxItems", 8)
        most = node.get("items", {}).get("maxLength", 60)
        return [clip(w, most) for w in self._draw(self._subject(path), max(low, min(high, 8)))]

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
            return [self._match(by_mark[o.strip()]) for o in options]
        if any(map(is_yes, options)) and any(map(is_no, options)):
            about = focus or self.latent.reading.subject or next(iter(by_mark.values()), None)
            liked = self._match(about)
            return [1 - liked if is_no(o) else liked if is_yes(o) else 0.25 for o in options]
        return [self.truth_of(o) for o in options]

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

    def _match(self, line: Line | None, path: str = "") -> float:
        """How well a line suits the user: the truth for a true answer, anything for another."""
        topics = self.latent.topics(line)
        if not self.is_true(path) or topics is None or self.latent.taste is None:
            return self.rng.random()
        noise = self._slip * (self.rng.random() - 0.5)
        return min(1.0, max(0.0, _cosine(topics, self.latent.taste) + noise))

    def _line(self, path: str) -> Line | None:
        """The line that this place of the answer is about."""
        found = ENTRY.match(path)
        lines = self._listed.get(found[1], ()) if found else ()
        return lines[min(int(found[2]), len(lines) - 1)] if found and lines else None

    def _subject(self, path: str) -> Vector:
        """Topics that a field is to speak of: of its line or the subject as the user sees it, or of the user."""
        topics = self.latent.topics(self._line(path) or self.latent.reading.subject)
        taste = self.latent.taste
        if topics is None or taste is None:
            return self._held(path, taste if topics is None else topics)
        seen = topics * (taste + 0.1)
        return self._held(path, seen / seen.sum())

    def _held(self, path: str, truth: Vector | None) -> Vector:
        return truth if truth is not None and self.is_true(path) else self._wrong

    def _draw(self, topics: Vector, n: int) -> list[str]:
        """Up to n distinct words of these topics, a few of them slips."""
        found: dict[str, None] = {}
        ladder = np.cumsum(topics / topics.sum())
        for _ in range(8 * n):
            topic = min(int(np.searchsorted(ladder, self.rng.random(), side="right")), self.facts.n_topics - 1)
            if self.rng.random() < self._slip:
                topic = self.rng.randrange(self.facts.n_topics)
            words = self.facts.truth.topic_words[topic]
            found[words[self.rng.randrange(len(words))]] = None
            if len(found) == n:
                break
        return list(found)


def _line_text(line: Line) -> str:
    return " ".join([line.text.head, *(text for _, text in line.text.fields)])


def _cosine(a: Vector, b: Vector) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
