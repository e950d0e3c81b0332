from datetime import UTC, date, datetime

import polars as pl
import pytest

from whyrec.data import load, read_table
from whyrec.data.corpus import NO_TIME
from whyrec.errors import UnknownNameError, UsageError

TEXT = "who,what,when,stars,name,tags\nu,1,20,5,One,a|b\nu,2,10,,Two,\nv,1,,2.5,ignored,c\n"
COLUMNS = {"user": "who", "item": "what", "time": "when", "rating": "stars", "title": "name", "categories": "tags"}


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv"])
def test_columns_by_name(write, name):
    c = read_table(write(name, TEXT.replace(",", "\t") if "tsv" in name else TEXT), **COLUMNS)
    assert c.name == name and c.user_ids.to_list() == ["u", "v"] and c.items.tolist() == [2, 1, 1]
    assert c.times.tolist() == [10, 20, NO_TIME] and c.ratings.tolist()[1:] == [5.0, 2.5]
    assert c.item(1).title == "One" and c.item(1).categories == ("a", "b") and c.item(2).categories == ()


def test_the_name_can_hold_the_columns(write, settings):
    write("t.csv", TEXT)
    c = load("t.csv?user=who&item=what&dedup&kcore=1", settings=settings)
    assert c.items.tolist() == [1, 2, 1] and c.times is None and c.ratings is None


def test_parquet(tmp_path):
    frame = pl.DataFrame({"u": [1, 1, 2], "i": ["a", "b", "a"], "t": [date(1970, 1, 2), date(1970, 1, 1), None]})
    frame = frame.with_columns(tags=pl.Series([["x"], [], None], dtype=pl.List(pl.String)))
    frame.write_parquet(tmp_path / "t.parquet")
    c = read_table(tmp_path / "t.parquet", user="u", item="i", time="t", categories="tags")
    assert c.user_ids.to_list() == ["1", "2"] and c.times.tolist() == [0, 86400, NO_TIME]
    assert c.item(1).categories == ("x",) and c.item(2).categories == ()


@pytest.mark.parametrize(
    "text",
    ["1577934245", "2020-01-02 03:04:05", "2020-01-02T03:04:05", "2020-01-02T03:04:05Z", "2020-01-02T04:04:05+01:00"],
)
def test_times_are_seconds_or_iso(write, text):
    c = read_table(write("t.csv", f"u,i,t\nx,y,{text}\n"), user="u", item="i", time="t")
    assert c.times.tolist() == [int(datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())]


def test_a_date_is_its_first_second(write):
    assert read_table(write("t.csv", "u,i,t\nx,y,1970-01-02\n"), user="u", item="i", time="t").times.tolist() == [86400]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"user": "who"}, "say which column is the item"),
        ({"user": "who", "item": "that"}, "no column 'that'. The columns are: who, what"),
        ({"user": "who", "item": "what", "time": "then"}, "no column 'then'"),
        ({"user": "who", "item": "who"}, "named twice"),
        ({"user": "who", "item": "what", "time": "name"}, "line 2: time is 'One'"),
        ({"user": "who", "item": "what", "rating": "name"}, "line 2: name is 'One', not a number"),
        ({"user": "who", "item": "what", "position": "stars"}, "line 3: stars is empty"),
    ],
)
def test_wrong_columns_name_the_file(write, columns, what):
    path = write("t.csv", TEXT)
    with pytest.raises(UsageError) as caught:
        read_table(path, **columns)
    assert str(path) in str(caught.value) and what in str(caught.value)


def test_wrong_parquet_cells_name_the_row(tmp_path):
    pl.DataFrame({"u": ["a", None], "i": ["x", "y"], "t": ["0", "0"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=r"t\.parquet, row 2: user is None"):
        read_table(tmp_path / "t.parquet", user="u", item="i")
    with pytest.raises(UsageError, match="no column 'z'"):
        read_table(tmp_path / "t.parquet", user="z", item="i")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(UsageError, match="cannot be read as a Parquet file"):
        read_table(tmp_path / "bad.parquet", user="u", item="i")


def test_unknown_columns_and_endings(write, settings, tmp_path):
    path = write("t.csv", TEXT)
    with pytest.raises(UnknownNameError, match="usr"):
        read_table(path, usr="who", item="what")
    with pytest.raises(UnknownNameError, match="Did you mean 'user'"):
        load(f"{path}?usr=who", settings=settings)
    with pytest.raises(UsageError, match=r"neither \.csv, \.tsv"):
        read_table(write("t.txt", TEXT), user="who", item="what")
    with pytest.raises(UsageError, match="no file"):
        read_table(tmp_path / "missing.csv", user="who", item="what")


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"u": [1.0, float("nan")]}, "row 2: u.* is nan|row 2: user is nan"),
        ({"u": [[1], [2]]}, "user is a column of list"),
        ({"r": [{"a": 1}, {"a": 2}]}, "rating is a column of struct"),
        ({"r": [date(2020, 1, 1)] * 2}, "rating is a column of date"),
        ({"p": [1.5, 2.0]}, "row 1: position is 1.5"),
        ({"c": [[[{"a": 1}]], None]}, "categories is a column of list"),
    ],
)
def test_parquet_types_that_fit_nothing_are_sentences(tmp_path, columns, what):
    names = {"u": "user", "r": "rating", "p": "position", "c": "categories"}
    pl.DataFrame({"u": ["a", "b"], "i": ["x", "y"]} | columns).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=what):
        read_table(tmp_path / "t.parquet", **({"user": "u", "item": "i"} | {names[c]: c for c in columns}))


def test_parquet_types_that_people_have(tmp_path):
    frame = pl.DataFrame({"u": [b"a", b"b"], "i": [1, 2], "p": [1.0, 0.0], "c": [[["A", " "], ["B", "A"]], None]})
    frame.with_columns(pl.col("i").cast(pl.UInt64)).write_parquet(tmp_path / "t.parquet")
    c = read_table(tmp_path / "t.parquet", user="u", item="i", position="p", categories="c")
    assert c.user_ids.to_list() == ["a", "b"] and c.item(1).categories == ("A", "B") and c.item(2).categories == ()


def test_a_table_knows_where_it_lies_as_load_does(write, settings):
    path = write("t.csv", TEXT)
    read, loaded = read_table(path, **COLUMNS), load(f"{path}?" + "&".join(f"{k}={v}" for k, v in COLUMNS.items()))
    assert read.source == loaded.source and read.digest == loaded.digest
