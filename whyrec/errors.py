"""The errors a person can cause, each a sentence that says what was wrong, where, and what to do next.

The front door prints these without a traceback and exits with 2. Anything else that escapes is a bug of ours and
keeps its traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_WORD, _SENTENCE = 300, 4_000
_LONG_WORD = re.compile(rf"\S{{{_WORD + 1},}}")


def _readable(message: str) -> str:
    """A sentence as a person can read it, whatever was put into it: of what is too long the two ends are shown."""
    if len(message) > _WORD:
        message = _LONG_WORD.sub(lambda found: _ends(found[0], _WORD), message)
    return _ends(message, _SENTENCE)


def _ends(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2 - 20
    return f"{text[:half]}[… {len(text) - 2 * half:,} characters …]{text[-half:]}"


class UsageError(ValueError):
    """What was asked for cannot be done as asked: a wrong argument, file, column, setting or server."""

    def __init__(self, message: object = "", *more: object) -> None:
        super().__init__(_readable(message) if isinstance(message, str) else message, *more)


class UnknownNameError(LookupError):
    """A name nobody knows. The message lists the known ones and the nearest spelling.

    Args:
        kind: what was looked up, for the sentence ("data set", "graph", "prompt").
        name: the name as given.
        known: the names that exist.
        hint: one more sentence on what to do, if any.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name[:_WORD], names, n=1, cutoff=0.6)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        listing = ", ".join(names) if names else "none"
        told = f"There is no {kind} named {name!r}.{guess} Known: {listing}.{' ' + hint if hint else ''}"
        super().__init__(_readable(told))
        self.kind, self.name, self.known = kind, name, names

    def __str__(self) -> str:
        return str(self.args[0])


class LeakageError(ValueError):
    """Somebody asked for an event that lies after the moment being predicted (spec 1.2, 8)."""


class LockedError(UsageError):
    """Another process writes to this run."""
