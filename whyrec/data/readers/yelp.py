"""The Yelp Open Dataset: yelp_academic_dataset_review.json and yelp_academic_dataset_business.json, plain or .gz.

`?year=2019` keeps the reviews of one calendar year, the cut of S3-Rec (2019-01-01..2019-12-31, spec 1.1); add
`&dedup&kcore=5` for the de-duplicated setting of spec 9.5. The review file is streamed, and only the reviews kept
are held. Dates are read as UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from whyrec.data.joining import Met
from whyrec.data.raw import ITEM_SCHEMA, Raw
from whyrec.data.readers import jsonlines
from whyrec.data.readers.files import find, need
from whyrec.data.readers.jsonlines import Mended
from whyrec.errors import UsageError

NAME = "yelp"
_SCHEMA = {
    "user": pl.String, "item": pl.String, "time": pl.Int64, "nanos": pl.Int32, "rating": pl.Float64,
    "review": pl.String,
}  # fmt: skip
_REVIEWS, _BUSINESSES = "yelp_academic_dataset_review.json", "yelp_academic_dataset_business.json"


def recognise(folder: Path) -> bool:
    """Whether the folder holds the review file."""
    return find(folder, _REVIEWS) is not None


def read(folder: Path, options: Mapping[str, str]) -> Raw:
    """Read the folder, or one `year` of it.

    Raises:
        UsageError: a malformed line, or a year that is not four digits.
    """
    year = options.get("year", "")
    if year and not (year.isdecimal() and len(year) == 4):
        raise UsageError(f"The option year={year!r} of {folder.name} is not a year of four digits.")
    found, mended = [], Mended()
    for r in jsonlines.read(need(folder, _REVIEWS), mended):
        date = r.text("date")
        if year and not date.startswith(f"{year}-"):
            continue
        found.append(
            (r.key("user_id"), r.key("business_id"), *_moment(r, date), r.number("stars"), r.text("text").strip())
        )
    rows = pl.DataFrame(found, schema=_SCHEMA, orient="row")
    rows = rows if (rows["nanos"] != 0).any() else rows.drop("nanos")
    met, businesses = Met(rows["item"]), need(folder, _BUSINESSES)
    items = [_item(r) for r in jsonlines.read(businesses, mended) if met.near(r.fields.get("business_id"))]
    table = pl.DataFrame(items, schema=ITEM_SCHEMA, orient="row")
    notes: dict[str, Any] = {"year": year} if year else {}
    return Raw(NAME, rows, table, businesses.name, notes=notes | mended.notes())


def _moment(record: jsonlines.Record, date: str) -> tuple[int, int]:
    """Unix seconds and nanoseconds within the second."""
    try:
        moment = datetime.fromisoformat(date)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.replace(microsecond=0).timestamp()), moment.microsecond * 1000
    except (ValueError, OverflowError):
        record.complain(f"date is {jsonlines.shown(date)}, where YYYY-MM-DD HH:MM:SS is expected")


def _item(record: jsonlines.Record) -> tuple[str, str, str, str, list[str]]:
    categories = [c.strip() for c in record.text("categories").split(",") if c.strip()]
    return record.key("business_id"), record.text("name"), "", "", categories
