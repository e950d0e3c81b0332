"""Columns of a CSV, TSV or Parquet file, by the file's own names, in our types; the mechanics of `table` and `items`.

Ids stay what they are (integers, else text), texts lose their nulls, and what does not fit is refused by file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from whyrec.data.joining import first_told
from whyrec.data.raw import ITEM_SCHEMA
from whyrec.data.readers import clock, delimited
from whyrec.data.readers.clock import Where
from whyrec.data.readers.delimited import Dialect, Field, Kind
from whyrec.data.readers.files import most_bytes
from whyrec.data.readers.foreign import sentences
from whyrec.data.readers.jsonlines import shown
from whyrec.errors import UsageError

TEXTS = ("title", "description", "brand")
_IDS = ("user", "item")
_NEEDED = (*_IDS, "position")
_CELL = 8  # bytes that a cell has at least when it is unpacked
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def is_table(path: Path) -> bool:
    """Whether the path ends like a table."""
    return path.name.removesuffix(".gz").endswith((".csv", ".tsv")) or path.suffix == ".parquet"


def names(path: Path) -> list[str]:
    """The names of all columns, in file order."""
    if path.suffix == ".parquet":
        with sentences(path, "a Parquet file"):
            return list(pl.read_parquet_schema(path))
    return delimited.header(path, dialect=_dialect(path))


def read(path: Path, columns: Mapping[str, str]) -> tuple[pl.DataFrame, Where]:
    """The columns under our names, and where a row of them stands.

    Args:
        path: a file that `is_table`.
        columns: our name -> the file's.

    Raises:
        UsageError: there is no such file or column, or a line is malformed.
    """
    return (_read_parquet if path.suffix == ".parquet" else _read_text)(path, columns)


def _dialect(path: Path) -> Dialect:
    separator = _SEPARATORS.get(Path(path.name.removesuffix(".gz")).suffix)
    if separator is None:
        raise UsageError(f"{path} is neither .csv, .tsv (plain or .gz) nor .parquet.")
    return Dialect(separator)


def _read_text(path: Path, columns: Mapping[str, str]) -> tuple[pl.DataFrame, Where]:
    dialect = _dialect(path)
    kinds: dict[str, Kind] = {"position": "int", "rating": "float", "time": "time"}
    fields: dict[str, Field] = {}
    for ours, theirs in columns.items():
        if theirs in fields:
            raise UsageError(f"{path}: the column {theirs!r} is named twice.")
        fields[theirs] = Field(theirs, kinds.get(ours, "text"), required=ours in _NEEDED)
    frame = delimited.read(path, list(fields.values()), dialect=dialect)
    _columns_there(path, frame.columns, columns)
    return frame.select(**columns), lambda row: delimited.place(path, row, dialect=dialect)


def _read_parquet(path: Path, columns: Mapping[str, str]) -> tuple[pl.DataFrame, Where]:
    if not path.exists():
        raise UsageError(f"There is no file {path}.")
    with sentences(path, "a Parquet file"):
        found = pl.read_parquet_schema(path)
        _columns_there(path, list(found), columns)
        height = int(pl.scan_parquet(path).select(pl.len()).collect().item())
        if height * _CELL * len(columns) > most_bytes(path):
            raise UsageError(
                f"{path} says that it has {height:,} rows in {path.stat().st_size:,} bytes: no data set packs "
                "like that."
            )
        frame = pl.read_parquet(path, columns=list(dict.fromkeys(columns.values())))
        return frame.select(**columns), lambda row: f"{path}, row {row + 1}"


def _columns_there(path: Path, found: list[str], columns: Mapping[str, str]) -> None:
    for theirs in columns.values():
        if theirs not in found:
            raise UsageError(f"{path} has no column {theirs!r}. The columns are: {delimited.listed(found)}.")


def typed(frame: pl.DataFrame, where: Where, form: str = "") -> tuple[pl.DataFrame, dict[str, Any]]:
    """Our types, and notes; refuses what does not fit them."""
    for column in frame.columns:
        _check_kind(frame[column], where)
    ids = {c: _id(frame[c], where) for c in _IDS if c in frame.columns}
    texts = {c: frame[c].cast(pl.String, strict=False) for c in ("review", *TEXTS) if c in frame.columns}
    wanted = {"position": pl.Int64(), "rating": pl.Float32()}
    numbers = {c: frame[c].cast(t, strict=False) for c, t in wanted.items() if c in frame.columns}
    for column, values in {**texts, **numbers}.items():
        lost = values.is_null() & ~_blank(frame[column])
        if column == "position":
            lost |= values.is_null() | (values != frame[column].cast(pl.Float64, strict=False)).fill_null(True)
        _refuse(lost, frame[column], where)
    times = clock.read(frame["time"], where=where, form=form) if "time" in frame.columns else None
    frame = frame.with_columns(**ids, **{c: t.fill_null("") for c, t in texts.items()}, **numbers)
    if times is None:
        return frame, {}
    return frame.with_columns(**times.columns()), times.notes


def _check_kind(column: pl.Series, where: Where) -> None:
    """Refuse a column that holds no single values (but for categories, which may be lists)."""
    dtype = column.dtype
    leaf = _leaf(dtype) if column.name == "categories" else dtype
    if leaf.is_nested() or leaf == pl.Object or (column.name in ("position", "rating") and not _counts(leaf)):
        raise UsageError(
            f"{where(0)}: {column.name} is a column of {str(dtype).lower()[:80]}, which cannot be read as such."
        )


def _counts(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Null)


def _leaf(dtype: pl.DataType) -> pl.DataType:
    while isinstance(dtype, pl.List | pl.Array):
        assert isinstance(dtype.inner, pl.DataType)
        dtype = dtype.inner
    return dtype


def _id(column: pl.Series, where: Where) -> pl.Series:
    """Ids: integers as they are, all else as text; none may be missing, and NaN is."""
    missing = _blank(column)
    if column.dtype.is_float():
        missing |= ~column.is_finite().fill_null(False)
    _refuse(missing, column, where)
    if column.dtype.is_integer() and column.dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
        return column.cast(pl.Int64)
    text = column.cast(pl.String, strict=False)
    _refuse(text.is_null(), column, where)
    return text


def _blank(column: pl.Series) -> pl.Series:
    return column.is_null() | (column == "").fill_null(True) if column.dtype == pl.String else column.is_null()


def _refuse(bad: pl.Series, column: pl.Series, where: Where) -> None:
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise UsageError(f"{where(row)}: {column.name} is {shown(column[row])}, which cannot be read.")


def items_of(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per item; of each text the first that is not blank."""
    columns = {c: pl.col(c) if c in frame.columns else pl.lit("") for c in TEXTS}
    lists = pl.Series("categories", [[]], dtype=pl.List(pl.String)).new_from_index(0, frame.height)
    if "categories" in frame.columns:
        lists = _flat(frame["categories"])
    rows = frame.with_columns(categories=lists).select(
        id=pl.col("item").cast(pl.String), **columns, categories="categories"
    )
    return first_told(rows.cast(ITEM_SCHEMA))


def _inner(kind: pl.DataType) -> Any:
    """What a column of lists holds; None where it holds no lists."""
    return kind.inner if isinstance(kind, pl.List | pl.Array) else None


def _flat(column: pl.Series) -> pl.Series:
    """A list of texts per row: lists of lists in one, text split at '|'; without blanks and repeats."""
    if not isinstance(column.dtype, pl.List | pl.Array):
        split = column.cast(pl.String).str.split("|").list.eval(pl.element().filter(pl.element() != ""))
        return split.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
    while isinstance(column.dtype, pl.Array) or _leaf(column.dtype) != _inner(column.dtype):
        if isinstance(column.dtype, pl.Array):
            column = column.arr.to_list()
        elif isinstance(_inner(column.dtype), pl.Array):
            column = column.list.eval(pl.element().arr.to_list())
        else:
            column = column.list.eval(pl.element().explode().drop_nulls())
    text = pl.element().cast(pl.String).str.strip_chars()
    flat = column.list.eval(text.filter(text.is_not_null() & (text != "")).unique(maintain_order=True))
    return flat.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
