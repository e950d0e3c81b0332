"""What a plain value is, told from its shape: words, texts, numbers, rows, items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from whyrec.ui.shapes.blocks import Cell

_BITS = 63  # a longer whole number is shown, and nothing is computed with it
LONG = 60  # characters from which on a text is read and not glanced at
_ITEMS = ("item", "items", "ranking", "shown", "retrieved", "candidates", "similar", "ranked", "recommended")
_SHARES = ("p", "own", "expert", "prob", "share", "mass")


def is_number(value: Any) -> bool:
    """Whether it is a number that is one, and no truth value."""
    if isinstance(value, int):
        return not isinstance(value, bool) and value.bit_length() <= _BITS
    return isinstance(value, float) and math.isfinite(value)


def is_scalar(value: Any) -> bool:
    """Whether it is a single value."""
    return value is None or isinstance(value, str | int | float | bool)


def is_long(text: str) -> bool:
    """Whether a text is to be read as one."""
    return len(text) > LONG or "\n" in text


def rows_of(value: Any) -> list[Mapping[str, Any]]:
    """The rows of a list of mappings, [] where it is none."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        return list(value)
    return []


def words_of(value: Any) -> list[str]:
    """The strings of a list of strings, [] where it is none."""
    return list(value) if isinstance(value, list) and value and all(isinstance(one, str) for one in value) else []


def numbers_of(value: Any) -> list[float]:
    """The numbers of a list of numbers, [] where it is none."""
    return list(value) if isinstance(value, list) and value and all(map(is_number, value)) else []


def are_texts(words: Sequence[str]) -> bool:
    """Whether strings are texts to be read, and not words."""
    return bool(words) and (sum(map(len, words)) / len(words) > 40 or any("\n" in word for word in words))


def names_items(name: str) -> bool:
    """Whether a field's name says that it holds items."""
    return name.lower() in _ITEMS


def is_share(name: str, value: Any) -> bool:
    """Whether a number is a share of one by its name and its size."""
    known = name.lower() in _SHARES or "prob" in name.lower()
    return known and is_number(value) and 0 <= value <= 1


def cell(name: str, value: Any) -> Cell:
    """A single value, for reading."""
    if value is None:
        return Cell("–")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int):
        return Cell(str(value), True, float(value) if is_share(name, value) else None)
    if isinstance(value, float):
        told = f"{value:.4g}" if math.isfinite(value) else str(value)
        return Cell(told, True, value if is_share(name, value) else None)
    return Cell(str(value) if value != "" else "–")
