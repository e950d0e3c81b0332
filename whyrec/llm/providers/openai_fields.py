"""What a field of a server's answer may hold: each reader takes whatever came and gives a value of its kind or None.

Servers send counts as text, indices as null, texts in parts and log-probabilities that are no numbers. Nobody above
this file looks at a raw value: an answer becomes a reply, or one sentence about what is wrong with it. Parsing is
strict first, because that is fast, and lenient where strict parsing fails: a lone surrogate or a NaN somewhere in a
body takes no answer away that stands beside it.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

_MASKED = -9999.0  # how vLLM writes minus infinity
_ROUNDED = 1e-3  # a log-probability of 0 as some round it
_LONE = re.compile("[\ud800-\udfff]")
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200
_PARTS = ("text", "output_text")


def parse(raw: bytes) -> Any:
    """The JSON value in a body; lone surrogates become U+FFFD, and NaN and the infinities stay for the readers below.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return _without_surrogates(json.loads(raw.decode("utf-8-sig", errors="replace"), strict=False))
    except RecursionError:
        raise ValueError("too deep") from None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(entry) for entry in value]
    if isinstance(value, dict):
        return {_LONE.sub("\ufffd", key): _without_surrogates(entry) for key, entry in value.items()}
    return value


def whole(value: Any) -> int | None:
    """A whole number from 0 on, None for anything else (`true` and "12" are none)."""
    if type(value) is int:
        return value if value >= 0 else None
    return int(value) if type(value) is float and value >= 0 and value.is_integer() else None


def logprob(value: Any) -> float | None:
    """A natural log-probability, None where it is none; minus infinity as vLLM writes it."""
    if type(value) not in (int, float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return max(found, _MASKED) if found <= _ROUNDED else None  # NaN is not below anything


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def shown(value: Any) -> str:
    """A value for a sentence: at most 300 characters, however long or deep it is."""
    return (value if isinstance(value, str) else _REPR.repr(value))[:300]


def content(value: Any) -> tuple[str, str] | None:
    """(text, thought) of a message's content: a text, or a list of parts whose texts are joined; None for others.

    Parts that are neither text nor thought (images, citations) are left out.
    """
    if value is None or isinstance(value, str):
        return value or "", ""
    if not isinstance(value, list):
        return None
    said, thoughts = [], []
    for part in value:
        if isinstance(part, str):
            said.append(part)
        elif isinstance(part, dict):
            if part.get("type", "text") in _PARTS:
                said.append(text(part.get("text")))
            else:
                thoughts.append(thought(part.get("thinking") or part.get("reasoning")))
    return "".join(said), "".join(thoughts)


def thought(value: Any) -> str:
    """A thought: a text, or texts in parts."""
    if isinstance(value, list):
        return "".join(text(mapping(part).get("text")) or text(part) for part in value)
    return text(value)


def placed(found: Sequence[Any], count: int) -> list[tuple[int, Mapping[str, Any]]]:
    """(place, entry) of the objects in a list, in order of place.

    Their `index` counts where every object has one of its own below `count`; elsewhere the order they came in does.
    """
    objects: list[tuple[int, Mapping[str, Any]]] = [
        (at, entry) for at, entry in enumerate(found) if isinstance(entry, dict)
    ]
    said = [whole(entry.get("index")) for _, entry in objects]
    known = [index for index in said if index is not None and index < count]
    if len(known) == len(objects) == len(set(known)):
        return sorted(zip(known, (entry for _, entry in objects), strict=True), key=lambda one: one[0])
    return objects
