"""A tree of thoughts: a list of rows that name their parents, with the scores of its leaves and what was chosen.

Any list of rows with a text and a `parent` that comes before its child is such a tree. Scores are lists as long as the
leaves (or as the tree) and mappings from a thought's number to a number; a choice is the number of a thought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whyrec.ui.shapes.blocks import Leaf, Tree
from whyrec.ui.shapes.kinds import is_number, rows_of

_MOST = 2000  # rows; and so deep at most
_DEEPEST = 40
_TEXTS = ("text", "thought", "reason", "content", "name")


def find(payload: Mapping[str, Any]) -> tuple[str, Tree, set[str]] | None:
    """(the field, its tree, all fields that it tells of), or None where the payload holds no tree."""
    for name, value in payload.items():
        rows = rows_of(value)
        text = next((one for one in _TEXTS if rows and all(isinstance(row.get(one), str) for row in rows)), "")
        if not text or not 1 < len(rows) <= _MOST or not _grows(rows):
            continue
        others = {other: told for other, told in payload.items() if other != name}
        leaves = _leaves(rows, others)
        scores, scored = _scores(len(rows), leaves, others)
        choices, chose = _choices(len(rows), others)
        told = {name, *scored, *chose, *(other for other, value in others.items() if value == leaves)}
        return name, _tree(name, [str(row[text]) for row in rows], rows, scores, choices), told
    return None


def _grows(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every row names a parent before it, or none, and no branch is so long that nobody would read it."""
    depths: list[int] = []
    for number, row in enumerate(rows):
        parent = row.get("parent", "missing")
        if parent is not None and not (isinstance(parent, int) and not isinstance(parent, bool) and parent < number):
            return False
        depths.append(depths[parent] + 1 if parent is not None and parent >= 0 else 0)
    return max(depths, default=0) <= _DEEPEST


def _leaves(rows: Sequence[Mapping[str, Any]], others: Mapping[str, Any]) -> list[int]:
    """The rows that scores are of: those a field lists, else those that nothing grows from."""
    listed = others.get("leaves")
    if isinstance(listed, list) and all(type(one) is int and 0 <= one < len(rows) for one in listed):
        return list(listed)
    parents = {row["parent"] for row in rows}
    return [number for number in range(len(rows)) if number not in parents]


def _scores(size: int, leaves: Sequence[int], others: Mapping[str, Any]) -> tuple[list[dict[str, float]], set[str]]:
    """What each thought was given, by the name of the score, and the fields that say it."""
    found: list[dict[str, float]] = [{} for _ in range(size)]
    fields: set[str] = set()

    def give(name: str, value: Any) -> bool:
        numbers: dict[int, float] = {}
        if isinstance(value, list) and len(value) in (size, len(leaves)) and all(map(is_number, value)):
            numbers = dict(zip(leaves if len(value) == len(leaves) else range(size), value, strict=True))
        elif isinstance(value, Mapping) and all(key.isdecimal() and is_number(one) for key, one in value.items()):
            numbers = {int(key): float(one) for key, one in value.items() if int(key) < size}
        for number, score in numbers.items():
            found[number][name] = float(score)
        return bool(numbers) or value in ({}, [])

    for name, value in others.items():
        if name == "leaves":
            continue
        if isinstance(value, Mapping) and value and all(isinstance(one, list) for one in value.values()):
            given = [give(inner, one) for inner, one in value.items()]  # every one of them, whatever came of the first
            if all(given):
                fields.add(name)
        elif isinstance(value, Mapping) and give(name, value):
            fields.add(name)
    return found, fields


def _choices(size: int, others: Mapping[str, Any]) -> tuple[dict[str, int], set[str]]:
    """Who chose which thought."""
    found: dict[str, int] = {}
    fields: set[str] = set()
    for name in ("chosen", "selected", "best"):
        value = others.get(name)
        told: Mapping[Any, Any] = value if isinstance(value, Mapping) else {"": value}
        if told and all(type(one) is int and 0 <= one < size for one in told.values()):
            found |= {str(who): int(one) for who, one in told.items()}
            fields.add(name)
    return found, fields


def _tree(
    name: str,
    texts: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, float]],
    choices: Mapping[str, int],
) -> Tree:
    below: list[list[Leaf]] = [[] for _ in texts]
    roots: list[Leaf] = []
    for number in reversed(range(len(texts))):  # children are made before their parents
        children = tuple(reversed(below[number]))
        chosen = tuple(who for who, which in choices.items() if which == number)
        hangs = any(child.chosen or child.chosen_below for child in children)
        leaf = Leaf(number, texts[number], tuple(scores[number].items()), chosen, hangs, children)
        parent = rows[number]["parent"]
        (roots if parent is None or parent < 0 else below[parent]).append(leaf)
    best: dict[str, float] = {}
    for given in scores:
        for which, score in given.items():
            best[which] = max(best.get(which, score), score)
    return Tree(name, tuple(reversed(roots)), len(texts), tuple(choices.items()), best)
