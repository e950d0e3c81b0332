"""What a text talks about, by counting: phrases, stems and sentences with weights, from nothing but the prompt.

A phrase is an entry of a list (a category, a keyword) or a run of words between stop words; it weighs more in a list,
deeper in a category path, in a title, in a later line, and in a line its user rated well. Everything that depends on
a line alone is kept, so a call adds up what its lines' parts already know; only long texts, which are nobody's line a
second time, are taken apart anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from whyrec.llm.built_in.blocks import Block, Line, Text, sentences, tokens

Key: TypeAlias = tuple[str, ...]

_STOP_TEXT: Final = """
a about after again all also an and any are as at be because been before being both but by can could did do does
done each else etc even every few for from get give go got had has have he her here him his how i if in into is it
its just know like made make many may me might more most much my new no nor not now of off oh on once one only or
other our out over own per pack quite really same set she should so some such than that the their them then there
these they this those through to too under until untitled up upon us use used uses using very was we well were what
when where which while who why will with within without would you your oz ml fl ounce ounces fluid size count inch
people care choose goes good great nice love best buy item items product products user likes want wants rated
exactly happy
"""
STOP: Final = frozenset(_STOP_TEXT.split())
_PATHS: Final = ("categories", "category", "path", "genres")
_RATINGS: Final = ("rated", "rating", "stars")
_WORD: Final = re.compile(r"[^\W_]+(?:['’\-&][^\W_]+)*")
_THINK: Final = re.compile(r"</?think>")
_LIST_ENTRY, _TITLE, _PROSE = 1.5, 1.0, 0.45
_LONG: Final = 1_000  # characters of a text that is not kept


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A word without its plural s."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order."""
    return [stem(w) for w in tokens(text) if w not in STOP and not w.isdigit()]


@lru_cache(maxsize=65_536)
def entries(text: str) -> tuple[str, ...]:
    """The entries of a comma list, () if it reads like prose."""
    parts = [p.strip() for p in text.split(",")]
    if all(0 < len(p.split()) <= 5 for p in parts) and not re.search(r"[.!?]\s|[.!?]$", text):
        return tuple(parts)
    return ()


@lru_cache(maxsize=65_536)
def phrases(text: Text) -> tuple[tuple[Key, str, float], ...]:
    """(stems, as written, weight) of each phrase of a line; several of one key are added up by the reader."""
    found: list[tuple[Key, str, float]] = []
    if _reads_like_prose(text.head):
        for sentence in sentences(text.head):
            if not _add_entries(found, sentence.rstrip("."), is_path=False):
                _add_runs(found, sentence, _PROSE)
    else:
        _add_runs(found, text.head, _TITLE)
    for name, value in text.fields:
        if name not in _RATINGS and not _add_entries(found, value, is_path=name in _PATHS):
            _add_runs(found, value, _PROSE)
    return tuple(found)


def _add_entries(found: list[tuple[Key, str, float]], text: str, *, is_path: bool) -> bool:
    """Phrases of a list, the deepest of a path and the first of any other counting most; False if it is none."""
    listed = entries(text)
    for place, entry in enumerate(listed):
        if key := tuple(stems(entry)):
            depth = (place + 1) / len(listed) if is_path else 1 / (1 + 0.1 * place)
            found.append((key, entry, _LIST_ENTRY * depth))
    return bool(listed)


@lru_cache(maxsize=65_536)
def line_stems(text: Text) -> tuple[tuple[str, float], ...]:
    """Stem -> weight of a line: the longest evidence it gives for each, as pairs."""
    weights: dict[str, float] = {}
    for key, _, weight in _of(phrases, text):
        for one in key:
            weights[one] = max(weights.get(one, 0.0), weight)
    return tuple(weights.items())


@lru_cache(maxsize=65_536)
def quotable(text: Text) -> tuple[str, ...]:
    """What of a line can be quoted as a sentence: its title, and the sentences of its longer fields."""
    whole = list(sentences(text.head)) if _reads_like_prose(text.head) else [text.head] * bool(text.head)
    for name, value in text.fields:
        if name not in _RATINGS:
            whole += sentences(value)
    return tuple(s for s in whole if s == text.head or not entries(s.rstrip(".")))


def _reads_like_prose(text: str) -> bool:
    return text.endswith((".", "!", "?")) or ". " in text or text.count(" ") > 24


def _add_runs(found: list[tuple[Key, str, float]], text: str, weight: float) -> None:
    """Phrases between stop words: runs up to three words whole, every pair, every word."""
    for run in _runs(text):
        words = [text[a:b] for a, b in run]
        keys = [stem(w.lower()) for w in words]
        n = len(run)
        if 1 < n <= 3:
            found.append((tuple(keys), text[run[0][0] : run[-1][1]], weight))
        if n > 2:
            for i in range(n - 1):
                found.append(((keys[i], keys[i + 1]), text[run[i][0] : run[i + 1][1]], 0.6 * weight))
        for key, word in zip(keys, words, strict=True):
            found.append(((key,), word, (0.8 if n == 1 else 0.4) * weight))


