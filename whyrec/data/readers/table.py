"""Any CSV or Parquet file, by naming its columns: nothing about them is guessed.

    read_table("clicks.csv", user="customer", item="sku", time="at", title="name")
    load("clicks.csv?user=customer&item=sku&time=at")

Columns user and item are needed; position, time, rating and review belong to the event; title, description, brand
and categories belong to the item, and of each the first that is not blank is taken (categories: a list, also of lists,
or text split at '|'). `time` is read as whyrec/data/readers/clock.py says, and `clock` says how numbers in it are meant
where they could be meant in two ways. `items` names a file of its own for the items (whyrec/data/readers/beside.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from typing_extensions import Unpack

from whyrec.data import address
from whyrec.data.corpus import Corpus
from whyrec.data.joining import rules_of
from whyrec.data.prepare import prepare
from whyrec.data.raw import Raw, no_items
from whyrec.data.readers import beside, clock, named_columns
from whyrec.data.readers.foreign import sentences
from whyrec.data.readers.jsonlines import Mended
from whyrec.errors import UnknownNameError, UsageError

NAME = "table"
_EVENT = ("user", "item", "position", "time", "rating", "review")
_ITEM = ("title", "description", "brand", "categories")
OPTIONS = (*_EVENT, *_ITEM, beside.OPTION, beside.ID, clock.OPTION)


class Columns(TypedDict, total=False):
    """Names of columns, the file of the items and its column of ids, and how numbers are times (`clock.FORMS`)."""

    user: str
    item: str
    position: str
    time: str
    rating: str
    review: str
    title: str
    description: str
    brand: str
    categories: str
    items: str
    items_id: str
    clock: str


def read_table(
    path: str | Path, *, min_events: int = 0, dedup: bool = False, ids: str = "", **columns: Unpack[Columns]
) -> Corpus:
    """A corpus from one table, plain .csv, .tsv (either may be .gz) or .parquet.

    Args:
        path: the file.
        min_events: k-core, 0 for none.
        dedup: keep only the first event of each user and item.
        ids: spellings of ids that do not count (`joining.RULES`), as in "float,zeros".
        **columns: the table's name for each column of `Columns`; user and item are needed.

    Raises:
        UsageError: a missing column or a malformed line; names file and line (Parquet: row).
    """
    named = {k: str(v) for k, v in columns.items()}
    with sentences(Path(path), "a table"):
        raw = read(Path(path), named)
        corpus = prepare(raw, Path(path).name, dedup=dedup, min_events=min_events, ids=rules_of(ids))
    options = (
        beside.settled(Path(path), named)
        | ({"dedup": ""} if dedup else {})
        | ({"kcore": str(min_events)} if min_events else {})
    )
    return replace(corpus, source=address.place(Path(path), options | ({"ids": ids} if ids else {})))


def recognise(path: Path) -> bool:
    """Whether the path ends like a table."""
    return named_columns.is_table(path)


def read(path: Path, options: Mapping[str, str]) -> Raw:
    """Read the table; `options` maps our column names to the table's, and `clock` says how numbers are times.

    Raises:
        UnknownNameError: an option that is no column.
        UsageError: user or item is not named, a column is missing, a malformed value.
    """
    for option in options:
        if option not in OPTIONS:
            raise UnknownNameError("column", option, OPTIONS)
    apart = beside.OPTION in options
    columns = {name: options[name] for name in (_EVENT if apart else (*_EVENT, *_ITEM)) if name in options}
    if missing := [c for c in ("user", "item") if not columns.get(c)]:
        raise UsageError(
            f"{path}: say which column is the {missing[0]}, as in {path.name}?user=...&item=... "
            f"(columns that can be named: {', '.join((*_EVENT, *_ITEM))})."
        )
    if beside.ID in options and not apart:
        raise UsageError(f"{beside.ID} names a column of the file of items; say which file, as in &items=products.csv.")
    if not path.exists():
        raise UsageError(f"There is no file {path}.")
    frame, where = named_columns.read(path, columns)
    with sentences(path, "a table"):
        frame, notes = named_columns.typed(frame, where, options.get(clock.OPTION, ""))
    rows = frame.select([c for c in (*_EVENT, "nanos") if c in frame.columns])
    if apart:
        mended, source = Mended(), beside.find(path, options[beside.OPTION])
        items = beside.read(source, columns["item"], options, mended)
        return Raw(NAME, rows, items, source.name, notes={**notes, **mended.notes()})
    with sentences(path, "a table"):
        items = named_columns.items_of(frame) if any(c in columns for c in _ITEM) else no_items()
    return Raw(NAME, rows, items, notes=notes)
