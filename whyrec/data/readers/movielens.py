"""MovieLens as downloaded: 100K (u.data, u.item), 1M (ratings.dat, movies.dat), latest (ratings.csv, movies.csv).

The older editions are in Latin-1 as published, and in UTF-8 where somebody saved them anew (10M is): both are read.
Where an items.jsonl lies beside them (plots, in ../shared/data/ml-1m), item text comes from there, genres included.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from whyrec.data.raw import Raw
from whyrec.data.readers import clock, delimited
from whyrec.data.readers.delimited import CSV, UTF_8_OR_LATIN_1, Dialect, Field
from whyrec.data.readers.files import find, need
from whyrec.data.readers.interactions import read_items
from whyrec.data.readers.jsonlines import Mended

NAME = "movielens"
OPTIONS = (clock.OPTION,)
_DAT = Dialect("::", header=False, quoted=False, encoding=UTF_8_OR_LATIN_1)
_U_DATA = Dialect("\t", header=False, quoted=False, encoding=UTF_8_OR_LATIN_1)
_U_ITEM = Dialect("|", header=False, quoted=False, encoding=UTF_8_OR_LATIN_1)
_RATINGS = [Field("user", "int"), Field("item", "int"), Field("rating", "float"), Field("time", "time")]
# fmt: off
_GENRES = (  # the order of u.item's columns
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
# fmt: on


def recognise(folder: Path) -> bool:
    """Whether the folder holds one of the three editions."""
    return any(find(folder, a) and find(folder, b) for a, b in _EDITIONS)


def read(folder: Path, options: Mapping[str, str]) -> Raw:
    """Read the folder; the option `clock` says how numbers are times.

    Raises:
        UsageError: a malformed line or a time that cannot be read; names file and line.
    """
    edition = next((a, b) for a, b in _EDITIONS if find(folder, a) and find(folder, b))
    movies_file = need(folder, edition[1])
    rows, movies = _EDITIONS[edition](need(folder, edition[0]), movies_file)
    dialect = CSV if edition[0].endswith(".csv") else _DAT if edition[0].endswith(".dat") else _U_DATA
    times = clock.read(
        rows["time"],
        where=lambda row: delimited.place(need(folder, edition[0]), row, dialect=dialect),
        form=options.get(clock.OPTION, ""),
    )
    mended, text = Mended(), find(folder, "items.jsonl")
    items = read_items(text, mended) if text else movies
    rows = rows.with_columns(pl.col("rating").cast(pl.Float32), **times.columns())
    return Raw(NAME, rows, items, (text or movies_file).name, notes={**times.notes, **mended.notes()})


def _read_100k(ratings: Path, movies: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    fields = [Field("item"), Field("title", required=False)]
    fields += [Field(n, required=False) for n in ("released", "video", "address")]
    fields += [Field(g, "int") for g in _GENRES]
    table = delimited.read(movies, fields, dialect=_U_ITEM)
    genres = pl.concat_list(
        pl.when(pl.col(g) == 1).then(pl.lit(g)).otherwise(pl.lit(None, pl.String)) for g in _GENRES
    ).list.drop_nulls()
    return delimited.read(ratings, _RATINGS, dialect=_U_DATA), _items(table, genres)


def _read_1m(ratings: Path, movies: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    table = delimited.read(movies, [Field("item"), Field("title"), Field("genres")], dialect=_DAT)
    return delimited.read(ratings, _RATINGS, dialect=_DAT), _items(table, pl.col("genres").str.split("|"))


def _read_latest(ratings: Path, movies: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    names = {"userId": "user", "movieId": "item", "rating": "rating", "timestamp": "time"}
    fields = [Field("userId", "int"), Field("movieId", "int"), Field("rating", "float"), Field("timestamp", "time")]
    rows = delimited.read(ratings, fields, dialect=CSV).rename(names)
    table = delimited.read(movies, [Field("movieId"), Field("title"), Field("genres")]).rename({"movieId": "item"})
    none = pl.col("genres") == "(no genres listed)"
    genres = pl.when(none).then(pl.lit([], pl.List(pl.String))).otherwise(pl.col("genres").str.split("|"))
    return rows, _items(table, genres)


def _items(table: pl.DataFrame, genres: pl.Expr) -> pl.DataFrame:
    empty = pl.lit("")
    return table.select(
        id="item", title="title", description=empty, brand=empty, categories=genres.cast(pl.List(pl.String))
    )


_EDITIONS = {
    ("u.data", "u.item"): _read_100k,
    ("ratings.dat", "movies.dat"): _read_1m,
    ("ratings.csv", "movies.csv"): _read_latest,
}
