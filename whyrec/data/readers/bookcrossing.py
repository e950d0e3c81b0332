"""Book-Crossing as dumped: BX-Book-Ratings.csv, BX-Books.csv and BX-Users.csv, plain or .gz.

The dump is no CSV: fields stand in double quotes with semicolons between, a quote inside is written \\" and a missing
value NULL, in Latin-1. Ratings run from 1 to 10; 0 means that the book was touched and not rated, 62 % of the whole
dump. The papers keep these zeros and count them as dislikes; `?explicit` leaves them out.

There is no time: the order is the file's, which means nothing (spec 5.d).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from whyrec.data.raw import ITEM_SCHEMA, Raw
from whyrec.data.readers.files import find, need, read_lines
from whyrec.errors import UsageError

NAME = "bookcrossing"
_RATINGS, _BOOKS, _USERS = "BX-Book-Ratings.csv", "BX-Books.csv", "BX-Users.csv"
_FIELD = re.compile(r'"((?:[^"\\]|\\.|\\$|"(?!;|$))*)"|NULL')


def recognise(folder: Path) -> bool:
    """Whether the folder holds the ratings and the books."""
    return find(folder, _RATINGS) is not None and find(folder, _BOOKS) is not None


def read(folder: Path, options: Mapping[str, str]) -> Raw:
    """Read the folder; with the option `explicit`, without the ratings of 0.

    Raises:
        UsageError: a malformed line (names file and line), or a value of `explicit` that is neither yes nor no.
    """
    if options.get("explicit", "") not in ("", "yes", "no"):
        raise UsageError(f"explicit is yes or no, not {options['explicit']!r}.")
    explicit = options.get("explicit", "no") != "no"
    path = need(folder, _RATINGS)
    found = []
    for number, (user, isbn, rating) in records(path, 3):
        if not rating.isdecimal() or int(rating) > 10:
            raise UsageError(f"{path}, line {number}: the rating is {rating!r}, not a whole number from 0 to 10.")
        if not explicit or rating != "0":
            found.append((user, isbn, float(rating)))
    schema = {"user": pl.String, "item": pl.String, "rating": pl.Float32}
    rows = pl.DataFrame(found, schema=schema, orient="row")
    books = [_book(fields) for _, fields in records(need(folder, _BOOKS), 5)]
    items = pl.DataFrame(books, schema=ITEM_SCHEMA, orient="row").unique("id", keep="first", maintain_order=True)
    return Raw(NAME, rows, items, notes={"ratings of 0": "left out" if explicit else "kept, they count as dislikes"})


def records(path: Path, at_least: int) -> Iterator[tuple[int, list[str]]]:
    """(line number, the first `at_least` fields) of every line after the header; NULL is the empty text.

    Raises:
        UsageError: a line with fewer fields, or one that is not quoted.
    """
    for number, raw in read_lines(path):
        if number == 1:
            continue
        line = raw.decode("latin-1")
        fields: list[str] = []
        at = 0
        while len(fields) < at_least and (match := _FIELD.match(line, at)):
            fields.append((match[1] or "").replace('\\"', '"').strip())
            at = match.end() + 1
        if len(fields) < at_least:
            raise UsageError(
                f"{path}, line {number}: {len(fields)} quoted fields with semicolons between, where at least "
                f"{at_least} are expected."
            )
        yield number, fields


def _book(fields: list[str]) -> tuple[str, str, str, str, list[str]]:
    """(id, title, description, brand, categories) of a book: the author is its brand, the publisher its category."""
    isbn, title, author, year, publisher = fields
    told = f"First published or reprinted in {year}." if year.isdecimal() and len(year) == 4 else ""
    named = [] if publisher.lower() in ("", "n/a") else [publisher]
    return isbn, title, told, "" if author.lower() == "n/a" else author, named
