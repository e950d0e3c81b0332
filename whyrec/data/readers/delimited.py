"""Delimited text, strictly: every line has every field, every field its type, or the error names file and line.

polars reads the file at full speed and refuses most bad lines, but without saying where, and it fills short lines with
nulls. So the fast path proves that no line was short (the separators add up), and only when something is wrong does
a slow pass in plain Python look for the first bad line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

import polars as pl

from whyrec.data.readers.files import read_bytes
from whyrec.errors import UsageError

Kind: TypeAlias = Literal["text", "int", "float"]
_DTYPES: dict[Kind, pl.DataType] = {"text": pl.String(), "int": pl.Int64(), "float": pl.Float64()}
_NAMES: dict[Kind, str] = {"text": "text", "int": "a whole number", "float": "a number"}
_UNIT = "\x1f"


@dataclass(frozen=True, slots=True)
class Field:
    """A column to read. `required` means that the column must be there and no value may be empty."""

    name: str
    kind: Kind = "text"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written. A separator of several characters ('::') is allowed when nothing is quoted."""

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
    source = _Source(path, _recode(data, path, dialect), dialect)
    columns = source.columns(fields)
    kinds = {f.name: f for f in fields if f.name in columns}
    try:
        frame = pl.read_csv(
            source.data,
            has_header=dialect.header,
            new_columns=None if dialect.header else columns,
            separator=source.separator,
            quote_char='"' if dialect.quoted else None,
            schema_overrides={c: _DTYPES[kinds[c].kind] if c in kinds else pl.String() for c in columns},
            infer_schema=False,
        )
    except pl.exceptions.PolarsError as error:
        source.complain(columns, kinds, str(error).splitlines()[0])
    if not source.every_line_whole(frame) or any(f.required and frame[n].null_count() for n, f in kinds.items()):
        source.complain(columns, kinds, "a line is short or has an empty field")
    texts = [pl.col(n).fill_null("") for n, f in kinds.items() if f.kind == "text"]
    return frame.select(list(kinds)).with_columns(texts)


def _recode(data: bytes, path: Path, dialect: Dialect) -> bytes:
    """UTF-8 with a one-byte separator and no blank end."""
    data = data.rstrip(b"\r\n")
    if dialect.encoding != "utf-8":
        data = data.decode(dialect.encoding).encode()
    if len(dialect.separator) > 1:
        assert not dialect.quoted
        if _UNIT.encode() in data:
            raise UsageError(f"{path} has a control character (0x1f), which no '{dialect.separator}' file should have.")
        data = data.replace(dialect.separator.encode(), _UNIT.encode())
    return data


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
        first = self.data.split(b"\n", 1)[0].decode("utf-8-sig", "replace").rstrip("\r")
        columns = next(csv.reader([first], delimiter=self.separator))
        if len(set(columns)) < len(columns):
            raise UsageError(f"{self.path}, line 1: two columns have the same name in {', '.join(columns)}.")
        missing = [f.name for f in fields if f.required and f.name not in columns]
        if missing:
            raise UsageError(
                f"{self.path}, line 1: there is no column {missing[0]!r}. The columns are: {', '.join(columns)}."
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
        reader = csv.reader(text, delimiter=self.separator, strict=True)
        number = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UsageError(f"{self.path}, line {number}: {error}.") from None
            yield number, cells
            number = reader.line_num + 1

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
                    f"expected ({', '.join(columns)})."
                )
            for name, cell in zip(columns, cells, strict=True):
                if name in kinds and (fault := _fault(kinds[name], cell)):
                    raise UsageError(f"{self.path}, line {number}: {name} is {fault}.")
        raise UsageError(f"{self.path} cannot be read as delimited text: {reason}.")


def _fault(field: Field, cell: str) -> str:
    if not cell:
        return "empty" if field.required else ""
    try:
        if field.kind == "int" and not -(2**63) <= int(cell) < 2**63:
            return f"{cell!r}, which is too large"
        if field.kind == "float":
            float(cell)
    except ValueError:
        return f"{cell!r}, not {_NAMES[field.kind]}"
    return ""
