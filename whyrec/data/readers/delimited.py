"""Delimited text, strictly: every line has every field, every field its type, or the error names file and line.

polars reads the file at full speed and refuses most bad lines, but without saying where, and it fills short lines with
nulls. So the fast path proves that no line was short (the separators add up), and only when something is wrong does
a slow pass in plain Python look for the first bad line.

A column of times comes as whole numbers where every one is one, else as text (whyrec/data/readers/clock.py reads it).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

import polars as pl

from whyrec.data.readers.files import check_lines, read_bytes
from whyrec.data.readers.foreign import FAULTS, reason
from whyrec.data.readers.jsonlines import shown
from whyrec.errors import UsageError

Kind: TypeAlias = Literal["text", "int", "float", "time"]
_DTYPES: dict[Kind, pl.DataType] = {"text": pl.String(), "int": pl.Int64(), "float": pl.Float64(), "time": pl.Int64()}
_NAMES: dict[Kind, str] = {"text": "text", "int": "a whole number", "float": "a number"}
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_UNIT = "\x1f"
_LISTED = 30
_LONGEST_CELL = 2**31 - 1
UTF_8_OR_LATIN_1 = "utf-8, else latin-1"


@dataclass(frozen=True, slots=True)
class Field:
    """A column to read. `required` means that the column must be there and no value may be empty."""

    name: str
    kind: Kind = "text"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written. A separator of several characters ('::') is allowed when nothing is quoted.

    `encoding` is that of the file; UTF_8_OR_LATIN_1 for one that some editions have in the one and some in the other
    (text in Latin-1 is hardly ever also UTF-8).
    """

    separator: str = ","
    header: bool = True
    quoted: bool = True
    encoding: str = "utf-8"


CSV = Dialect()
TSV = Dialect("\t", header=False, quoted=False)


def read(path: Path, fields: Sequence[Field], *, dialect: Dialect = CSV) -> pl.DataFrame:
    """The named columns of a delimited file, plain or .gz, in file order.

    Args:
        path: the file.
        fields: with a header, the columns wanted, others are skipped; without one, all columns in their order.
        dialect: separator, header, quoting, encoding.

    Returns:
        One column per field found. Empty values of fields that are not required are null (text: "").

    Raises:
        UsageError: a column is missing, or a line is malformed; names file and line.
    """
    return parse(read_bytes(path), path, fields, dialect=dialect)


def parse(data: bytes, path: Path, fields: Sequence[Field], *, dialect: Dialect = CSV) -> pl.DataFrame:
    """Like `read`, for content already in memory; `path` is for the errors."""
    check_lines(data, path)
    source = _Source(path, _recode(data, path, dialect), dialect)
    columns = source.columns(fields)
    kinds = {f.name: f for f in fields if f.name in columns}
    dtypes = {c: _DTYPES[kinds[c].kind] if c in kinds else pl.String() for c in columns}
    try:
        frame = _parsed(source, columns, dtypes)
    except FAULTS as error:
        kinds = {n: replace(f, kind="text") if f.kind == "time" else f for n, f in kinds.items()}
        dtypes |= {n: pl.String() for n, f in kinds.items() if f.kind == "text"}
        try:
            frame = _parsed(source, columns, dtypes)
        except FAULTS:
            source.complain(columns, kinds, reason(error))
    if not source.every_line_whole(frame) or any(f.required and frame[n].null_count() for n, f in kinds.items()):
        source.complain(columns, kinds, "a line is short or has an empty field")
    texts = [pl.col(n).fill_null("") for n, f in kinds.items() if f.kind == "text"]
    return frame.select(list(kinds)).with_columns(texts)


def header(path: Path, *, dialect: Dialect = CSV) -> list[str]:
    """The names of all columns of a file with a header; errors as in `read`."""
    return _Source(path, _recode(read_bytes(path), path, dialect), dialect).columns([])


def place(path: Path, row: int, *, dialect: Dialect = CSV) -> str:
    """Where a row (from 0) of a file that was read stands: "FILE, line 7"."""
    source = _Source(path, _recode(read_bytes(path), path, dialect), dialect)
    for at, (number, _) in enumerate(source.lines(), -1 if dialect.header else 0):
        if at == row:
            return f"{path}, line {number}"
    return str(path)


def _parsed(source: _Source, columns: Sequence[str], dtypes: dict[str, pl.DataType]) -> pl.DataFrame:
    dialect = source.dialect
    return pl.read_csv(
        source.data,
        has_header=dialect.header,
        new_columns=None if dialect.header else columns,
        separator=source.separator,
        quote_char='"' if dialect.quoted else None,
        schema_overrides=dtypes,
        infer_schema=False,
    )


