"""The common schema: interactions.csv, items.jsonl, reviews.jsonl (each plain or .gz), as in ../shared/data.

`interactions.csv` has user_id, item_id and any of position, timestamp, rating. `items.jsonl` has item_id and any of
title, description, brand, categories (flat or nested) or genres. `reviews.jsonl` has user_id, item_id, and summary
and text; a user who reviewed an item twice has two reviews, matched in file order. `?clock=` says how numbers in
`timestamp` are meant where they could be meant in two ways (whyrec/data/readers/clock.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from whyrec.data.raw import ITEM_SCHEMA, Raw, no_items
from whyrec.data.readers import clock, delimited, jsonlines
from whyrec.data.readers.delimited import Field
from whyrec.data.readers.files import find, need
from whyrec.data.readers.jsonlines import Mended
from whyrec.errors import UsageError

NAME = "interactions"
OPTIONS = (clock.OPTION,)
_COLUMNS = [
    Field("user_id"),
    Field("item_id"),
    Field("position", "int", required=False),
    Field("timestamp", "time", required=False),
    Field("rating", "float", required=False),
]


def recognise(folder: Path) -> bool:
    """Whether the folder holds this format."""
    return find(folder, "interactions.csv") is not None


def read(folder: Path, options: Mapping[str, str]) -> Raw:
    """Read the folder; the option `clock` says how numbers are times.

    Raises:
        UsageError: a malformed line, a time that cannot be read, a missing position, a review without an interaction.
    """
    path = need(folder, "interactions.csv")
    rows = delimited.read(path, _COLUMNS)
    rows = rows.rename({"user_id": "user", "item_id": "item", "timestamp": "time"}, strict=False)
    if "position" in rows.columns and rows["position"].null_count():
        line = int(rows["position"].is_null().arg_max() or 0) + 2
        raise UsageError(f"{path}, line {line}: position is empty. Where the column exists, every row needs one.")
    if "rating" in rows.columns:
        rows = rows.with_columns(pl.col("rating").cast(pl.Float32))
    notes: dict[str, Any] = {}
    if "time" in rows.columns:
        times = clock.read(
            rows["time"], where=lambda row: delimited.place(path, row), form=options.get(clock.OPTION, "")
        )
        rows, notes = rows.with_columns(**times.columns()), times.notes
    mended = Mended()
    if reviews := find(folder, "reviews.jsonl"):
        rows = rows.with_columns(match_reviews(rows, reviews, mended))
    items = find(folder, "items.jsonl")
    texts = read_items(items, mended) if items else no_items()
    return Raw(NAME, rows, texts, items.name if items else "", notes={**notes, **mended.notes()})


def read_items(path: Path, mended: Mended) -> pl.DataFrame:
    """Items of a JSON-lines file with item_id, as ITEM_SCHEMA says; half characters are counted in `mended`."""
    rows = []
    for r in jsonlines.read(path, mended):
        categories = r.texts("categories") or r.texts("genres")
        rows.append((r.key("item_id"), r.text("title"), r.text("description"), r.text("brand"), categories))
    return pl.DataFrame(rows, schema=ITEM_SCHEMA, orient="row")


def match_reviews(rows: pl.DataFrame, path: Path, mended: Mended) -> pl.Series:
    """The review text of each row: the k-th review of (user, item) in the file goes to the k-th such row."""
    found = [
        (r.key("user_id"), r.key("item_id"), join(r.text("summary"), r.text("text")))
        for r in jsonlines.read(path, mended)
    ]
    reviews = pl.DataFrame(found, schema={"user": pl.String, "item": pl.String, "review": pl.String}, orient="row")
    if reviews.select("user", "item").equals(rows.select("user", "item")):
        return reviews["review"]
    nth = pl.int_range(pl.len()).over("user", "item").alias("nth")
    keys = ["user", "item", "nth"]
    rows, reviews = rows.select("user", "item").with_columns(nth), reviews.with_columns(nth)
    stray = reviews.join(rows, on=keys, how="anti")
    if stray.height:
        user, item = stray.row(0)[:2]
        raise UsageError(f"{path}: the review of item {item} by user {user} has no row in interactions.csv.")
    return rows.join(reviews, on=keys, how="left", maintain_order="left")["review"].fill_null("")


def join(summary: str, text: str) -> str:
    """A review in one string: the summary, a line break, the text; either may be missing."""
    return "\n".join(part for part in (summary.strip(), text.strip()) if part)
