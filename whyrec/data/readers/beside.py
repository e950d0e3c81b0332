"""An item table in a file of its own, beside a table of events: `clicks.csv?user=who&item=what&items=products.csv`.

The file is .csv, .tsv, .jsonl (plain or .gz) or .parquet. Its ids stand in the column that `items_id` names, else in
the one that is called like the events' item column, else in item_id, item or id. Its texts stand in the columns that
title, description, brand and categories name, else in those that are called so (categories: also genres).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from whyrec.data.raw import ITEM_SCHEMA
from whyrec.data.readers import jsonlines, named_columns
from whyrec.data.readers.delimited import listed
from whyrec.data.readers.foreign import sentences
from whyrec.data.readers.jsonlines import Mended, Record
from whyrec.errors import UsageError

OPTION, ID = "items", "items_id"
TOLD = (*named_columns.TEXTS, "categories")
_IDS = ("item_id", "item", "id")
_ALSO = {"categories": "genres"}


def settled(events: Path, options: Mapping[str, str]) -> dict[str, str]:
    """The options with the item file's whole path, so that it is found from any folder."""
    named = options.get(OPTION)
    return dict(options) if named is None else {**options, OPTION: str(find(events, named).resolve())}


def find(events: Path, name: str) -> Path:
    """The file of this name: as it is given, else beside the events.

    Raises:
        UsageError: it is in neither place.
    """
    for path in (Path(name).expanduser(), events.parent / name):
        if path.is_file():
            return path
    raise UsageError(f"items={name}: there is no such file, neither here ({Path.cwd()}) nor beside {events}.")


def read(path: Path, item: str, options: Mapping[str, str], mended: Mended) -> pl.DataFrame:
    """The items, as ITEM_SCHEMA says.

    Args:
        path: the file.
        item: what the events call their item column.
        options: `items_id`, and names of columns of texts.
        mended: counts records with half a character.

    Raises:
        UsageError: it is in no format that is known, has no column of ids or none of texts, or a line is malformed.
    """
    if path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
        return _of_records(path, item, options, mended)
    if not named_columns.is_table(path):
        raise UsageError(f"{path} is neither .csv, .tsv, .jsonl (plain or .gz) nor .parquet.")
    columns = _columns(path, named_columns.names(path), item, options)
    frame, where = named_columns.read(path, columns)
    with sentences(path, "a table of items"):
        return named_columns.items_of(named_columns.typed(frame, where)[0])


def _of_records(path: Path, item: str, options: Mapping[str, str], mended: Mended) -> pl.DataFrame:
    rows: list[tuple[str, str, str, str, list[str]]] = []
    columns: dict[str, str] = {}
    for record in jsonlines.read(path, mended):
        if not rows:
            columns = _columns(path, list(record.fields), item, options)
        rows.append(_row(record, columns))
    if not rows:
        raise UsageError(f"{path} is empty.")
    return pl.DataFrame(rows, schema=ITEM_SCHEMA, orient="row")


def _row(record: Record, columns: Mapping[str, str]) -> tuple[str, str, str, str, list[str]]:
    title, description, brand = (record.text(columns[c]) if c in columns else "" for c in named_columns.TEXTS)
    categories = record.texts(columns["categories"]) if "categories" in columns else []
    return record.key(columns["item"]), title, description, brand, categories


def _columns(path: Path, there: list[str], item: str, options: Mapping[str, str]) -> dict[str, str]:
    """Our name -> the file's, of the ids and of every text that it has."""
    told = options.get(ID)
    ids = [name for name in ((told,) if told else (item, *_IDS)) if name in there]
    if not ids:
        raise UsageError(
            f"{path} has no column {told or item!r} of item ids. The columns are: {listed(there)}. "
            f"Say which it is, as in &{ID}={there[0] if there else '...'}."
        )
    named = {c: options[c] for c in TOLD if c in options}
    for ours, theirs in named.items():
        if theirs not in there:
            raise UsageError(f"{path} has no column {theirs!r} ({ours}). The columns are: {listed(there)}.")
    found = {c: c if c in there else _ALSO.get(c, c) for c in TOLD}
    free = {c: name for c, name in found.items() if name in there and name not in (ids[0], *named.values())}
    texts = {c: (free | named)[c] for c in TOLD if c in free or c in named}
    if not texts:
        raise UsageError(
            f"{path} has no column called {', '.join(TOLD)}. The columns are: {listed(there)}. Say which is the title, "
            "as in &title=..."
        )
    return {"item": ids[0], **texts}
