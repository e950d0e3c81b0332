"""Times as people write them: what each spelling means, and what is refused."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest

from whyrec.data.readers import clock
from whyrec.errors import UnknownNameError, UsageError


def read(values, form="", **options):
    column = values if isinstance(values, pl.Series) else pl.Series(values, **options)
    return clock.read(column, where=lambda row: f"f, row {row + 1}", form=form)


def unix(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp())


NOON = unix(2020, 7, 5, 12)


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1593878000", 1593878000, 0),
        (" 1593878000.0 ", 1593878000, 0),
        ("8.8e8", 880000000, 0),
        ("1593878000.25", 1593878000, 250_000_000),
        ("-0.5", -1, 500_000_000),
        ("1593878000123", 1593878000, 123_000_000),
        ("1593878000123456", 1593878000, 123_456_000),
        ("1593878000123456789", 1593878000, 123_456_789),
        ("2020-07-05", NOON - 43200, 0),
        ("2020-7-5 12:00", NOON, 0),
        ("2020/07/05 12:00:00", NOON, 0),
        ("2020-07-05 12:00:00.000", NOON, 0),
        ("2020-07-05T12:00:00,123456789", NOON, 123_456_789),
        ("2020-07-05T12:00:00.5Z", NOON, 500_000_000),
        ("2020-07-05T14:00:00+02:00", NOON, 0),
        ("2020-07-05 06:30:00 -0530", NOON, 0),
        ("2020-07-05 12:00:00 UTC", NOON, 0),
        ("1969-12-31T23:59:59.5", -1, 500_000_000),
    ],
)
def test_text(text, seconds, nanos):
    found = read([text, None, ""])
    assert found.seconds.to_list() == [seconds, None, None]
    assert ([] if found.nanos is None else found.nanos.to_list()) == ([nanos, 0, 0] if nanos else [])


@pytest.mark.parametrize(
    ("column", "seconds", "nanos"),
    [
        (pl.Series([1.5, float("nan"), None]), [1, None, None], [500_000_000, 0, 0]),
        (pl.Series([1.0, 2.0]), [1, 2], None),
        (pl.Series([date(1970, 1, 2), None]), [86400, None], None),
        (pl.Series([datetime(2020, 7, 5, 12, 0, 0, 7)]), [NOON], [7000]),
        (pl.Series([datetime(2020, 7, 5, 12)]).cast(pl.Datetime("ms")), [NOON], None),
        (pl.Series([datetime(2020, 7, 5, 12)]).cast(pl.Datetime("ns")) + timedelta(microseconds=1), [NOON], [1000]),
        (pl.Series([5], dtype=pl.UInt64), [5], None),
        (pl.Series(["7"], dtype=pl.Categorical), [7], None),
        (pl.Series([None, None]), [None, None], None),
    ],
)
def test_columns_of_parquet(column, seconds, nanos):
    found = read(column)
    assert found.seconds.to_list() == seconds and (None if found.nanos is None else found.nanos.to_list()) == nanos


def test_a_unit_told_by_size_is_noted_and_one_that_was_named_is_not():
    assert read([1593878000123]).notes == {"times": "read as unix milliseconds, by their size"}
    assert read([1593878000123], "ms").notes == {} == read([1593878000]).notes
    assert "two minutes" in read(pl.Series([1.5e9], dtype=pl.Float32)).notes["times"]


@pytest.mark.parametrize(
    ("values", "form", "seconds"),
    [
        ([20190930, 0], "yyyymmdd", [unix(2019, 9, 30), None]),
        ([201909301215], "yyyymmddhhmm", [unix(2019, 9, 30, 12, 15)]),
        (["20190930121530"], "yyyymmddhhmmss", [unix(2019, 9, 30, 12, 15, 30)]),
        ([20190930], "s", [20190930]),
        ([20190930], "ms", [20190]),
    ],
)
def test_numbers_are_what_the_form_says(values, form, seconds):
    assert read(values, form).seconds.to_list() == seconds


@pytest.mark.parametrize(
    ("values", "form", "what"),
    [
        ([0, 20190930, 20191001], "", "row 2: the time 20190930 can be read as a date .yyyymmdd. or as unix seconds"),
        ([201909301215], "", "yyyymmddhhmm"),
        ([20190930121530], "", "yyyymmddhhmmss"),
        ([20190931], "yyyymmdd", "row 1: time is 20190931, which is no date"),
        ([1593878000123, 1593878000], "", "row 2: time is 1593878000, but the largest .* milliseconds"),
        ([32503680001], "", "after the year 3000"),
        (["9999-12-31"], "", "after the year 3000"),
        ([1.0, float("inf")], "", "row 2: time is inf"),
        (["1", "nan"], "", "row 2: time is 'nan'"),
        (["2020-02-30"], "", "neither a number nor an ISO"),
        (["07/05/2020"], "", "neither a number nor an ISO"),
        ([-(2**63)], "", "which is no time"),
        (pl.Series([timedelta(1)]), "", "a column of duration"),
        (pl.Series([time(1)]), "", "a column of time"),
        (pl.Series([True]), "", "a column of boolean"),
        (pl.Series([[1]]), "", "a column of list"),
    ],
)
def test_what_says_no_moment_is_refused(values, form, what):
    with pytest.raises(UsageError, match=what):
        read(values, form)


def test_numbers_that_only_begin_like_dates_are_seconds():
    assert read([20190930, 20191301]).seconds.to_list() == [20190930, 20191301], "there is no month 13"


def test_an_unknown_form_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="yyyymmdd"):
        read([1], "dmy")
