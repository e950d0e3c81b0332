"""The Book-Crossing dump: semicolons, quotes written as \\", NULL, Latin-1, zeros for what was not rated."""

from __future__ import annotations

import pytest

from whyrec.data import load
from whyrec.errors import UsageError

HEAD = '"User-ID";"ISBN";"Book-Rating"\n'
BOOKS = (
    '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"\n'
    '"A1";"The \\"Blue\\"; Book &amp; I";"Am\u00e9lie N.";"1999";"Zebra";"http://x";"";""\n'
    '"A2";"Second";"n/a";"0";"N/A";"";"";""\n'
)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_rows_and_books(write, settings, end):
    write(f"bx/BX-Book-Ratings.csv{end}", HEAD + '"7";"A1";"0"\n"7";"A2";"8"\r\n"9";"A1";"10"\n', "latin-1")
    write(f"bx/BX-Books.csv{end}", BOOKS, "latin-1")
    corpus = load("bx", settings=settings)
    assert corpus.user_ids.to_list() == ["7", "9"] and corpus.ratings.tolist() == [0.0, 8.0, 10.0]
    book = corpus.item(1)
    assert (book.title, book.brand, book.categories) == ('The "Blue"; Book & I', "Am\u00e9lie N.", ("Zebra",))
    assert "1999" in book.description
    assert (corpus.item(2).brand, corpus.item(2).categories, corpus.item(2).description) == ("", (), "")
    assert corpus.times is None and corpus.notes["order"] == "file" and corpus.notes["format"] == "bookcrossing"


def test_explicit_leaves_the_zeros_out(write, settings):
    write("bx/BX-Book-Ratings.csv", HEAD + '"7";"A1";"0"\n"7";"A2";"8"\n')
    write("bx/BX-Books.csv", BOOKS, "latin-1")
    assert load("bx?explicit", settings=settings).ratings.tolist() == [8.0]
    with pytest.raises(UsageError, match="yes or no, not 'maybe'"):
        load("bx?explicit=maybe", settings=settings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"7";"A1"', "2 quoted fields"),
        ("7;A1;5", "0 quoted fields"),
        ('"7";"A1";"eleven"', "'eleven'"),
        ('"7";"A1";"11"', "'11'"),
    ],
)
def test_a_malformed_line_is_named(write, settings, line, said):
    write("bx/BX-Book-Ratings.csv", HEAD + '"7";"A1";"5"\n' + line + "\n")
    write("bx/BX-Books.csv", BOOKS, "latin-1")
    with pytest.raises(UsageError, match=rf"BX-Book-Ratings\.csv, line 3: .*{said}"):
        load("bx", settings=settings)


@pytest.mark.parametrize(
    "line",
    [
        r'"A1";"Title\";An Author";"1999";"Zebra";"";"";"";""',
        r'"A1";"Title\";"An Author";"1999";"Zebra";"";"";""',
        r'"A1";"Title";"An Author\";1999";"Zebra";"";"";""',
    ],
)
def test_a_field_that_swallowed_the_next_is_cut(write, settings, line):
    write("bx/BX-Book-Ratings.csv", HEAD + '"7";"A1";"5"\n')
    write("bx/BX-Books.csv", BOOKS.partition("\n")[0] + f"\n{line}\n", "latin-1")
    book = load("bx", settings=settings).item(1)
    assert (book.title, book.brand, book.categories) == (
        "Title",
        "An Author",
        ("Zebra",),
    ) and "1999" in book.description
