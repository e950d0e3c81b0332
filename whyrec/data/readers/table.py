"""Any CSV or Parquet file, by naming its columns: nothing about them is guessed.

    read_table("clicks.csv", user="customer", item="sku", time="at", title="name")
    load("clicks.csv?user=customer&item=sku&time=at")

Columns user and item are needed; position, time, rating and review belong to the event; title, description, brand
and categories belong to the item and are taken from the item's first row (categories: a list, or text split at '|').
`time` is unix seconds, or an ISO date or datetime (taken as UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import polars as pl
from typing_extensions import Unpack

from whyrec.data.corpus import Corpus
from whyrec.data.prepare import prepare
from whyrec.data.raw import ITEM_SCHEMA, Raw, no_items
from whyrec.data.readers import delimited
from whyrec.data.readers.delimited import Dialect, Field
from whyrec.errors import UnknownNameError, UsageError

NAME = "table"
_EVENT = ("user", "item", "position", "time", "rating", "review")
_ITEM = ("title", "description", "brand", "categories")
OPTIONS = (*_EVENT, *_ITEM)
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


class Columns(TypedDict, total=False):
    """Names of the table's columns."""

    user: str
    item: str
    position: str
    time: str
    rating: str
    review: str
    title: str
    description: str
    brand: str
    categories: str


def read_table(path: str | Path, *, min_events: int = 0, dedup: bool = False, **columns: Unpack[Columns]) -> Corpus:
    """A corpus from one table, plain .csv, .tsv (either may be .gz) or .parquet.

    Args:
        path: the file.
        min_events: k-core, 0 for none.
        dedup: keep only the first event of each user and item.
        **columns: the table's name for each column of `Columns`; user and item are needed.

    Raises:
        UsageError: a missing column or a malformed line; names file and line (Parquet: row).
    """
    named = {k: str(v) for k, v in columns.items()}
    return prepare(read(Path(path), named), Path(path).name, dedup=dedup, min_events=min_events)


def recognise(path: Path) -> bool:
    """Whether the path ends like a table."""
    return path.name.removesuffix(".gz").endswith((".csv", ".tsv")) or path.suffix == ".parquet"


def read(path: Path, options: Mapping[str, str]) -> Raw:
    """Read the file, given the table's name for each column.

    Raises:
        UnknownNameError: no such column of ours.
        UsageError: user or item not named, a missing column, a malformed value.
    """
    for option in options:
        if option not in OPTIONS:
            raise UnknownNameError("column", option, OPTIONS)
    if missing := [c for c in ("user", "item") if not options.get(c)]:
        raise UsageError(
            f"{path}: say which column is the {missing[0]}, as in {path.name}?user=...&item=... "
            f"(columns that can be named: {', '.join(OPTIONS)})."
        )
    frame = _read_parquet(path, options) if path.suffix == ".parquet" else _read_text(path, options)
    items = _items(frame) if any(c in options for c in _ITEM) else no_items()
    return Raw(NAME, frame.select([c for c in _EVENT if c in options]), items)


def _read_text(path: Path, options: Mapping[str, str]) -> pl.DataFrame:
    separator = _SEPARATORS.get(Path(path.name.removesuffix(".gz")).suffix)
    if separator is None:
        raise UsageError(f"{path} is neither .csv, .tsv (plain or .gz) nor .parquet.")
    kinds = {"position": "int", "rating": "float"}
    fields: dict[str, Field] = {}
    for ours, theirs in options.items():
        if theirs in fields:
            raise UsageError(f"{path}: the column {theirs!r} is named twice.")
        kind = kinds.get(ours, "text")
        fields[theirs] = Field(theirs, "int" if kind == "int" else "float" if kind == "float" else "text")
    optional = [
        Field(f.name, f.kind, required=o in ("user", "item", "position"))
        for o, f in zip(options, fields.values(), strict=True)
    ]
    frame = delimited.read(path, optional, dialect=Dialect(separator))
    _columns_there(path, frame.columns, options)
    return _typed(frame.select(**options), path, first_line=2)


def _read_parquet(path: Path, options: Mapping[str, str]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"{path} is not a readable Parquet file ({error}).") from None
    _columns_there(path, frame.columns, options)
    return _typed(frame.select(**options), path, first_line=1)


def _columns_there(path: Path, found: list[str], options: Mapping[str, str]) -> None:
    for theirs in options.values():
        if theirs not in found:
            raise UsageError(f"{path} has no column {theirs!r}. The columns are: {', '.join(found)}.")


def _typed(frame: pl.DataFrame, path: Path, *, first_line: int) -> pl.DataFrame:
    """Our types; refuses what does not fit them."""
    wanted: dict[str, pl.DataType] = {"position": pl.Int64(), "rating": pl.Float32(), "review": pl.String()}
    wanted |= {c: pl.String() for c in ("title", "description", "brand")}
    casts = {c: pl.col(c).cast(t, strict=False) for c, t in wanted.items() if c in frame.columns}
    if "time" in frame.columns:
        casts["time"] = _time(frame["time"])
    out = frame.with_columns(**casts)
    for column in out.columns:
        empty = (frame[column] == "") if frame[column].dtype == pl.String else frame[column].is_null()
        need = column in ("user", "item", "position")
        bad = out[column].is_null() & ~empty.fill_null(True) | (empty.fill_null(True) & need)
        if bad.any():
            row = int(bad.arg_max() or 0)
            where = f"{path}, {'line' if first_line == 2 else 'row'} {row + first_line}"
            raise UsageError(f"{where}: {column} is {frame[column][row]!r}, which cannot be read.")
    texts = [pl.col(c).fill_null("") for c in ("review", "title", "description", "brand") if c in out.columns]
    return out.with_columns(texts)


def _time(times: pl.Series) -> pl.Expr:
    if times.dtype.is_integer():
        return pl.col("time").cast(pl.Int64)
    if times.dtype.is_temporal():
        return pl.col("time").cast(pl.Datetime("us")).dt.epoch("s")
    text = pl.col("time").cast(pl.String)
    return pl.coalesce(
        text.cast(pl.Int64, strict=False),
        text.str.to_datetime("%+", strict=False, time_zone="UTC").dt.epoch("s"),
        *(text.str.to_datetime(f, strict=False).dt.epoch("s") for f in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")),
        text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("s"),
    )


def _items(frame: pl.DataFrame) -> pl.DataFrame:
    first = frame.unique("item", keep="first", maintain_order=True)
    columns = {c: pl.col(c) if c in frame.columns else pl.lit("") for c in ("title", "description", "brand")}
    split = pl.lit([], pl.List(pl.String))
    if "categories" in frame.columns:
        split = pl.col("categories")
        if frame["categories"].dtype == pl.String:
            split = split.str.split("|").list.eval(pl.element().filter(pl.element() != ""))
        split = split.fill_null(pl.lit([], pl.List(pl.String)))
    return first.select(id=pl.col("item").cast(pl.String), **columns, categories=split).cast(ITEM_SCHEMA)