def _recode(data: bytes, path: Path, dialect: Dialect) -> bytes:
    """UTF-8 with a one-byte separator and no blank end."""
    data = data.rstrip(b"\r\n")
    if dialect.encoding == UTF_8_OR_LATIN_1:
        data = data if data.isascii() or _is_utf_8(data) else data.decode("latin-1").encode()
    elif dialect.encoding != "utf-8":
        data = data.decode(dialect.encoding).encode()
    if len(dialect.separator) > 1:
        assert not dialect.quoted
        if _UNIT.encode() in data:
            raise UsageError(f"{path} has a control character (0x1f), which no '{dialect.separator}' file should have.")
        data = data.replace(dialect.separator.encode(), _UNIT.encode())
    return data


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    data: bytes
    dialect: Dialect

    @property
    def separator(self) -> str:
        return self.dialect.separator if len(self.dialect.separator) == 1 else _UNIT

    def columns(self, fields: Sequence[Field]) -> list[str]:
        """Names of all columns in the file."""
        if not self.data:
            raise UsageError(f"{self.path} is empty.")
        if not self.dialect.header:
            return [f.name for f in fields]
        first = self.data.split(b"\n", 1)[0].decode("utf-8-sig", "replace").removesuffix("\r")
        if "\r" in first:
            raise UsageError(
                f"{self.path}, line 1: the header holds a bare carriage return (\\r), as in files with the line ends "
                "of an old Mac. Save the file with the line ends of Unix or Windows."
            )
        columns = next(self._cells([first]), ([], 0))[0]
        if len(set(columns)) < len(columns):
            raise UsageError(f"{self.path}, line 1: two columns have the same name in {listed(columns)}.")
        missing = [f.name for f in fields if f.required and f.name not in columns]
        if missing:
            raise UsageError(
                f"{self.path}, line 1: there is no column {missing[0]!r}. The columns are: {listed(columns)}."
            )
        return columns

    def every_line_whole(self, frame: pl.DataFrame) -> bool:
        """Whether no line was short (polars refuses long ones itself)."""
        if self.dialect.quoted and b'"' in self.data:
            return all(len(cells) == frame.width for _, cells in self.lines())
        lines = frame.height + self.dialect.header
        return self.data.count(self.separator.encode()) == lines * (frame.width - 1)

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """(line number from 1, cells), header included."""
        if not self.dialect.quoted:
            for number, line in enumerate(self.data.split(b"\n"), 1):
                yield number, self._decode(line.rstrip(b"\r"), number).split(self.separator)
            return
        text = io.StringIO("\n".join(self._decode(x, n) for n, x in enumerate(self.data.split(b"\n"), 1)), newline="")
        number = 1
        for cells, after in self._cells(text, strict=True):
            yield number, cells
            number = after + 1

    def _cells(self, text: Iterable[str], *, strict: bool = False) -> Iterator[tuple[list[str], int]]:
        """(cells, number of their last line) of every record of delimited text."""
        before = csv.field_size_limit(_LONGEST_CELL)  # a review may be longer than csv's 128 KiB; lines are bounded
        reader, number = csv.reader(text, delimiter=self.separator, strict=strict), 1
        try:
            for cells in reader:
                yield cells, reader.line_num
                number = reader.line_num + 1
        except csv.Error as error:
            raise UsageError(f"{self.path}, line {number}: {error}.") from None
        finally:
            csv.field_size_limit(before)

    def _decode(self, line: bytes, number: int) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{self.path}, line {number}: byte {error.start + 1} is not UTF-8. Save the file as UTF-8."
            ) from None

    def complain(self, columns: Sequence[str], kinds: dict[str, Field], reason: str) -> NoReturn:
        """Find the first bad line and say what is wrong with it."""
        for number, cells in self.lines():
            if number == 1 and self.dialect.header:
                continue
            if len(cells) != len(columns):
                raise UsageError(
                    f"{self.path}, line {number}: {len(cells) if any(cells) else 0} fields, where {len(columns)} are "
                    f"expected ({listed(columns)})."
                )
            for name, cell in zip(columns, cells, strict=True):
                if name in kinds and (fault := _fault(kinds[name], cell)):
                    raise UsageError(f"{self.path}, line {number}: {name} is {fault}.")
        raise UsageError(f"{self.path} cannot be read as delimited text: {reason}.")


def listed(columns: Sequence[str]) -> str:
    """Names of columns for an error: the first ones, none of them long."""
    some = [name if len(name) <= 40 else f"{name[:39]}…" for name in columns[:_LISTED]]
    return ", ".join(some) + (f" and {len(columns) - _LISTED:,} more" if len(columns) > _LISTED else "")


def _fault(field: Field, cell: str) -> str:
    if not cell:
        return "empty" if field.required else ""
    if field.kind == "int" and _WHOLE.fullmatch(cell) and len(cell) >= 19 and not _fits(cell):
        return f"{shown(cell)}, which is too large"
    if field.kind == "int" and not _WHOLE.fullmatch(cell):
        return f"{shown(cell)}, not {_NAMES[field.kind]}"
    if field.kind == "float" and ("_" in cell or cell != cell.strip() or not _is_number(cell)):
        return f"{shown(cell)}, not {_NAMES[field.kind]}"
    return ""


def _fits(cell: str) -> bool:
    return len(cell) <= 25 and -(2**63) <= int(cell) < 2**63


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
