"""Does a text name an item? If so, where, so that the name can be masked.

A rationale that names its target teaches a thought space to match titles instead of reasons (spec 3.a). Titles of
shops are long, and whoever names an item uses the beginning, so these are looked for, spelt nearly so: the whole title,
the part before the first comma, dash or bracket, and the first four words of that part. A title of one short word is
found only as it is spelt.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HEAD = re.compile(r"[,;:(\[|]|\s[-–—]\s")
_NEAR = 0.85  # likeness from which two spellings are the same name
_FIRST = 4
MASK = "the item"


def names(text: str, title: str) -> bool:
    """Whether the text names an item of this title."""
    return bool(_spans(text, title))


def mask(text: str, title: str, by: str = MASK) -> str:
    """The text with every naming of the title replaced by "the item", or by something else."""
    found = text
    for start, stop in reversed(_spans(text, title)):
        opened = text[start:stop].count("(") > text[start:stop].count(")")
        stop += opened and text[stop : stop + 1] == ")"
        found = f"{found[:start]}{by}{found[stop:]}"
    return found


def _spans(text: str, title: str) -> list[tuple[int, int]]:
    """Where the title is named, from left to right, without overlaps; the longest and nearest namings win."""
    words = [(m.start(), m.end(), m[0].casefold()) for m in _WORD.finditer(text)]
    taken: list[tuple[int, int]] = []
    for needle in _needles(title):
        found = []
        for size in range(max(1, len(needle) - 1), len(needle) + 2):
            for at in range(len(words) - size + 1):
                near = _likeness(needle, tuple(w for _, _, w in words[at : at + size]))
                if near >= _NEAR:
                    found.append((-near, words[at][0], words[at + size - 1][1]))
        for _, start, stop in sorted(found):
            if all(stop <= a or start >= b for a, b in taken):
                taken.append((start, stop))
    return sorted(taken)


def _needles(title: str) -> list[tuple[str, ...]]:
    """What to look for, longest first."""
    whole = tuple(m[0].casefold() for m in _WORD.finditer(title))
    head = tuple(m[0].casefold() for m in _WORD.finditer(_HEAD.split(title, maxsplit=1)[0]))
    found = [whole]
    if len(head) >= 2 or len("".join(head)) >= 6:
        found.append(head)
    if len(head) > _FIRST:
        found.append(head[:_FIRST])
    return sorted(dict.fromkeys(needle for needle in found if needle), key=len, reverse=True)


def _likeness(needle: tuple[str, ...], window: tuple[str, ...]) -> float:
    """How nearly alike two runs of words are spelt, 1 for equal; 0 where a cheaper look rules it out."""
    if needle == window:
        return 1.0
    if len(needle) == 1 and (len(window) > 1 or len(needle[0]) < 6):
        return 0.0
    if len(needle) > 2 and 2 * len(set(needle) & set(window)) < len(needle):
        return 0.0
    return SequenceMatcher(None, " ".join(needle), " ".join(window), autojunk=False).ratio()
