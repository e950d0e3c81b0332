"""Parquet tables whose columns have types that people's tables have, the odd ones included."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import WORDS, case, edited, plain
from fuzzing.rooms.data import look
from fuzzing.target import Target

COLUMNS = ("user", "item", "time", "rating", "title", "categories", "position", "review", "brand")
_ASKED = "?user=user&item=item"
_TEXT = [word for word in WORDS if len(word) < 500]
_whole = st.integers(-3, 9) | st.sampled_from([-(2**31), 2**31 - 1, 1_593_878_000, 1_593_878_903_500, 20_190_930])
_number = st.floats(width=32) | st.sampled_from([0.0, 1.0, 101.0, 8.8e8, float("nan"), float("inf"), -0.0])
_word = st.sampled_from(["a", "b", "c", "", " ", "7", "007", "7.0"]) | st.sampled_from(_TEXT)
_date = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)) | st.just(dt.date(1, 1, 1)) | st.just(dt.date(9999, 12, 31))
_moment = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))

# kind -> the values that go into it
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "String": _word,
    "Categorical": _word,
    "Enum": st.sampled_from(["a", "b", "c"]),
    "Binary": st.binary(max_size=4) | st.just(b"\xff"),
    "Boolean": st.booleans(),
    "Int8": st.integers(-3, 100),
    "Int64": _whole | st.sampled_from([-(2**63), 2**63 - 1]),
    "UInt64": st.integers(0, 9) | st.just(2**64 - 1),
    "Float32": _number,
    "Float64": _number | st.sampled_from([1e300, 2.0**63]),
    "Decimal": st.decimals(-99, 99, places=2, allow_nan=False),
    "Date": _date,
    "Time": st.times(),
    "Datetime ms": _moment,
    "Datetime us": _moment,
    "Datetime ns": _moment,
    "Datetime zone": _moment,
    "Duration": st.timedeltas(dt.timedelta(-9), dt.timedelta(9)),
    "Null": st.none(),
    "List": st.lists(_word, max_size=3),
    "List of lists": st.lists(st.lists(_word, max_size=2), max_size=2),
    "List of numbers": st.lists(_whole, max_size=2),
    "Array": st.lists(_word, min_size=2, max_size=2),
    "Struct": st.fixed_dictionaries({"a": _word, "b": _whole}),
}
_FITTING = {
    "user": "String",
    "item": "String",
    "time": "Int64",
    "rating": "Float64",
    "title": "String",
    "categories": "List",
    "position": "Int64",
    "review": "String",
    "brand": "String",
}

Spec = tuple[int, dict[str, tuple[str, list[Any]]]]


def _column(name: str) -> st.SearchStrategy[tuple[str, list[Any]]]:
    """(kind, nine values); mostly of a kind that fits."""
    kinds = st.sampled_from([*[_FITTING[name]] * 12, *KINDS])
    return kinds.flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.lists(KINDS[kind] | st.none() if kind != _FITTING[name] else KINDS[kind], min_size=9, max_size=9),
        )
    )


def _frames() -> st.SearchStrategy[dict[str, tuple[str, list[Any]]]]:
    return st.fixed_dictionaries(
        {"user": _column("user"), "item": _column("item")}, optional={name: _column(name) for name in COLUMNS[2:]}
    )


def _dtype(kind: str) -> Any:
    import polars as pl

    made = {
        "Enum": pl.Enum(["a", "b", "c"]),
        "Decimal": pl.Decimal(38, 2),
        "Datetime ms": pl.Datetime("ms"),
        "Datetime us": pl.Datetime("us"),
        "Datetime ns": pl.Datetime("ns"),
        "Datetime zone": pl.Datetime("us", "Europe/Vienna"),
        "Duration": pl.Duration("us"),
        "List": pl.List(pl.String),
        "List of lists": pl.List(pl.List(pl.String)),
        "List of numbers": pl.List(pl.Int64),
        "Array": pl.Array(pl.String, 2),
        "Struct": pl.Struct({"a": pl.String, "b": pl.Int64}),
    }
    return made.get(kind) or getattr(pl, kind)


def _series(name: str, kind: str, values: list[Any]) -> Any:
    import polars as pl

    if kind == "Datetime zone":
        return pl.Series(name, values, pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    if kind == "Decimal":
        values = [None if value is None else Decimal(value) for value in values]
    return pl.Series(name, values, _dtype(kind), strict=False)


def typed(columns: dict[str, tuple[str, list[Any]]]) -> object:
    import polars as pl

    plain(Path("tables"), {})
    path = Path("tables/clicks.parquet")
    pl.DataFrame([_series(name, *column) for name, column in columns.items()]).write_parquet(path)
    return look(f"{path}{_ASKED}{''.join(f'&{name}={name}' for name in columns if name not in ('user', 'item'))}")


def damaged(content: bytes) -> object:
    plain(Path("tables"), {"clicks.parquet": content})
    return look(f"tables/clicks.parquet{_ASKED}")


def _files() -> st.SearchStrategy[bytes]:
    import io

    import polars as pl

    written = io.BytesIO()
    pl.DataFrame({"user": ["a", "a", "a", "b"], "item": ["x", "y", "z", "x"], "time": [1, 2, 3, 4]}).write_parquet(
        written
    )
    names = ("p_dur", "p_float_item", "p_nan_user", "p_late_title", "p_nested_cat")
    bases = [written.getvalue(), *(found for name in names if (found := case(f"{name}.parquet")) is not None)]
    return edited(bases)


TARGETS = (
    Target("parquet.types", _frames, typed, 3.0),
    Target("parquet.damaged", _files, damaged, 1.0),
)
