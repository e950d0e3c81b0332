"""Is something named in a text? By its title, whole, cut short or misspelt, by its id, or by its number in brackets.

Titles are compared as words without case, accents and punctuation. Cut short is the part before the first comma, dash
or bracket, or the first four words. Misspelt is .85 of likeness over a run of words of which at least half are spelt
right. A title of one word counts only as it is spelt, and an id only if it cannot be a number or a word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TypeAlias

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HEAD = re.compile(r"[,;:(\[|]|\s[-–—]\s")
_NUMBER = re.compile(r"[\[(](\d+)[\])]")
_NEAR = 0.85
_FIRST = 4
_LONG = 5
_MARKED = 6  # characters from which an id of digits alone cannot be any number

Words: TypeAlias = tuple[str, ...]
_NO_WORDS: Words = ()


@dataclass(frozen=True)
class Name:
    """What is looked for.

    Attributes:
        item: dense index.
        id: original id, "" where it could be any word.
        title: as the catalogue has it.
        needles: runs of words, longest first; () for an item without a title.
    """

    item: int
    id: str
    title: str
    needles: tuple[Words, ...]


@dataclass(frozen=True)
class Hit:
    """A naming: by its "title", "beginning", "spelling", "id" or "number", and in which words."""

    name: Name
    how: str
    words: Words
    like: float = 1.0

    def __str__(self) -> str:
        """The naming in words."""
        said = f"item {self.name.id or self.name.item} ({self.name.title or 'untitled'})"
        return said if self.how == "title" else f"{said} by its {self.how} {' '.join(self.words)}".rstrip()


class Text:
    """A text as words, for any number of look-ups."""

    __slots__ = ("_raw", "there", "words")

    def __init__(self, text: str) -> None:
        self._raw = text
        self.words = words(text)
        self.there = frozenset(self.words)

    def find(self, name: Name, *, numbers: bool = False) -> Hit | None:
        """How the text names an item; None where it does not.

        Args:
            name: of the item.
            numbers: whether "[17]" means the item numbered 17.
        """
        for needle in name.needles:
            if at := self.exact(needle):
                return Hit(name, "title" if needle == name.needles[0] else "beginning", at)
        if name.id and (name.id in self._raw if len(name.id) >= _MARKED else name.id.casefold() in self.there):
            return Hit(name, "id", (name.id,))
        if numbers and str(name.item) in _NUMBER.findall(self._raw):
            return Hit(name, "number", ())
        for needle in name.needles:
            like, at = self.nearest(needle)
            if at:
                return Hit(name, "spelling", at, like)
        return None

    def explains(self, hit: Hit) -> bool:
        """Whether the words of a naming stand here too, or words that they are more like than the name."""
        run = tuple(w for word in hit.words for w in words(word))
        if not run:
            return False
        return self.exact(run) is not None or (hit.like < 1.0 and self.nearest(run, hit.like)[0] > hit.like)

    def exact(self, needle: Words) -> Words | None:
        """The words, where they stand here one after the other."""
        if not self.there.issuperset(needle):
            return None
        first, size = needle[0], len(needle)
        for at, word in enumerate(self.words):
            if word == first and tuple(self.words[at : at + size]) == needle:
                return needle
        return None

    def nearest(self, run: Words, least: float = _NEAR) -> tuple[float, Words]:
        """The run of words here that is spelt most like another, and how like; (0, ()) if none is `least` alike."""
        same, several = self.there.intersection(run), set(run)
        needed = _share(len(run)) * len(several)
        if len(run) < 2 or len(same) < needed:
            return 0.0, ()
        matcher = SequenceMatcher(None, "", " ".join(run), autojunk=False)
        best, found = least, _NO_WORDS
        places = [at for at, word in enumerate(self.words) if word in same]
        for size in range(max(2, len(run) - 1), len(run) + 2):
            starts = {at - back for at in places for back in range(size)}
            for start in sorted(s for s in starts if 0 <= s <= len(self.words) - size):
                window = tuple(self.words[start : start + size])
                if len(same.intersection(window)) < needed:
                    continue
                matcher.set_seq1(" ".join(window))
                if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
                    continue
                if (like := matcher.ratio()) > best or (not found and like >= best):
                    best, found = like, window
        return (best, found) if found else (0.0, ())


def _share(size: int) -> float:
    """Which share of a run's words has to be spelt right: long titles differ in more than spelling."""
    return 0.5 if size < _LONG else 0.6


def words(text: str) -> list[str]:
    """The words of a text, without case, accents and punctuation."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _WORD.findall(text.casefold())


@lru_cache(maxsize=65_536)
def name_of(item: int, id_: str, title: str) -> Name:
    """What to look for to find an item named."""
    whole, head = tuple(words(title)), tuple(words(_HEAD.split(title, maxsplit=1)[0]))
    found = [whole]
    if len(head) >= 2 or len("".join(head)) >= _MARKED:
        found.append(head)
    if len(whole) > _FIRST:
        found.append(whole[:_FIRST])
    needles = sorted(dict.fromkeys(needle for needle in found if needle), key=len, reverse=True)
    telling = len(id_) >= _MARKED or (any(c.isdigit() for c in id_) and any(c.isalpha() for c in id_))
    return Name(item, id_ if telling else "", title, tuple(needles))
