"""Language models: one string names one, `open` puts everything around it that a run needs.

What is here is imported when it is asked for: reading a run needs to know what a reply is, and no more.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whyrec.llm.opening import Around, open, wrap  # noqa: A004
    from whyrec.llm.registry import open_provider
    from whyrec.llm.wrappers.budgeted import Budget
    from whyrec.llm.wrappers.limited import Limits
    from whyrec.llm.wrappers.stamped import Stamped

__all__ = ["Around", "Budget", "Limits", "Stamped", "open", "open_provider", "wrap"]

_MODULES = {
    "Around": "opening",
    "Budget": "wrappers.budgeted",
    "Limits": "wrappers.limited",
    "Stamped": "wrappers.stamped",
    "open": "opening",
    "open_provider": "registry",
    "wrap": "opening",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