def _runs(text: str) -> Iterable[list[tuple[int, int]]]:
    """Spans of consecutive meaningful words with single spaces between."""
    run: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if word in STOP or any(c.isdigit() for c in word) or len(word) < 3:
            if run:
                yield run
            run = []
            continue
        if run and text[run[-1][1] : match.start()] != " ":
            yield run
            run = []
        run.append(match.span())
    if run:
        yield run


def said_before(prefix: str) -> Block | None:
    """What the assistant's turn already holds, without its tags, as one more line of text; None if it says nothing."""
    text = " ".join(_THINK.sub(" ", prefix).split())
    return Block("", (Line("", False, Text(text)),)) if text else None


def _of(taken_apart: Callable[[Text], Any], text: Text) -> Any:
    """A kept function of a text, but for texts too long to be worth keeping."""
    whole: Callable[[Text], Any] = getattr(taken_apart, "__wrapped__", taken_apart)
    return taken_apart(text) if len(text.head) <= _LONG else whole(text)


@dataclass(frozen=True, slots=True)
class Ranked:
    """What some lines talk about.

    Attributes:
        phrases: (stems, as written, score), best first.
        stems: stem -> weight.
        quotes: sentences, best first.
    """

    phrases: tuple[tuple[Key, str, float], ...]
    stems: Mapping[str, float]
    quotes: tuple[str, ...]

    def top(self, most: int, *, least: int = 1, skip: int = 0) -> list[tuple[Key, str, float]]:
        """The best phrases that do not repeat each other.

        Args:
            most, least: how many; past `least`, phrases far below the best are left out.
            skip: 0 for the best answer; s leaves out the s-th best phrase.
        """
        chosen: list[tuple[Key, str, float]] = []
        used: set[str] = set()
        place = 0
        for phrase in self.phrases:
            key, _, score = phrase
            if 2 * sum(k in used for k in key) > len(key):
                continue
            if len(chosen) >= most or (len(chosen) >= least and score < 0.2 * self.phrases[0][2]):
                break
            used.update(key)
            place += 1
            if place != skip:
                chosen.append(phrase)
        return chosen


def rank(blocks: Sequence[Block]) -> Ranked:
    """Add up what the lines of some blocks say, later blocks and lines counting for more."""
    scores: dict[Key, float] = {}
    written: dict[Key, str] = {}
    weights: dict[str, float] = {}
    quotes: dict[str, float] = {}
    for age, block in enumerate(reversed(blocks)):
        n = len(block.lines)
        for place, line in enumerate(block.lines):
            weight = 0.9**age * line_weight(line, (place + 1) / n if block.is_listed else 1.0)
            for key, text, part in _of(phrases, line.text):
                scores[key] = scores.get(key, 0.0) + weight * part * (0.7 + 0.3 * len(key))
                written.setdefault(key, text)
            for one, part in _of(line_stems, line.text):
                weights[one] = weights.get(one, 0.0) + weight * part
            for quote in _of(quotable, line.text):
                quotes[quote] = max(quotes.get(quote, 0.0), weight)
    ranked = sorted(scores.items(), key=lambda kv: (-round(kv[1], 9), kv[0]))
    best = sorted(quotes, key=lambda q: (-round(quotes[q] * _centrality(q, weights), 9), q))
    return Ranked(tuple((key, written[key], score) for key, score in ranked), weights, tuple(best))


def line_weight(line: Line, lateness: float) -> float:
    """0.6 for the first line to 1 for the last, less where the user rated badly."""
    weight = 0.6 + 0.4 * lateness
    for name in _RATINGS:
        given = line.text.get(name)
        if given[:1].isdigit():
            return weight * (0.3 if given[:1] in "012" else 1.0)
    return weight


def _centrality(sentence: str, weights: Mapping[str, float]) -> float:
    found = stems(sentence)
    return sum(weights.get(s, 0.0) for s in dict.fromkeys(found)) / (len(found) + 4)


def rarity(lines: Sequence[Line]) -> dict[str, float]:
    """Stem -> how much it tells these lines apart (1 for a stem in one line, towards 0.3 for one in all)."""
    counts: dict[str, int] = {}
    for line in lines:
        for one, _ in line_stems(line.text):
            counts[one] = counts.get(one, 0) + 1
    n = len(lines)
    return {one: math.log(1.4 + n / count) / math.log(1.4 + n) for one, count in counts.items()}


def likeness(text: Text, weights: Mapping[str, float], rare: Mapping[str, float]) -> float:
    """Cosine in [0, 1] of a line with weighted stems, each stem scaled by how rare it is among the options."""
    dot = own = 0.0
    for one, part in line_stems(text):
        part *= rare.get(one, 1.0)
        own += part * part
        dot += part * weights.get(one, 0.0) * rare.get(one, 1.0)
    other = sum((w * rare.get(one, 1.0)) ** 2 for one, w in weights.items())
    return dot / math.sqrt(own * other) if dot else 0.0
