"""A payload read as blocks, in the order in which a person wants them.

Each reader takes the fields it understands and leaves the others: trees, chains, items, texts, words, samples, rows,
nested values, and at last single values. What nobody took is shown as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from whyrec.ui.shapes import tree
from whyrec.ui.shapes.blocks import (
    Around,
    Block,
    Cell,
    Chain,
    Chips,
    Facts,
    Grid,
    Prose,
    Ranked,
    Raw,
    Section,
    Several,
    Step,
    Texts,
)  # fmt: skip
from whyrec.ui.shapes.kinds import (
    are_texts,
    cell,
    is_long,
    is_scalar,
    names_items,
    numbers_of,
    rows_of,
    words_of,
)  # fmt: skip

_DEEPEST = 5
_MOST_COLUMNS = 12
_MOST_IN_CELL = 240
_OPEN = 2  # sections of a payload that stand open at first
_VALUES = ("scores", "score", "probabilities", "similarity", "places", "weights", "values", "ratings")
_HEADS = ("path", "headings", "titles", "names")
_LEAD = ("answer", "probability", "hit", "ndcg", "percentile")  # what the example came to, where one value says it
_COLUMNS = ("number", "step", "place", "item", "thought", "action", "argument", "observation")
_LAST = ("user", "split", "prefix", "index", "row", "key")  # whose it is: known from the page already


def blocks(payload: Mapping[str, Any], around: Around | None = None, *, under: str = "", deep: int = 0) -> list[Block]:
    """A payload as blocks.

    Args:
        payload: plain data (dicts, lists, strings, numbers, truth values, None).
        around: titles of items, templates, and which pages of long lists are shown.
        under: the name of the block that these belong to, "" for the whole.
        deep: how deep in a payload this is.
    """
    known = around or Around()
    if not payload:
        return []
    if deep > _DEEPEST:
        return [Raw("", payload)]
    left = {str(name): value for name, value in payload.items() if value not in ([], {}, "")}
    empty = [str(name) for name, value in payload.items() if value in ([], {}, "")]
    found: list[Block] = []
    readers: tuple[Callable[..., Iterator[Block]], ...] = (
        _lead, _trees, _chains, _items, _texts, _words, _samples, _rows, _nested,
    )  # fmt: skip
    for reader in readers:
        found += reader(left, known, under, deep)
    if left or empty:
        first = sorted((name for name in left if is_scalar(left[name])), key=lambda name: name in _LAST)
        pairs = [(name, cell(name, left.pop(name))) for name in first]
        found += [Facts("", (*pairs, *((name, Cell("none")) for name in empty)))]
    return [*found, *(Raw(name, value) for name, value in left.items())]


def _id(under: str, name: str) -> str:
    return f"{under}.{name}" if under else name


def _lead(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    if names := [name for name in _LEAD if name in left and is_scalar(left[name]) and not is_long(str(left[name]))]:
        yield Facts("", tuple((name, cell(name, left.pop(name))) for name in names))


def _trees(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    if found := tree.find(left):
        _, drawn, fields = found
        for name in fields:
            left.pop(name)
        yield drawn


def _chains(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    """Texts in an order: under headings of their own, beside the steps of a template, or just numbered."""
    template = left.get("template")
    planned = around.template(template) if isinstance(template, str) else ()
    for name in [name for name, value in left.items() if are_texts(words_of(value))]:
        texts = words_of(left[name])
        heads = next((h for h in _HEADS if h in left and len(words_of(left[h])) == len(texts) and h != name), "")
        if not heads and len(planned) != len(texts) and name not in ("steps", "chain", "reasoning"):
            continue
        left.pop(name)
        headings = words_of(left.pop(heads)) if heads else [""] * len(texts)
        beside = planned if len(planned) == len(texts) else ("",) * len(texts)
        for copy in [one for one, value in left.items() if any(beside) and words_of(value) == list(beside)]:
            left.pop(copy)
        steps = tuple(Step(p if p != h else "", h, t) for p, h, t in zip(beside, headings, texts, strict=True))
        yield Chain(name, str(left.pop("template", "")) if any(beside) else "", steps)


def _items(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    """Lists of items, by ids or dense indices, with lists of numbers that belong to them."""
    lists: dict[str, list[str | int]] = {}
    titles: dict[str | int, str] = {}
    for name, value in left.items():
        ids: list[Any] = words_of(value)
        if not ids and names_items(name) and all(float(one).is_integer() for one in numbers_of(value)):
            ids = [int(one) for one in numbers_of(value)]
        known = around.titles(ids) if ids and not (isinstance(ids[0], str) and are_texts(ids)) else {}
        if ids and (len(known) == len(set(ids)) or (names_items(name) and isinstance(ids[0], str))):
            lists[name], titles = ids, {**titles, **known}
    for name in sorted(lists, key=lambda one: ("rank" not in one.lower(), one)):
        ids = lists[name]
        left.pop(name)
        beside = {one: numbers_of(left[one]) for one in _VALUES if one in left}
        first = left.get("probabilities")
        if name == "shown" and isinstance(first, list) and first and len(numbers_of(first[0])) == len(ids):
            beside["probability"] = numbers_of(first[0])
            if len(first) == 1:
                left.pop("probabilities")
        values = {column: told for column, told in beside.items() if len(told) == len(ids)}
        for column in values:
            left.pop(column, None)
        rows = [
            (at + 1, one, titles.get(one, ""), tuple(cell(column, told[at]) for column, told in values.items()))
            for at, one in enumerate(ids)
        ]
        yield Ranked(name, tuple(values), around.part(_id(under, name), rows))


def _texts(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    for name in [name for name, value in left.items() if isinstance(value, str) and is_long(value)]:
        yield Prose(name, left.pop(name))
    for name in [name for name, value in left.items() if are_texts(words_of(value))]:
        yield Texts(name, around.part(_id(under, name), words_of(left.pop(name)), size=10))


def _words(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    """Lists of words, but those that are a column of samples."""
    lengths = [len(numbers_of(value)) for value in left.values() if numbers_of(value)]
    for name in [name for name, value in left.items() if words_of(value)]:
        words = words_of(left[name])
        if len(set(words)) < len(words) and len(words) in lengths:
            continue
        yield Chips(name, around.part(_id(under, name), words_of(left.pop(name)), size=60))


def _samples(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    """Lists of single values of one length: the columns of a table, a row for each sample."""
    lengths: dict[int, list[str]] = {}
    for name, value in left.items():
        if isinstance(value, list) and value and all(map(is_scalar, value)):
            lengths.setdefault(len(value), []).append(name)
    for size, names in lengths.items():
        columns = {name: left.pop(name) for name in names}
        rows = [
            (Cell(str(at + 1), True), *(cell(name, told[at]) for name, told in columns.items())) for at in range(size)
        ]
        yield Grid(names[0] if len(names) == 1 else "samples", ("", *columns), around.part(_id(under, names[0]), rows))
    for name in [name for name, value in left.items() if _is_matrix(value)]:
        matrix = left.pop(name)
        wide = range(1, len(matrix[0]) + 1)
        told = [(Cell(str(at + 1), True), *(cell("", one) for one in row)) for at, row in enumerate(matrix)]
        yield Grid(name, ("", *map(str, wide)), around.part(_id(under, name), told))


def _is_matrix(value: Any) -> bool:
    if not (isinstance(value, list) and value and all(numbers_of(row) for row in value)):
        return False
    return len({len(row) for row in value}) == 1 and len(value[0]) <= _MOST_COLUMNS


def _rows(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    """Lists of mappings: a table where all is short, one after the other where there is more in them."""
    for name in [name for name, value in left.items() if rows_of(value)]:
        rows = rows_of(left.pop(name))
        columns = list(dict.fromkeys(str(column) for row in rows for column in row))
        flat = all(is_scalar(value) for row in rows for value in row.values()) and len(columns) <= _MOST_COLUMNS
        if flat and not any(
            isinstance(value, str) and len(value) > _MOST_IN_CELL for row in rows for value in row.values()
        ):
            yield _table(name, rows, columns, around, _id(under, name))
            continue
        part = around.part(_id(under, name), list(enumerate(rows)), size=5)
        shown = tuple(
            (at, headline_of(row), tuple(blocks(row, around, under=f"{_id(under, name)}.{at}", deep=deep + 1)))
            for at, row in part.rows
        )
        yield Several(name, type(part)(part.block, shown, part.at, part.total, part.size))


def _table(name: str, rows: list[Mapping[str, Any]], columns: list[str], around: Around, block: str) -> Grid:
    """Rows of single values, with the titles of the items that they name."""
    columns = [*(one for one in _COLUMNS if one in columns), *(one for one in columns if one not in _COLUMNS)]
    ids = [row["item"] for row in rows if isinstance(row.get("item"), str | int)]
    titles = around.titles(ids) if ids else {}
    if titles:
        columns = [column for column in columns if column != "index"]
    head = [(column, "title") if column == "item" and titles else (column,) for column in columns]
    part = around.part(block, rows)
    told = tuple(
        tuple(
            shown
            for column in columns
            for shown in (
                (cell(column, row.get(column)), Cell(titles.get(row.get("item", ""), "–")))
                if column == "item" and titles
                else (cell(column, row.get(column)),)
            )
        )
        for row in part.rows
    )
    return Grid(
        name, tuple(one for names in head for one in names), type(part)(block, told, part.at, part.total, part.size)
    )


def headline_of(row: Mapping[str, Any]) -> str:
    """The first thing that a row says, for a summary."""
    for value in row.values():
        said = value if isinstance(value, str) else next(iter(words_of(value)), "")
        if said:
            return said
    return ""


def _nested(left: dict[str, Any], around: Around, under: str, deep: int) -> Iterator[Block]:
    """Mappings: a table where several have the same single values, else a section each."""
    names = [name for name, value in left.items() if isinstance(value, Mapping)]
    for name in names:
        value = left.pop(name)
        if rows := _alike(value):
            columns = list(dict.fromkeys(column for row in rows.values() for column in row))
            told = [(Cell(one), *(_one(column, row.get(column)) for column in columns)) for one, row in rows.items()]
            yield Grid(name, ("", *columns), around.part(_id(under, name), told))
            continue
        inner = tuple(blocks(value, around, under=_id(under, name), deep=deep + 1))
        yield Section(name, inner, len(names) <= _OPEN and deep == 0)


def _alike(value: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """A mapping of mappings as the rows of a table, {} where it is none."""
    if len(value) < 2 or not all(isinstance(row, Mapping) and row for row in value.values()):
        return {}
    columns = {column for row in value.values() for column in row}
    same = all(len(row) * 2 > len(columns) for row in value.values()) and len(columns) <= _MOST_COLUMNS
    single = all(_is_single(one) for row in value.values() for one in row.values())
    return {str(name): row for name, row in value.items()} if same and single else {}


def _is_single(value: Any) -> bool:
    """A value that is read at once: a single one, or a mean with its interval."""
    if isinstance(value, Mapping):
        return {"mean", "low", "high"} <= value.keys() and all(map(is_scalar, value.values()))
    return is_scalar(value) and not (isinstance(value, str) and len(value) > _MOST_IN_CELL)


def _one(name: str, value: Any) -> Cell:
    if not isinstance(value, Mapping):
        return cell(name, value)
    mean, low, high = (cell("", value[one]).text for one in ("mean", "low", "high"))
    return Cell(f"{mean} [{low}, {high}]", True)
