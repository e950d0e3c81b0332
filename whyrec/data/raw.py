"""What every reader hands over: rows as they stand in the file, and the text of the items. Nothing is decided yet.

Readers only read; ordering, duplicates, k-core and numbering happen once, in whyrec/data/prepare.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

ITEM_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "title": pl.String(),
        "description": pl.String(),
        "brand": pl.String(),
        "categories": pl.List(pl.String()),
    }
)


@dataclass(frozen=True, eq=False)
class Raw:
    """A data set before preparation.

    Attributes:
        format: the reader's name, for `whyrec data ls` and the notes.
        rows: in file order. `user` and `item` (strings or integers, never null) and any of `position` (int64, never
            null), `time` (int64 unix seconds, null where missing) and with it `nanos` (int32 nanoseconds within the
            second, only where not all are 0), `rating` (float32, null where missing), `review` (string, never null).
        items: columns of ITEM_SCHEMA, no null; may have fewer or more items than `rows` meets.
        items_from: the file that `items` come from, "" where the source has none.
        dedup: whether this source is de-duplicated when nothing is said (whyrec/data/__init__.py: `load`).
        notes: what the reader saw, for `Corpus.notes`.
    """

    format: str
    rows: pl.DataFrame
    items: pl.DataFrame
    items_from: str = ""
    dedup: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the promises above."""
        assert self.items.schema == ITEM_SCHEMA, self.items.schema
        for column in ("user", "item", "position", "review", "nanos"):
            assert column not in self.rows.columns or not self.rows[column].null_count(), column


def no_items() -> pl.DataFrame:
    """An empty item table, for sources without text."""
    return pl.DataFrame(schema=ITEM_SCHEMA)
