"""JSON lines, one record at a time, with typed access and errors that name file and line.

Half of a character (a lone surrogate, as in text cut in the middle of an emoji) cannot be written as UTF-8 by anybody:
it is read as U+FFFD, and `Mended` counts the records that had one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from whyrec.data.readers.files import read_lines
from whyrec.errors import UsageError

_HALF: Final = re.compile("[\ud800-\udfff]")
_MAYBE_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_DEEP: Final = 100
_LARGEST_KEY: Final = 10**40


@dataclass(slots=True)
class Mended:
    """How many records had half a character."""

    records: int = 0

    def notes(self) -> dict[str, int]:
        """For `Raw.notes`; nothing where nothing was mended."""
        return {"records with half a character (U+FFFD)": self.records} if self.records else {}


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object and where it stands. A null counts as missing."""

    path: Path
    line: int
    fields: dict[str, Any]

    def key(self, name: str) -> str:
        """An identifier: a non-empty string or an integer, as a string."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            self.complain(f"{name} is {shown(value)}, where an identifier is expected")
        if isinstance(value, int) and abs(value) > _LARGEST_KEY:
            self.complain(f"{name} is a number of more than 40 digits, where an identifier is expected")
        return str(value)

    def text(self, name: str) -> str:
        """A string, "" where missing."""
        value = self.fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.complain(f"{name} is {shown(value)}, where text is expected")
        return value

    def number(self, name: str) -> float | None:
        """A finite number, None where missing or NaN."""
        value = self.fields.get(name)
        if value is None or value != value:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
            self.complain(f"{name} is {shown(value)}, where a number is expected")
        return float(value)

    def texts(self, name: str) -> list[str]:
        """A list of strings; nested lists (several category paths) are joined, repeats dropped, blanks skipped."""
        value = self.fields.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list):
            self.complain(f"{name} is {shown(value)}, where a list is expected")
        flat: dict[str, None] = {}
        for entry in value:
            for text in _leaves(entry) if isinstance(entry, list) else (entry,):
                if text is not None and not isinstance(text, str):
                    self.complain(f"{name} holds {shown(text)}, where text is expected")
                if text and (bare := text.strip()):
                    flat[bare] = None
        return list(flat)

    def complain(self, what: str) -> NoReturn:
        """Raise a UsageError about this line."""
        raise UsageError(f"{self.path}, line {self.line}: {what[:300]}.")


def read(path: Path, mended: Mended | None = None) -> Iterator[Record]:
    """Every record of a JSON-lines file, plain or .gz, streamed.

    Args:
        path: the file.
        mended: counts records with half a character.

    Raises:
        UsageError: a line is not a JSON object in UTF-8; names file and line.
    """
    for number, line in read_lines(path):
        yield decode(path, number, line, mended)


def decode(path: Path, number: int, line: bytes, mended: Mended | None = None) -> Record:
    """One line as a record; arguments and errors as in `read`."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {number}: not JSON ({_why(error)}).") from None
    return record(path, number, fields, mended, halves=may_have_halves(line))


def record(path: Path, number: int, fields: Any, mended: Mended | None = None, *, halves: bool = True) -> Record:
    """What a line holds, checked: an object with text for keys, whole characters, not too deep.

    Args:
        path, number: where it stands.
        fields: what was read.
        mended: as in `read`.
        halves: False for parsed JSON without half characters, which saves looking.

    Raises:
        UsageError: it is none; names file and line.
    """
    if not isinstance(fields, dict):
        raise UsageError(f"{path}, line {number}: a JSON object was expected, not {type(fields).__name__}.")
    if not halves:
        return Record(path, number, fields)
    if not all(isinstance(key, str) for key in fields):
        raise UsageError(f"{path}, line {number}: a key is no text, as every key of a JSON object is.")
    found = Mended()
    try:
        whole = whole_characters(fields, found)
    except RecursionError:
        raise UsageError(f"{path}, line {number}: nested too deep.") from None
    if mended is not None:
        mended.records += bool(found.records)
    return Record(path, number, whole)


def may_have_halves(raw: bytes) -> bool:
    """Whether JSON text may hold half characters: looks at escapes only, which pairs have, too."""
    return (b"\\u" in raw or b"\xed" in raw) and _MAYBE_HALF.search(raw) is not None


def whole_characters(value: Any, mended: Mended, depth: int = 0) -> Any:
    """The value with U+FFFD for each half of a character; `mended` counts the texts that had one.

    Raises:
        RecursionError: it is nested deeper than a hundred levels.
    """
    if isinstance(value, str):
        text, halves = _HALF.subn("\ufffd", value)
        mended.records += bool(halves)
        return text
    if depth > _DEEP:
        raise RecursionError
    if isinstance(value, list | tuple):
        return [whole_characters(v, mended, depth + 1) for v in value]
    if isinstance(value, dict):
        return {whole_characters(k, mended, _DEEP): whole_characters(v, mended, depth + 1) for k, v in value.items()}
    return value


def shown(value: Any) -> str:
    """A value for an error: short, and nothing that cannot be printed."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; too deep
        text = f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= 60 else text[:59] + "…"


def _leaves(values: list[Any], depth: int = 1) -> list[Any]:
    """What nested lists hold; what is nested too deep stays a list, which is no text."""
    if depth > _DEEP or list not in map(type, values):
        return values
    return [leaf for v in values for leaf in (_leaves(v, depth + 1) if isinstance(v, list) else (v,))]


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
