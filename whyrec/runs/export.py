"""A run's results as Parquet: two passes over the stream, the first to learn the payloads' fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyrec.errors import UsageError
from whyrec.redaction import KNOWN
from whyrec.runs.reading import RunReader
from whyrec.sqlite import make_folder
from whyrec.sqlite.errors import is_full, no_space

if TYPE_CHECKING:
    import polars as pl

_FIXED = ("key", "user", "split", "status", "reason", "generation")
_ROWS = 250  # read at a time: the sink holds a few dozen of such pieces
_GROUP = 8_000  # rows of a row group: of each, some hundred kilobytes stay until the end


def write_parquet(run: RunReader, path: Path) -> int:
    """Write key, user, split, status, reason, generation and a column per payload field; returns the rows written.

    A field that is text, a number, a truth value or a list of texts everywhere keeps that type; any other is JSON
    text. A field named like a fixed column becomes "result_<field>".

    Raises:
        UsageError: the path is a folder or cannot be written, or there is no space.
    """
    import polars as pl
    from polars.io.plugins import register_io_source

    if path.is_dir():
        raise UsageError(f"{path} is a folder, but a Parquet file is to be written there. Name a file in it.")
    make_folder(path.parent)
    schema, fields, count = _schema(run)

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        rows = (_row(result, fields) for result in run.results())
        while chunk := list(islice(rows, _ROWS)):
            columns = dict(zip(schema, zip(*chunk, strict=True), strict=True))
            yield pl.DataFrame(columns, schema=schema)

    part = path.with_name(path.name + ".part")
    try:
        if count:
            frame = register_io_source(source, schema=schema)
            frame.sink_parquet(part, compression="zstd", row_group_size=_GROUP)
        else:
            pl.DataFrame(schema=schema).write_parquet(part, compression="zstd")
        part.replace(path)
    except (OSError, pl.exceptions.ComputeError) as error:
        part.unlink(missing_ok=True)
        full = is_full(error) or "os error 28" in str(error) or "os error 27" in str(error)
        raise no_space(path, error) if full else UsageError(f"{path} cannot be written ({error}).") from None
    return count


def _schema(run: RunReader) -> tuple[pl.Schema, list[tuple[str, bool]], int]:
    """Parquet schema, payload fields (name, whether as JSON), number of results."""
    import polars as pl

    kinds: dict[str, set[str]] = {}
    count = 0
    for result in run.results():
        count += 1
        for name, value in (result.payload or {}).items():
            kinds.setdefault(name, set()).add(_kind(value))
    types: dict[str, Any] = {name: pl.String() for name in _FIXED} | {"generation": pl.Int64()}
    fields = []
    for name, seen in kinds.items():
        known = {
            "text": pl.String(), "int": pl.Int64(), "float": pl.Float64(), "bool": pl.Boolean(),
            "texts": pl.List(pl.String()),
        }  # fmt: skip
        seen.discard("none")
        kind = "float" if seen == {"int", "float"} else next(iter(seen)) if len(seen) == 1 else "json"
        types[f"result_{name}" if name in _FIXED else name] = known.get(kind, pl.String())
        fields.append((name, kind not in known))
    return pl.Schema(types), fields, count


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "texts"
    return {str: "text", bool: "bool", int: "int", float: "float"}.get(type(value), "json")


def _row(result: Any, fields: list[tuple[str, bool]]) -> tuple[Any, ...]:
    payload = KNOWN.cut_in(result.payload or {})
    values = [
        json.dumps(payload[name], ensure_ascii=False)
        if as_json and payload.get(name) is not None
        else payload.get(name)
        for name, as_json in fields
    ]
    return (result.key, result.user, result.split, result.status, KNOWN.cut(result.reason), result.generation, *values)
