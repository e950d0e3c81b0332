"""JSON lines, one record at a time, with typed access and errors that name file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from whyrec.data.readers.files import read_lines
from whyrec.errors import UsageError


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
            self.complain(f"{name} is {value!r}, where an identifier is expected")
        return str(value)

    def text(self, name: str) -> str:
        """A string, "" where missing."""
        value = self.fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.complain(f"{name} is {value!r}, where text is expected")
        return value

    def number(self, name: str) -> float | None:
        """A number, None where missing."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.complain(f"{name} is {value!r}, where a number is expected")
        return float(value)

    def whole(self, name: str) -> int | None:
        """A whole number, None where missing."""
        value = self.number(name)
        if value is not None and not value.is_integer():
            self.complain(f"{name} is {value!r}, where a whole number is expected")
        return None if value is None else int(value)

    def texts(self, name: str) -> list[str]:
        """A list of strings; nested lists (several category paths) are joined, repeats dropped, blanks skipped."""
        value = self.fields.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list):
            self.complain(f"{name} is {value!r}, where a list is expected")
        flat: dict[str, None] = {}
        for entry in value:
            for text in entry if isinstance(entry, list) else [entry]:
                if not isinstance(text, str):
                    self.complain(f"{name} holds {text!r}, where text is expected")
                if text.strip():
                    flat[text.strip()] = None
        return list(flat)

    def complain(self, what: str) -> NoReturn:
        """Raise a UsageError about this line."""
        raise UsageError(f"{self.path}, line {self.line}: {what[:300]}.")


def read(path: Path) -> Iterator[Record]:
    """Every record of a JSON-lines file, plain or .gz, streamed.

    Raises:
        UsageError: a line is not a JSON object in UTF-8; names file and line.
    """
    for number, line in read_lines(path):
        yield decode(path, number, line)


def decode(path: Path, number: int, line: bytes) -> Record:
    """One line as a record.

    Raises:
        UsageError: the line is not a JSON object in UTF-8; names file and line.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {number}: not JSON ({error}).") from None
    if not isinstance(fields, dict):
        raise UsageError(f"{path}, line {number}: a JSON object was expected, not {type(fields).__name__}.")
    return Record(path, number, fields)
