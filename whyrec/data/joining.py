"""Interactions and the catalogue, joined by item id: what does not join, and the spelling that nearly does.

One file says 0108775015 and the other 108775015; one says 11.0 where the other says 11; one is in capitals. Nothing is
mapped unasked: an item without an entry stays one without text, but when there are many, `warnings` says so and names
the spelling under which they would join, and `need_joined` refuses where that is nearly all of them. The option `ids`
names the spellings that do not count (`?ids=zeros`, `?ids=float,case`); `?ids=as_written` takes ids as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import polars as pl

from whyrec.data.corpus import Corpus
from whyrec.data.raw import Raw
from whyrec.errors import UnknownNameError, UsageError

RULES: Final = {
    "spaces": "white space around them",
    "float": "a '.0' at the end",
    "zeros": "zeros in front",
    "case": "capital and small letters",
}
AS_WRITTEN: Final = "as_written"
WITHOUT: Final = "items without an entry"
_NEAR: Final = "near entries"
_FROM: Final = "item texts from"
_IDS: Final = "ids"
_POINT_ZERO: Final = "ids that end in .0"
_NOBODY: Final = "ids that say nothing"
_A_FEW: Final = 0.03
_NEARLY_ALL: Final = 0.9
_NO_ID: Final = ("nan", "none", "null", "<na>", "nat")
_WHOLE_FLOAT: Final = r"^(-?\d+)\.0+$"


def rules_of(option: str) -> tuple[str, ...]:
    """The rules that the option `ids` names, in the order in which they act.

    Raises:
        UnknownNameError: one of them is none.
        UsageError: as_written beside others.
    """
    given = [name for name in option.split(",") if name]
    for name in given:
        if name not in RULES and name != AS_WRITTEN:
            raise UnknownNameError("spelling of ids", name, (*RULES, AS_WRITTEN))
    if AS_WRITTEN in given:
        if len(given) > 1:
            raise UsageError(f"ids={option}: {AS_WRITTEN} takes ids as they are, so no other spelling goes with it.")
        return (AS_WRITTEN,)
    return tuple(name for name in RULES if name in given)


class Met:
    """The item ids of interactions, for readers that skip the entries of a shop's other items.

    Args:
        ids: as they are written.
    """

    def __init__(self, ids: pl.Series) -> None:
        written = ids.unique().cast(pl.String)
        self._ids = set(written)
        self._loose = set(_spelt(written, tuple(RULES)))

    def near(self, entry: object) -> bool:
        """Whether an entry's id is one of them, or nearly: what is near is for `warnings` to tell."""
        if not isinstance(entry, str | int):
            return False
        text = str(entry)
        return text in self._ids or _loose(text) in self._loose


def mapped(raw: Raw, rules: Sequence[str]) -> tuple[Raw, dict[str, Any]]:
    """The data with every item id that has no entry written as the one entry which it equals under these rules.

    Under `float`, ids of users, and of items without any entry, lose their '.0', too.

    Args:
        raw: what a reader gave.
        rules: from `rules_of`.

    Returns:
        The data, and a note of how many ids were mapped.
    """
    if not rules or rules[0] == AS_WRITTEN:
        return raw, {_IDS: AS_WRITTEN} if rules else {}
    ids = raw.rows["item"].unique(maintain_order=True).cast(pl.String)
    table = _near(ids, raw.items["id"], rules)
    plain = _spelt(ids, ("float",)) if "float" in rules else ids
    exact = ids.is_in(raw.items["id"].implode())
    new = table["entry"].fill_null(plain).zip_with(~exact, ids)
    rows = raw.rows.with_columns(item=pl.col("item").cast(pl.String).replace(ids, new))
    if "float" in rules:
        rows = rows.with_columns(user=_spelt(raw.rows["user"].cast(pl.String), ("float",)))
    note = {_IDS: {"spelling": ",".join(rules), "item ids mapped": int((new != ids).sum())}}
    return dataclasses.replace(raw, rows=rows), note


