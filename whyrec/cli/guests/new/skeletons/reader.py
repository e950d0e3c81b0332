"""taste: a file format of your own: folders with `events.taste`, one event a line.

    whyrec data stats FOLDER

The format read here: USER, ITEM, unix seconds and the item's title, separated by bars. `recognise` looks at names only;
`read` gives rows and items, and whyrec sorts, filters and splits them as it does any other data. docs/plugins.md
explains each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from whyrec.data.raw import ITEM_SCHEMA, Raw
from whyrec.data.readers import Reader
from whyrec.errors import UsageError

FILE = "events.taste"


def recognise(path: Path) -> bool:
    """Whether a folder holds this format."""
    return (path / FILE).is_file()


def read(path: Path, options: Mapping[str, str]) -> Raw:
    """The events in file order, and the items they are about.

    Raises:
        UsageError: a malformed line; names file and line.
    """
    del options
    rows: list[tuple[str, str, int]] = []
    titles: dict[str, str] = {}
    for number, line in enumerate((path / FILE).read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split("|")
        if len(parts) != 4 or not parts[2].isdecimal():
            raise UsageError(f"{path / FILE}, line {number}: USER|ITEM|SECONDS|TITLE is wanted, not {line[:80]!r}.")
        user, item, seconds, title = parts
        rows.append((user, item, int(seconds)))
        titles.setdefault(item, title)
    items = pl.DataFrame(
        {"id": list(titles), "title": list(titles.values())}, schema={"id": pl.String, "title": pl.String}
    ).with_columns(description=pl.lit(""), brand=pl.lit(""), categories=pl.lit([], dtype=pl.List(pl.String)))
    events = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "time": pl.Int64}, orient="row")
    return Raw("taste", events, items.select(ITEM_SCHEMA.names()).cast(ITEM_SCHEMA), FILE)


READER = Reader("taste", recognise, read)
