"""Two texts, word by word: what both have, what only the first, what only the second."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
_BIG = 20_000  # tokens: above it lines are compared instead, which is what a person would read anyway


class Piece(NamedTuple):
    """A stretch of text that both have ("same"), or one of them."""

    kind: Literal["same", "old", "new"]
    text: str


def compare(old: str, new: str) -> list[Piece]:
    """The pieces in reading order; what was put for what stands directly after it."""
    split = _TOKEN.findall if max(len(old), len(new)) < _BIG * 4 else _lines
    a, b = split(old), split(new)
    pieces: list[Piece] = []
    for tag, a1, a2, b1, b2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(a[a1:a2])))
            continue
        if a1 < a2:
            pieces.append(Piece("old", "".join(a[a1:a2])))
        if b1 < b2:
            pieces.append(Piece("new", "".join(b[b1:b2])))
    return pieces


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
