"""Every JSON object in a text, whatever stands around it, in time that grows with the text and no faster.

A model thinks aloud, quotes the schema, begins twice or says in braces what it is about to do, so each `{` may or may
not begin the answer. Trying them one by one is quadratic where they nest, and nesting is what hostile text does. So one
pass from right to left finds, for every bracket, where it closes and how deep it goes *if* JSON begins there. That
needs no guess about the text before it: what follows an opening bracket decides. Only what closes, and is no deeper
than an answer, is then decoded, and an object's inside is not looked into again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_MARK = re.compile(r'(?<!\\)(\\*)"|\{(?=\s*["}])|[}\[\]]')
_BEGINS = re.compile(r'\{\s*"(?:[^"\\]|\\.){0,200}"\s*:')
_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+")|,(?=\s*[}\]])', re.DOTALL)
LONGEST = 400_000  # characters at the end of a text: many times the longest answer
_DEEPEST = 12  # no answer type nests further
_WINDOW = 512  # characters tried first: most of what is no JSON is found out within them
_NEAR = 12  # characters of an escape or a word that a window may have cut
_DECODER = json.JSONDecoder(strict=False)


def objects(text: str, *, cut: bool = False) -> list[dict[str, Any]]:
    """The objects of a text in order, outermost ones only; control characters and trailing commas are allowed in them.

    An object without any field answers nothing and is left out.

    Args:
        text: what a model said.
        cut: it was cut off, so what a `{` that never closes holds is part of an answer and none itself.
    """
    if "{" not in text:
        return []
    text = text.rstrip()[-LONGEST:]
    found: list[dict[str, Any]] = []
    done = 0
    for start, end, depth in _spans(text):
        if start < done:
            continue
        if not end:
            if cut:
                break
            continue
        if depth > _DEEPEST or not _BEGINS.match(text, start):
            continue
        if (data := _decode(text, start, end)) is not None:
            found.append(data)
            done = end
    return found


def _spans(text: str) -> Iterator[tuple[int, int, int]]:
    """(start, end, depth) of each `{` that may begin an object, in order; end 0 where it never closes.

    `closer[i]` is the mark that closes what is open around mark i, if i is not inside a string, and `deep[i]` how many
    brackets are open at most on the way there.
    """
    marks = [(m.end() - 1, m[0][-1], len(m[1] or "") % 2) for m in _MARK.finditer(text)]
    none = len(marks)
    closer, deep, quote = [none] * (none + 2), [0] * (none + 2), none
    for i in range(none - 1, -1, -1):
        _, mark, escaped = marks[i]
        if mark == '"':  # opens a string, which ends at the next quote that is not escaped
            closer[i], deep[i] = closer[quote + 1], deep[quote + 1]
            if not escaped:
                quote = i
        elif mark in "}]":
            closer[i] = i
        else:
            close = closer[i + 1]
            closer[i], deep[i] = closer[close + 1], max(deep[i + 1] + 1, deep[close + 1])
    for i, (start, mark, _) in enumerate(marks):
        if mark == "{":
            close = closer[i + 1]
            closes = close < none and marks[close][1] == "}"
            yield start, marks[close][0] + 1 if closes else 0, deep[i + 1] + 1


def _decode(text: str, start: int, end: int) -> dict[str, Any] | None:
    """The object that begins at `start`, in windows that grow, so that what fails at once costs little."""
    width = _WINDOW
    while True:
        piece = text[start : min(start + width, end)]
        data, wrong = _decoded(piece)
        if data is None and (mended := _COMMA.sub(lambda found: found[1] or " ", piece)) != piece:
            data, wrong = _decoded(mended)
        if data is not None or wrong or start + width >= end:
            return data
        width *= 4


def _decoded(piece: str) -> tuple[dict[str, Any] | None, bool]:
    """(the object a piece begins with, False), or (None, whether more of the text would change nothing)."""
    try:
        return _DECODER.raw_decode(piece)[0], False
    except json.JSONDecodeError as error:
        return None, error.pos + _NEAR < len(piece) and not error.msg.startswith("Unterminated")
    except ValueError:  # a number of thousands of digits
        return None, True
