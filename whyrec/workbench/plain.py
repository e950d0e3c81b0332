"""Values of states and answers as plain JSON data."""

from __future__ import annotations

import dataclasses
from typing import Any


def plain(value: Any) -> Any:
    """A dataclass or an answer as a dict, inside lists and dicts too where JSON asks (`json.dumps(default=plain)`)."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None))) else str(value)