def join(ids: pl.Series, raw: Raw) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The catalogue of the items met, in their order, and what was odd about it.

    Args:
        ids: of the items met, each once.
        raw: what a reader gave; of several entries of one item each text is the first that is not blank.
    """
    entries = raw.items if not raw.items["id"].is_duplicated().any() else first_told(raw.items)
    found = pl.DataFrame({"id": ids}).join(entries, on="id", how="left", maintain_order="left")
    without = found["title"].is_null()
    notes: dict[str, Any] = {
        WITHOUT: int(without.sum()),
        "entries never met": entries.height - (found.height - int(without.sum())),
        "repeated item entries": raw.items.height - entries.height,
    }
    notes = {name: n for name, n in notes.items() if n}
    if raw.items_from and without.sum() > _A_FEW * len(ids):
        notes |= {_FROM: raw.items_from, **_nearest(ids.filter(without), entries["id"])}
    return _no_nulls(found), notes


def odd_ids(users: pl.Series, items: pl.Series, *, described: bool) -> dict[str, Any]:
    """Notes about ids that look like something else: numbers that became 11.0, and nan for nobody.

    Args:
        users, items: each id once.
        described: whether items have a catalogue: then it decides how their ids are written.
    """
    both = (("user", users), ("item", items))
    floats = [
        f"{what} {ids[0]}"
        for what, ids in both[: 1 if described else 2]
        if ids[0].endswith(".0") and ids.str.contains(_WHOLE_FLOAT).all()
    ]
    nobody = [f"{what} {i}" for what, ids in both for i in ids.filter(ids.str.to_lowercase().is_in(_NO_ID))]
    found = {_POINT_ZERO: ", ".join(floats), _NOBODY: ", ".join(nobody)}
    return {name: told for name, told in found.items() if told}


def first_told(items: pl.DataFrame) -> pl.DataFrame:
    """One row per id, in order of first appearance: of each text the first that is not blank, nor says None or nan."""
    texts = [
        pl.coalesce(
            pl.col(c).filter(~pl.col(c).str.strip_chars().str.to_lowercase().is_in(["", *_NO_ID])).first(),
            pl.col(c).filter(pl.col(c).str.strip_chars() != "").first(),
        )
        for c in ("title", "description", "brand")
    ]
    categories = pl.col("categories").filter(pl.col("categories").list.len() > 0).first()
    told = items.group_by("id", maintain_order=True).agg(*texts, categories)
    return _no_nulls(told)


def _no_nulls(items: pl.DataFrame) -> pl.DataFrame:
    return items.with_columns(
        pl.col("title", "description", "brand").fill_null(""),
        pl.col("categories").fill_null(pl.lit([], pl.List(pl.String))),
    )


def warnings(corpus: Corpus) -> list[str]:
    """Sentences about ids that a person should read before believing a number; none where all is well."""
    notes, said = corpus.notes, []
    missing = notes.get(WITHOUT, 0)
    if _FROM in notes:
        share = f"{missing:,} of {corpus.n_items:,} items ({missing / corpus.n_items:.0%})"
        said.append(
            f"{share} of {corpus.name} have no entry in {notes[_FROM]}: prompts call them untitled."
            + _hint(notes, "None is near one in spelling, so the file does not cover them.")
        )
    if _POINT_ZERO in notes:
        said.append(
            f"Ids of {corpus.name} end in .0 ({notes[_POINT_ZERO]}), as whole numbers do that were saved as floats. "
            "?ids=float in the data set's name reads them without it."
        )
    if _NOBODY in notes:
        said.append(
            f"{corpus.name} has rows of {notes[_NOBODY]}, which is how programs write a missing id. If it is one, "
            "remove these rows: they are one user's (or item's) now."
        )
    return said


def need_joined(corpus: Corpus) -> None:
    """Refuse data whose items nearly all miss their entry for the spelling of their ids alone.

    Raises:
        UsageError: so it is; names the spelling and the option.
    """
    notes, missing = corpus.notes, corpus.notes.get(WITHOUT, 0)
    near = notes.get(_NEAR)
    if near is None or notes.get(_IDS) == AS_WRITTEN or missing < _NEARLY_ALL * corpus.n_items:
        return
    if near["items"] < missing / 2:
        return
    raise UsageError(
        f"{missing:,} of {corpus.n_items:,} items of {corpus.name} have no entry in {notes[_FROM]}, so every prompt "
        f"would speak of untitled things.{_hint(notes, '')} ?ids={AS_WRITTEN} goes on without the texts."
    )


def _hint(notes: Mapping[str, Any], otherwise: str) -> str:
    near = notes.get(_NEAR)
    if near is None:
        return f" {otherwise}" if otherwise else ""
    apart = " and ".join(RULES[rule] for rule in near["ids"].split(","))
    one, other = near["such as"]
    return (
        f" {near['items']:,} of them are there but for {apart}: {one!r} in the interactions, {other!r} in "
        f"{notes[_FROM]}. ?ids={near['ids']} in the data set's name joins them."
    )


def _nearest(missing: pl.Series, entries: pl.Series) -> dict[str, Any]:
    """The fewest rules under which most of the missing ids are an entry's, as a note; nothing where none is near."""
    names = tuple(RULES)
    if not _joins(missing, entries, names):
        return {}
    sets = [rules for n in range(1, len(names) + 1) for rules in combinations(names, n)]
    best = max(sets, key=lambda rules: (_joins(missing, entries, rules), -len(rules)))
    table = _near(missing, entries, best).filter(pl.col("entry").is_not_null())
    return {_NEAR: {"ids": ",".join(best), "items": table.height, "such as": list(table.row(0))}}


def _joins(missing: pl.Series, entries: pl.Series, rules: Sequence[str]) -> int:
    return len(missing) - _near(missing, entries, rules)["entry"].null_count()


def _near(ids: pl.Series, entries: pl.Series, rules: Sequence[str]) -> pl.DataFrame:
    """Columns id and entry: the only entry that equals the id under these rules, null where none or several do."""
    keyed = pl.DataFrame({"entry": entries, "key": _spelt(entries, rules)}).unique("key", keep="none")
    wanted = pl.DataFrame({"id": ids, "key": _spelt(ids, rules)})
    return wanted.join(keyed, on="key", how="left", maintain_order="left").select("id", "entry")


def _spelt(ids: pl.Series, rules: Iterable[str]) -> pl.Series:
    """The ids without what these rules do not count."""
    acts = {
        "spaces": lambda s: s.str.strip_chars(),
        "float": lambda s: s.str.replace(_WHOLE_FLOAT, "$1"),
        "zeros": lambda s: s.str.replace(r"^0+(.)", "$1"),
        "case": lambda s: s.str.to_lowercase(),
    }
    for rule in rules:
        ids = acts[rule](ids)
    return ids


def _loose(text: str) -> str:
    """`_spelt` of one id under all rules."""
    text = text.strip()
    head, point, tail = text.partition(".")
    if point and tail and not tail.strip("0") and head.removeprefix("-").isdecimal():
        text = head
    return (text.lstrip("0") or text[-1:]).lower()
