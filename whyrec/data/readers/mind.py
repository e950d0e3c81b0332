"""MIND: news.tsv and behaviors.tsv, as one folder or as the published train/dev pair.

A user's sequence is the click history shown with the earliest impression, then the clicked impressions by time (spec
2.c). The history has no times. The set is de-duplicated unless the name says `?dedup=no`. Times are read as UTC.

Layout: the two files in the folder itself, or in sub-folders (MINDsmall_train and MINDsmall_dev, or train and dev),
which are read together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from whyrec.data.raw import ITEM_SCHEMA, Raw
from whyrec.data.readers import delimited
from whyrec.data.readers.delimited import TSV, Field
from whyrec.data.readers.files import find, need
from whyrec.errors import UsageError

NAME = "mind"
_BEHAVIORS = [Field("impression", "int"), Field("user"), Field("at"), Field("history", required=False), Field("shown")]
_NEWS = [Field("id")] + [
    Field(n, required=False) for n in ("category", "subcategory", "title", "abstract", "url", "entities", "mentions")
]
_CLOCK = "%m/%d/%Y %I:%M:%S %p"


def recognise(folder: Path) -> bool:
    """Whether the folder, or sub-folders of it, hold news.tsv and behaviors.tsv."""
    return bool(_parts(folder))


def read(folder: Path, options: Mapping[str, str]) -> Raw:
    """Read the folder; this format has no options of its own.

    Raises:
        UsageError: a malformed line; names file and line.
    """
    parts = _parts(folder)
    behaviors = pl.concat([_read_behaviors(need(part, "behaviors.tsv")) for part in parts])
    news = pl.concat([delimited.read(need(part, "news.tsv"), _NEWS, dialect=TSV) for part in parts])
    categories = pl.concat_list("category", "subcategory").list.eval(pl.element().filter(pl.element() != ""))
    items = news.select(
        id="id",
        title="title",
        description="abstract",
        brand=pl.lit(""),
        categories=categories.list.unique(maintain_order=True),
    ).cast(ITEM_SCHEMA)
    rows, notes = _sequences(behaviors)
    return Raw(NAME, rows, items, "news.tsv", dedup=True, notes=notes)


def _parts(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    places = [
        folder,
        *sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: ("train" not in p.name, p.name)),
    ]
    found = [p for p in places if find(p, "behaviors.tsv") and find(p, "news.tsv")]
    return found[:1] if found[:1] == [folder] else found


def _read_behaviors(path: Path) -> pl.DataFrame:
    """Columns user, time (unix seconds), history and clicked (lists of news ids), in file order."""
    table = delimited.read(path, _BEHAVIORS, dialect=TSV)
    time = pl.col("at").str.to_datetime(_CLOCK, strict=False).dt.epoch("s")
    table = table.with_columns(time=time, well=pl.col("shown").str.contains(r"^\S+-[01]( \S+-[01])*$"))
    bad = table.with_row_index("line", offset=1).filter(pl.col("time").is_null() | ~pl.col("well")).head(1)
    if bad.height:
        what = "the time" if bad["time"][0] is None else "an impression (news-0 or news-1)"
        shown = bad["at"][0] if bad["time"][0] is None else bad["shown"][0]
        raise UsageError(f"{path}, line {bad['line'][0]}: {what} cannot be read from {shown[:100]!r}.")
    clicked = pl.col("shown").str.extract_all(r"\S+-1(?:\s|$)").list.eval(pl.element().str.replace(r"-1\s?$", ""))
    history = pl.col("history").str.split(" ").list.eval(pl.element().filter(pl.element() != ""))
    return table.select("user", "time", history=history, clicked=clicked)


def _sequences(behaviors: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Rows user, item, time, position, and how many users were shown with more than one history."""
    ordered = behaviors.sort("time", maintain_order=True)
    first = ordered.unique("user", keep="first", maintain_order=True)
    past = first.select("user", pl.lit(None, pl.Int64).alias("time"), pl.col("history").alias("item"))
    clicks = ordered.select("user", "time", pl.col("clicked").alias("item"))
    rows = pl.concat([past, clicks]).explode("item").drop_nulls("item")
    rows = rows.with_columns(position=pl.int_range(pl.len()).over("user"))
    changed = ordered.group_by("user").agg(n=pl.col("history").list.join(" ").n_unique()).filter(pl.col("n") > 1)
    return rows, {"users with several histories (first kept)": changed.height} if changed.height else {}
