"""What a prompt tells the simulated model: from its blocks to a latent estimate, by the world's truth.

A history is read in two ways. Who *thinks* (writes a text about the user) finds the taste of the moment; who is only
asked to *choose* sees the surface, the mean of the items shown, and so is behind a user who has drifted. A reason in
the prompt is read word by word by both. So a true reason helps a choice, and a false one harms it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from whyrec.data.split import SplitView
from whyrec.llm.built_in.blocks import Block, Line, tokens
from whyrec.llm.built_in.extract_write import Reading
from whyrec.llm.built_in.simulated.manner import OWN_WORDS, Manner
from whyrec.records import Split

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

Vector = npt.NDArray[np.float64]
_TITLE_WORDS: Final = 12  # prompts may cut long titles
_SPLITS: Final[Mapping[str, Split]] = {"train": "train", "valid": "valid", "test": "test"}
_OLDER: Final = 0.6  # weight of a text against the one that follows it


_ASIDE: Final = ("opinion", "thoughts", "steps", "paths", "performance", "profile", "scale")  # tell of no taste
_SURE: Final = (("might be", 0.6), ("may be", 0.75), ("", 0.9))  # how an opinion is worded -> its probability
_YES_NO: Final = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


def _opinion(text: str) -> float | None:
    """P(yes) of a worded opinion, None if it says neither yes nor no."""
    said = _YES_NO.findall(text)
    if not said:
        return None
    sure = next(p for words, p in _SURE if words in text.lower())
    return sure if said[-1].lower() == "yes" else 1 - sure


def _verdict(text: str) -> float | None:
    """What a train of thought ended in: 1 for yes, 0 for no, None if it does not say."""
    said = _YES_NO.findall(text)
    return None if not said else float(said[-1].lower() == "yes")


def _title_key(title: str) -> tuple[str, ...]:
    return tokens(title)[:_TITLE_WORDS]


@dataclass(frozen=True)
class Latent:
    """What a prompt gives away.

    Attributes:
        reading: its blocks, sorted.
        taste: [T] the user's taste as far as thinking about the blocks shows it, sums to 1; None if they show nothing
            of a user.
        surface: the same as far as a glance shows it.
        life: the same over the whole of the history shown, first and last taste alike; where reasons are partial.
        opinion: somebody else's P(yes) from the opinion block, None without one.
        verdict: what earlier thoughts came to, 1 for yes and 0 for no; None without any.
        steps: the steps given, in order.
        lines: topics [T] of the marked lines and of the subject, by line.
        difficulty: latent difficulty of the example in [0, 1).
    """

    reading: Reading
    taste: Vector | None
    surface: Vector | None
    lines: Mapping[int, Vector]
    difficulty: float
    opinion: float | None = None
    verdict: float | None = None
    steps: tuple[str, ...] = ()
    life: Vector | None = None

    def topics(self, line: Line | None) -> Vector | None:
        """Topics of a line, None where nothing is known of it."""
        return None if line is None else self.lines.get(id(line))


class Facts:
    """The truth, by title and by user; `own_words` are the words [topic] in which this manner speaks of interests."""

    def __init__(self, world: World, manner: Manner = Manner()) -> None:
        self.corpus, self.truth, self.manner = world.corpus, world.truth, manner
        self.n_topics = len(world.truth.topic_words)
        self.own_words = OWN_WORDS if manner.partial else world.truth.topic_words

    @cached_property
    def topic_of(self) -> dict[str, int]:
        """Topic of each word."""
        known = (self.truth.topic_words, self.own_words)
        return {word: t for of_topics in known for t, words in enumerate(of_topics) for word in words}

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

    def read(self, blocks: Sequence[Block], user: str, split: str, prefix: str = "") -> Latent:
        """What the blocks give away about the user (an id of the corpus, or "") and about items.

        `prefix` is what the assistant's turn holds already: thoughts to be read out.
        """
        reading = Reading(tuple(blocks), frozenset(("item",)))
        lines: dict[int, Vector] = {}
        shown_item = 0
        for block in blocks:
            for line in block.lines:
                if line.mark or line is reading.subject:
                    item = self.item(line)
                    shown_item = item or shown_item
                    topics = self._topics(line, item)
                    if topics is not None:
                        lines[id(line)] = topics
        person = self.corpus.user_index.get(user) if user else None
        known = [
            b for b in reading.known if b.lines[0] is not reading.subject and not b.is_options and b.name not in _ASIDE
        ]
        when = _SPLITS.get(split, "train")
        taste = self._taste(known, person, when)
        named = {b.name: "\n".join(_line_text(line) for line in b.lines) for b in blocks if b.name in _ASIDE}
        if taste is None and person is None and shown_item:
            difficulty = self.truth.item_difficulty(shown_item)
        else:
            difficulty = 0.5 if person is None else self.truth.difficulty(person, split)
        return Latent(
            reading,
            taste,
            self._taste(known, None, "train"),
            lines,
            difficulty,
            opinion=_opinion(named["opinion"]) if "opinion" in named else None,
            verdict=_verdict(f"{named.get('thoughts', '')}\n{prefix}"),
            steps=tuple(_line_text(line) for b in blocks if b.name == "steps" for line in b.lines),
            life=self._taste(known, person, when, ever=True) if self.manner.partial else None,
        )

    def _topics(self, line: Line, item: int) -> Vector | None:
        """Topics of a line: of the item it shows, and in equal parts of the impression of it that is noted there."""
        if not item:
            return self.words(_line_text(line))
        own: Vector = self.truth.item_topics[item].astype(np.float64)
        seen = self.words(line.text.get("impression"))
        return own if seen is None else (own + seen) / 2

    def words(self, text: str) -> Vector | None:
        """Topics of a text's words [T], None if it has no topic word."""
        counts = np.zeros(self.n_topics)
        for word in tokens(text):
            topic = self.topic_of.get(word)
            if topic is not None:
                counts[topic] += 1.0
        return counts / counts.sum() if counts.any() else None

    def _taste(self, blocks: Sequence[Block], person: int | None, split: Split, *, ever: bool = False) -> Vector | None:
        """The user's taste from the blocks about the user, later ones counting for more."""
        total, weight = np.zeros(self.n_topics), 1.0
        for block in reversed(blocks):
            found = self._shown_taste(block, person, split, ever=ever) if block.is_listed else None
            if found is None:
                found = self.words("\n".join(_line_text(line) for line in block.lines))
            if found is not None:
                total += weight * found
                weight *= _OLDER
        return total / total.sum() if total.any() else None

    def _shown_taste(self, block: Block, person: int | None, split: Split, *, ever: bool) -> Vector | None:
        """Taste at the last event shown if the lines are this user's; else the mean topics of the items shown.

        `ever`: of the user's, the mean of the first taste and the one at the last event shown.
        """
        if person is not None and (n_events := self._shown_events(block, person, split)):
            now = self.truth.taste(person, n_events).astype(np.float64)
            return (self.truth.taste(person, 0) + now) / 2 if ever else now
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


def _line_text(line: Line) -> str:
    return " ".join([line.text.head, *(text for _, text in line.text.fields)])
