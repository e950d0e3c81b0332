"""Times as people write them, to the full resolution they have: unix seconds, and nanoseconds within the second.

Read are numbers (whole or not, also as text: 1593878000, 1593878000.5, 8.8e8), ISO dates and datetimes with or without
a zone (without one: UTC), and the date types of Parquet. Numbers are unix seconds; a column too large for these is
read as milli-, micro- or nanoseconds by its size, and the notes say so. Numbers that could as well be dates written in
digits (20190930) are refused, and so is a column of two units: `?clock=yyyymmdd`, `?clock=ms` say which is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from whyrec.data.readers.jsonlines import shown as as_shown
from whyrec.errors import UnknownNameError, UsageError

OPTION: Final = "clock"
YEAR_3000: Final = 32_503_680_000
_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NAMES: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DIGITS: Final = {"yyyymmdd": "%Y%m%d", "yyyymmddhhmm": "%Y%m%d%H%M", "yyyymmddhhmmss": "%Y%m%d%H%M%S"}
FORMS: Final = (*_UNITS, *_DIGITS)
_LEAST: Final = 10**11  # unix times from 1973 on are larger than this in milliseconds, and less in seconds
_ISO: Final = (
    r"^(?P<y>\d{4})[-/](?P<mo>\d{1,2})[-/](?P<d>\d{1,2})"
    r"(?:[Tt ]\s*(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9})\d*)?)?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|(?:[+-]\d{2}(?::?\d{2})?))?$"
)
Where: TypeAlias = Callable[[int], str]
Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Moments:
    """A column of times.

    Attributes:
        seconds: unix seconds (Int64), null where missing.
        nanos: nanoseconds within the second (Int32, never null); None where every time is a whole second.
        notes: how the column was read, where that is not plain.
    """

    seconds: pl.Series
    nanos: pl.Series | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> dict[str, pl.Series]:
        """For `DataFrame.with_columns`: `time`, and `nanos` where there is any."""
        return {"time": self.seconds} if self.nanos is None else {"time": self.seconds, "nanos": self.nanos}


def read(column: pl.Series, *, where: Where, form: str = "") -> Moments:
    """The times of a column.

    Args:
        column: numbers, text, dates or datetimes; null, NaN and empty text are missing times.
        where: "file, line 7" for a row, for the errors.
        form: how numbers are meant, one of FORMS; "" where nothing was said.

    Raises:
        UnknownNameError: no such form.
        UsageError: a value is no time, is after the year 3000, or could be meant in two ways.
    """
    if form and form not in FORMS:
        raise UnknownNameError("form of times (clock)", form, FORMS)
    kind = column.dtype
    if kind.is_numeric():
        whole = kind.is_integer() and kind != pl.UInt64 and kind not in (pl.Int128, pl.UInt128)
        found = _numbers(column.cast(pl.Int64 if whole else pl.Float64), column, where, form)
        if kind == pl.Float32:
            found.notes["times"] = "32-bit floats, which hold a time of today only to about two minutes"
        return found
    if kind in (pl.Date, pl.Datetime):
        return _instants(column)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return _texts(column.cast(pl.String), where, form)
    if kind == pl.Null:
        return Moments(column.cast(pl.Int64))
    name = str(kind.base_type()).lower()
    raise UsageError(
        f"{where(0)}: time is a column of {name}, which says no moment. A time is unix seconds, an ISO date or "
        "datetime, or a column of dates or timestamps."
    )


def _numbers(values: pl.Series, shown: pl.Series, where: Where, form: str) -> Moments:
    """Moments of an Int64 or Float64 column."""
    if values.dtype == pl.Float64:
        values = values.fill_nan(None)
        _refuse(values.is_infinite(), shown, where, "which is no time")
        if bool(((values.floor() == values) & (values.abs() < 2**53)).fill_null(True).all()):
            values = values.cast(pl.Int64)
    if values.dtype == pl.Int64:
        _refuse(values == -(2**63), shown, where, "which is no time")
    known = values.drop_nulls().to_numpy()
    if not len(known):
        return Moments(values.cast(pl.Int64))
    if form in _DIGITS:
        return _digits(values, shown, where, form)
    unit = form or _unit(values, known, shown, where)
    per_second = _UNITS[unit]
    _refuse(values.abs() > min(YEAR_3000 * per_second, 2**63 - 1), shown, where, _too_late(unit))
    notes = {} if unit == "s" or form else {"times": f"read as unix {_NAMES[unit]}, by their size"}
    if unit == "s" and values.dtype == pl.Int64:
        return Moments(values)
    filled = values.fill_null(0).to_numpy()
    if values.dtype == pl.Int64:
        seconds = filled // per_second
        nanos = (filled - seconds * per_second) * (10**9 // per_second)
    else:
        seconds = np.floor_divide(filled, per_second).astype(np.int64)
        micros = np.rint(np.mod(filled, per_second) * (10**6 / per_second)).astype(np.int64)
        seconds, nanos = seconds + micros // 10**6, micros % 10**6 * 1000
    return _moments(seconds, nanos, values.is_null(), notes)


def _unit(values: pl.Series, known: npt.NDArray[Any], shown: pl.Series, where: Where) -> str:
    """The unit that the largest number tells; refuses what could be meant in two ways."""
    form = _as_digits(known)
    if form:
        raise UsageError(
            f"{where(int((values != 0).fill_null(False).arg_max() or 0))}: the time {_first(known)} can be read as a "
            f"date ({form}) or as unix seconds or parts of them, and so can all others. Say which with ?clock={form} "
            "or ?clock=s (also ms, us, ns)."
        )
    largest = float(np.abs(known).max())
    unit = next((u for u in ("ns", "us", "ms") if largest >= _LEAST * _UNITS[u] // 1000), "s")
    if unit != "s":
        small = (values.abs() < _LEAST * _UNITS[unit] // 1000) & (values != 0)
        _refuse(
            small, shown, where,
            f"but the largest time is {largest:.0f}, which is {_NAMES[unit]}: two units in one column. Say which is "
            f"meant with ?clock={unit}, or mend the file",
        )  # fmt: skip
    return unit


def _as_digits(known: npt.NDArray[Any]) -> str:
    """The form in which every number is a date of 1900 to 2100 written in digits, "" if in none."""
    if known.dtype != np.int64:
        return ""
    latest = int(known.max())
    for form, scale in (("yyyymmdd", 1), ("yyyymmddhhmm", 10**4), ("yyyymmddhhmmss", 10**6)):
        if not 19000101 <= latest // scale <= 21001231:
            continue
        told = known[known != 0]
        days, clock = told // scale, told % scale
        month, day = days // 100 % 100, days % 100
        good = (days >= 19000101) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        while scale > 1:
            scale //= 100
            good &= clock // scale % 100 < (60 if scale < 10 ** (len(form) - 10) else 24)
        if good.all():
            return form
    return ""


def _digits(values: pl.Series, shown: pl.Series, where: Where, form: str) -> Moments:
    """Dates written in digits; 0 is a missing time."""
    text = values.cast(pl.Int64).replace(0, None).cast(pl.String).rename("text")
    parsed = text.to_frame().select(
        pl.when(pl.col("text").str.len_bytes() == len(form))
        .then(_calendar(pl.col("text"), form))
        .otherwise(pl.lit(None, pl.Int64))
    )["text"]
    _refuse(parsed.is_null() & text.is_not_null(), shown, where, f"which is no date of the form {form}")
    return Moments(parsed)


def _calendar(text: pl.Expr, form: str) -> pl.Expr:
    if form == "yyyymmdd":
        return text.str.to_date(_DIGITS[form], strict=False).cast(pl.Datetime("us")).dt.epoch("s")
    return text.str.to_datetime(_DIGITS[form], strict=False, time_unit="us").dt.epoch("s")


def _instants(column: pl.Series) -> Moments:
    """Dates and datetimes of any unit; without a zone they are UTC."""
    if column.dtype == pl.Date:
        return Moments(column.cast(pl.Datetime("us")).dt.epoch("s").cast(pl.Int64))
    unit = getattr(column.dtype, "time_unit", "us")
    filled = column.cast(pl.Int64).fill_null(0).to_numpy()
    seconds = filled // _UNITS[unit]
    return _moments(seconds, (filled - seconds * _UNITS[unit]) * (10**9 // _UNITS[unit]), column.is_null(), {})


def _texts(column: pl.Series, where: Where, form: str) -> Moments:
    """Numbers and ISO times written as text."""
    frame = pl.DataFrame({"text": column.str.strip_chars()}).with_columns(
        text=pl.when(pl.col("text") != "").then(pl.col("text"))
    )
    frame = frame.with_columns(whole=pl.col("text").cast(pl.Int64, strict=False))
    missing = frame["text"].is_null()
    if frame["whole"].null_count() == missing.sum():
        return _numbers(frame["whole"], column, where, form)
    frame = frame.with_columns(number=pl.col("text").cast(pl.Float64, strict=False))
    _refuse(~frame["number"].is_finite(), column, where, "which is no time")
    numbers = _numbers(frame["number"], column, where, form)
    if frame["number"].null_count() == missing.sum():
        return numbers
    iso = _iso(frame["text"])
    seconds = numbers.seconds.zip_with(numbers.seconds.is_not_null(), iso.seconds)
    _refuse(seconds.is_null() & ~missing, column, where, "which is neither a number nor an ISO date or datetime")
    _refuse(seconds.abs() > YEAR_3000, column, where, "which is after the year 3000")
    nanos = [part.nanos.to_numpy() for part in (numbers, iso) if part.nanos is not None]
    return _moments(seconds.fill_null(0).to_numpy(), sum(nanos, np.int64(0)), missing, numbers.notes)


def _iso(text: pl.Series) -> Moments:
    """ISO dates and datetimes; what is none is null."""
    parts = text.str.extract_groups(_ISO).struct.unnest()
    clock = [pl.col(c).fill_null("00") for c in ("h", "mi", "s")]
    day = pl.concat_str("y", pl.lit("-"), "mo", pl.lit("-"), "d", pl.lit(" "), *_between(clock))
    hours = pl.col("zone").str.extract(r"^([+-]\d{2})").cast(pl.Int64).fill_null(0)
    minutes = pl.col("zone").str.extract(r"^[+-]\d{2}:?(\d{2})$").cast(pl.Int64).fill_null(0)
    behind = pl.col("zone").str.starts_with("-").fill_null(False)
    offset = hours * 3600 + pl.when(behind).then(-minutes).otherwise(minutes) * 60
    fraction = pl.col("f").fill_null("0").str.pad_end(9, "0").cast(pl.Int64)
    out = parts.select(
        seconds=day.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us").dt.epoch("s") - offset,
        nanos=fraction,
    )
    return _moments(out["seconds"].fill_null(0).to_numpy(), out["nanos"].to_numpy(), out["seconds"].is_null(), {})


def _between(clock: list[pl.Expr]) -> list[pl.Expr]:
    colon = pl.lit(":")
    return [clock[0], colon, clock[1], colon, clock[2]]


def _moments(seconds: Ints, nanos: Any, missing: pl.Series, notes: dict[str, Any]) -> Moments:
    """Moments of arrays; where a time is missing both are without meaning."""
    nanos = np.where(missing.to_numpy(), 0, nanos)
    found = pl.Series("time", seconds).set(missing, None)
    return Moments(found, pl.Series("nanos", nanos.astype(np.int32)) if nanos.any() else None, notes)


def _refuse(bad: pl.Series, shown: pl.Series, where: Where, why: str) -> None:
    bad = bad.fill_null(False)
    if bad.any():
        _complain(int(bad.arg_max() or 0), shown, where, why)


def _complain(row: int, shown: pl.Series, where: Where, why: str) -> NoReturn:
    raise UsageError(f"{where(row)}: time is {as_shown(shown[row])}, {why}.")


def _first(known: npt.NDArray[Any]) -> Any:
    return known[np.flatnonzero(known)[0]]


def _too_late(unit: str) -> str:
    return f"which is after the year 3000 in unix {_NAMES[unit]}"
