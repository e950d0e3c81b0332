"""How records look in a prompt: one line each, fields after bars, ready for a block (docs/prompts.md).

These are the only filters a template has. Each neutralises and clips every field it prints and returns `Lines`, the
one kind of text that the renderer lets through unchanged; whatever else a template prints is neutralised as one line.
Filters take records or the JSON forms that `to_json` makes of them, so that a recorded call renders again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from prompts.neutral import neutralise
from whyrec.records import Event, Item

LONGEST = 600  # no template shows more characters of one field
_KEPT = 700  # of a record's text this much is read and recorded
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of options
_SHORT = 160  # titles, brands, categories


class Lines(str):
    """Text whose data has been neutralised and whose layout is ours."""

    __slots__ = ()


def clip(text: str, limit: int) -> str:
    """The text as one harmless line of at most `limit` characters, cut at a word where there is one ("…")."""
    line = neutralise(text[:_KEPT])
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    at = cut.rfind(" ")
    return (cut[:at] if at > limit // 2 else cut).rstrip() + "…"


def events(
    history: Iterable[Event | Mapping[str, Any]], about: int = 400, review: int = 240, titles: bool = False
) -> Lines:
    """A history, numbered from 1. `about` and `review` bound these fields in characters (0 leaves them out)."""
    _check_limits(about, review)
    lines = []
    for number, record in enumerate(history, 1):
        event = record if isinstance(record, Event) else Event(**{**record, "item": _item(record["item"])})
        facts, told = _item_text(event.item, 0 if titles else about, titles)
        line = f"{number}. {facts}"
        if not titles:
            if event.rating is not None:
                line += f" | rated: {event.rating:g}"
            if review and event.review and (said := clip(event.review, review)):
                line += f" | review: {said}"
        lines.append(line + told)
    return Lines("\n".join(lines))


def candidates(items: Iterable[Item | Mapping[str, Any]], about: int = 400, titles: bool = False) -> Lines:
    """Items, each marked with its index in square brackets."""
    _check_limits(about)
    texts = ((it.index, *_item_text(it, about, titles)) for it in map(_item, items))
    return Lines("\n".join(f"[{index}] {facts}{told}" for index, facts, told in texts))


def options(records: Iterable[Item | Mapping[str, Any]], about: int = 0, titles: bool = False) -> Lines:
    """Items to choose from, lettered from A; a record {"item": …, "note": …} also prints its note as an impression."""
    _check_limits(about)
    lines = []
    for letter, record in zip(LETTERS, records, strict=False):
        shown, note = record, ""
        if isinstance(record, Mapping) and "item" in record:
            shown, note = record["item"], str(record.get("note", ""))
        facts, told = _item_text(_item(shown), about, titles)
        said = f" | impression: {clip(note, _SHORT)}" if note else ""
        lines.append(f"{letter}. {facts}{said}{told}")
    return Lines("\n".join(lines))


def item(record: Item | Mapping[str, Any], about: int = 400) -> Lines:
    """One item without a mark."""
    _check_limits(about)
    return Lines("".join(_item_text(_item(record), about)))


def reviews(records: Iterable[Any]) -> Lines:
    """Reviews (anything with `id` and `text`), each marked with its item's index."""
    pairs = ((r["id"], r["text"]) if isinstance(r, Mapping) else (r.id, r.text) for r in records)
    return Lines("\n".join(f"[{int(id_)}] {clip(text, LONGEST)}" for id_, text in pairs))


def ids(records: Iterable[Any]) -> Lines:
    """The numbers that records are marked with (an item's index, else `id`), commas between: what an answer names."""

    def mark(record: Any) -> int:
        if isinstance(record, Mapping):
            return int(record["index"] if "index" in record else record["id"])
        return int(record.index if isinstance(record, Item) else record.id)

    return Lines(", ".join(str(mark(record)) for record in records))


def words(keywords: Iterable[str]) -> Lines:
    """Short phrases on one line, commas between."""
    return Lines(", ".join(clip(k, _SHORT) for k in keywords))


def numbered(texts: Iterable[str]) -> Lines:
    """Short texts, one per line, numbered from 1: steps to take, paths of reasoning."""
    return Lines("\n".join(f"{number}. {clip(text, LONGEST)}" for number, text in enumerate(texts, 1)))


def to_json(value: Any) -> Any:
    """A blank as plain JSON data that renders to the same text, without the empty fields of records. Not to be changed.

    Raises:
        TypeError: not a string, number, boolean, None, record, answer, mapping or sequence.
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Event):
        given: dict[str, Any] = {"rating": value.rating, "time": value.time, "review": value.review[:_KEPT]}
        return {"item": to_json(value.item), **{k: v for k, v in given.items() if v is not None and v != ""}}
    if isinstance(value, Item):
        return _item_json(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [to_json(v) for v in value]
    raise TypeError(f"A blank may be text, a number, a record, an answer, or lists of these, not a {type(value)}.")


FILTERS = {f.__name__: f for f in (events, candidates, options, item, reviews, ids, words, numbered)}


def _check_limits(*limits: int) -> None:
    assert max(limits) <= LONGEST, f"a template may show at most {LONGEST} characters of a field"


def _item(record: Item | Mapping[str, Any]) -> Item:
    return record if isinstance(record, Item) else Item(**{**record, "categories": tuple(record.get("categories", ()))})


@lru_cache(maxsize=8192)
def _item_json(record: Item) -> dict[str, Any]:
    texts = {
        "title": record.title[:_KEPT],
        "description": record.description[:_KEPT],
        "brand": record.brand[:_KEPT],
        "categories": [c[:_KEPT] for c in record.categories],
    }
    return {"index": record.index, "id": record.id, **{k: v for k, v in texts.items() if v}}


@lru_cache(maxsize=8192)
def _item_text(record: Item, about: int, titles: bool = False) -> tuple[str, str]:
    """(title and facts, description): the two parts of a line that depend on the item alone, so they are kept."""
    facts = clip(record.title, _SHORT) or "untitled"
    if titles:
        return facts, ""
    if record.brand and (brand := clip(record.brand, _SHORT)):
        facts += f" | brand: {brand}"
    if record.categories and (line := clip(", ".join(record.categories), _SHORT)):
        facts += f" | categories: {line}"
    told = clip(record.description, about) if about else ""
    return facts, f" | about: {told}" if told else ""
