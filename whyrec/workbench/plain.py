"""Values of states and answers as plain JSON data."""

from __future__ import annotations

import dataclasses
from typing import Any

_TEXT, _LIST = 400, 5


def plain(value: Any) -> Any:
    """A dataclass or an answer as a dict, inside lists and dicts too where JSON asks (`json.dumps(default=plain)`)."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None))) else str(value)


def shortened(value: Any) -> Any:
    """Plain data without the middle of its lists and the end of its long texts, for reading."""
    if isinstance(value, str):
        return value if len(value) <= _TEXT else f"{value[:_TEXT]} … ({len(value):,} characters)"
    if isinstance(value, dict):
        return {name: shortened(part) for name, part in value.items()}
    if not isinstance(value, list) or len(value) <= _LIST:
        return [shortened(part) for part in value] if isinstance(value, list) else value
    return [shortened(value[0]), shortened(value[1]), f"… {len(value) - 3:,} more …", shortened(value[-1])]
