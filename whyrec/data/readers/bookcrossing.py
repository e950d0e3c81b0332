"""Book-Crossing as dumped: BX-Book-Ratings.csv, BX-Books.csv and BX-Users.csv, plain or .gz.

The dump is no CSV: fields stand in double quotes with semicolons between, a quote inside is written \\" and a missing
value NULL, in Latin-1. Some fields end in \\"; and have swallowed
the field after them: a line is cut there where only then its fields are what their columns hold. HTML entities are
unescaped. Ratings run from 1 to 10; 0 means that the book was touched and not rated, 62 % of the whole dump. The papers
keep these zeros and count them as dislikes; `?explicit` leaves them out.

There is no time: the order is the file's, which means nothing (spec 5.d).
"""

from __future__ import annotations

import html
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
    described = need(folder, _BOOKS)
    books = [_book(fields) for _, fields in records(described, 5, number=3)]
    items = pl.DataFrame(books, schema=ITEM_SCHEMA, orient="row")
    notes = {"ratings of 0": "left out" if explicit else "kept, they count as dislikes"}
    return Raw(NAME, rows, items, described.name, notes=notes)


def records(path: Path, at_least: int, number: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line number, the first `at_least` fields) of every line after the header; NULL is the empty text.

    Args:
        path: the file.
        at_least: fields that a line has.
        number: the place of a field that is a whole number, by which a line is known whose fields have moved.

    Raises:
        UsageError: a line with fewer fields, or one that is not quoted.
    """
    for at, raw in read_lines(path):
        if at == 1:
            continue
        written = _fields(raw.decode("latin-1"))
        if not _fits(written, at_least, number) and _fits(cut := _cut(written), at_least, number):
            written = cut
        fields = [field.replace('\\"', '"').strip() for field in written[:at_least]]
        if len(fields) < at_least:
            raise UsageError(
                f"{path}, line {at}: {len(fields)} quoted fields with semicolons between, where at least "
                f"{at_least} are expected."
            )
        yield at, fields


def _fields(line: str) -> list[str]:
    """What stands between the quotes, escapes untouched."""
    fields, at = [], 0
    while match := _FIELD.match(line, at):
        fields.append(match[1] or "")
        at = match.end() + 1
    return fields


def _fits(fields: list[str], at_least: int, number: int | None) -> bool:
    return len(fields) >= at_least and (number is None or fields[number].strip().isdecimal())


def _cut(fields: list[str]) -> list[str]:
    """The fields with the first that holds an escaped quote and a semicolon cut there."""
    for at, field in enumerate(fields):
        head, end, tail = field.partition('\\";')
        if end:
            return [*fields[:at], head, tail.removeprefix('"'), *fields[at + 1 :]]
    return fields


def _book(fields: list[str]) -> tuple[str, str, str, str, list[str]]:
    """(id, title, description, brand, categories) of a book: the author is its brand, the publisher its category."""
    isbn, title, author, year, publisher = (html.unescape(field) for field in fields)
    told = f"First published or reprinted in {year}." if year.isdecimal() and len(year) == 4 else ""
    named = [] if publisher.lower() in ("", "n/a") else [publisher]
    return isbn, title, told, "" if author.lower() == "n/a" else author, named
