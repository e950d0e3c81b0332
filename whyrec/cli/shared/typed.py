"""What was typed: KEY=VALUE pairs, and the command itself as it may stand on a page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import PurePath

from whyrec.errors import UsageError
from whyrec.redaction import KNOWN


def pairs(texts: Sequence[str], option: str = "-o", such_as: str = "titles=anonymous") -> dict[str, str]:
    """KEY=VALUE each, as a mapping; `option` and an example are for the errors.

    Raises:
        UsageError: one has no key or no value, or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise UsageError(f"{option} {text!r} is not KEY=VALUE, as in {option} {such_as}.")
        if key in found:
            raise UsageError(f"{option} {key} is given twice ({found[key]!r} and {value!r}).")
        found[key] = value
    return found


def command_line() -> str:
    """The command that runs, as it would be typed: of absolute paths only the last part, secrets cut."""
    return KNOWN.cut(shlex.join(["whyrec", *map(_seen, sys.argv[1:])]))


def _seen(argument: str) -> str:
    return f"…/{PurePath(argument).name}" if argument.startswith("/") and len(argument) > 1 else argument
