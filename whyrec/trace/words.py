"""Two texts, word by word: what both have, what only the first, what only the second."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
_WORD = re.compile(r"\w")
_BIG = 20_000  # tokens: above it lines are compared instead, which is what a person would read anyway


class Piece(NamedTuple):
    """A stretch of text that both have ("same"), or one of them."""

    kind: Literal["same", "old", "new"]
    text: str


def compare(old: str, new: str) -> list[Piece]:
    """The pieces in reading order; what was put for what stands directly after it.

    White space and single marks between two changes count as changed, so that a sentence that became another one is
    read as two sentences and not as confetti.
    """
    split = _TOKEN.findall if max(len(old), len(new)) < _BIG * 4 else _lines
    a, b = split(old), split(new)
    pieces: list[Piece] = []
    gone, come, between = "", "", ""
    for tag, a1, a2, b1, b2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        said = "".join(a[a1:a2])
        if tag == "equal" and (gone or come) and not _WORD.search(said):
            between = said
            continue
        if tag == "equal":
            pieces += _change(gone, come, between)
            gone = come = between = ""
            pieces.append(Piece("same", said))
            continue
        gone, come, between = gone + between + said, come + between + "".join(b[b1:b2]), ""
    return [*pieces, *_change(gone, come, between)]


def _change(gone: str, come: str, after: str) -> list[Piece]:
    found = [Piece("old", gone), Piece("new", come), Piece("same", after)]
    return [piece for piece in found if piece.text]


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
