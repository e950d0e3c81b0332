"""whyrec: language models that reason about users and items, and recommenders that use the reasons.

As a library: `import whyrec`, then `whyrec.load_data`, `whyrec.run`, `whyrec.fit`, `whyrec.evaluate` and what else
`whyrec.__all__` names (docs/library.md). Each is imported when it is first used, so importing this costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from whyrec.version import __version__

if TYPE_CHECKING:
    from whyrec.api.comparing import Compared, compare, contrast
    from whyrec.api.data import Data, DataWarning, load_data
    from whyrec.api.expected import Expected
    from whyrec.api.graphs import Graph, list_graphs, open_graph
    from whyrec.api.measuring import PlannedTable, evaluate, plan_table
    from whyrec.api.models import Model, Recommendation, fit, open_model
    from whyrec.api.prompts import PromptText, list_prompts, open_prompt
    from whyrec.api.running import (
        NoExamples,
        NotConfirmed,
        RunInterrupted,
        RunStopped,
        RunWarning,
        arun,
        estimate,
        run,
    )
    from whyrec.api.runs import Run, list_runs, open_run
    from whyrec.api.tables import TableOfResults, list_tables, render_tables
    from whyrec.api.tuning import Tuned, list_tuned, open_tuned, tune

__all__ = [
    "Compared",
    "Data",
    "DataWarning",
    "Expected",
    "Graph",
    "Model",
    "NoExamples",
    "NotConfirmed",
    "PlannedTable",
    "PromptText",
    "Recommendation",
    "Run",
    "RunInterrupted",
    "RunStopped",
    "RunWarning",
    "TableOfResults",
    "Tuned",
    "__version__",
    "arun",
    "compare",
    "contrast",
    "estimate",
    "evaluate",
    "fit",
    "list_graphs",
    "list_prompts",
    "list_runs",
    "list_tables",
    "list_tuned",
    "load_data",
    "open_graph",
    "open_model",
    "open_prompt",
    "open_run",
    "open_tuned",
    "plan_table",
    "render_tables",
    "run",
    "tune",
]

_MODULES = {
    "comparing": ("Compared", "compare", "contrast"),
    "data": ("Data", "DataWarning", "load_data"),
    "expected": ("Expected",),
    "graphs": ("Graph", "list_graphs", "open_graph"),
    "measuring": ("PlannedTable", "evaluate", "plan_table"),
    "models": ("Model", "Recommendation", "fit", "open_model"),
    "prompts": ("PromptText", "list_prompts", "open_prompt"),
    "running": (
        "NoExamples",
        "NotConfirmed",
        "RunInterrupted",
        "RunStopped",
        "RunWarning",
        "arun",
        "estimate",
        "run",
    ),
    "runs": ("Run", "list_runs", "open_run"),
    "tables": ("TableOfResults", "list_tables", "render_tables"),
    "tuning": ("Tuned", "list_tuned", "open_tuned", "tune"),
}


def __getattr__(name: str) -> Any:
    """A public name, from its module of `whyrec.api`."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"whyrec.api.{module}"), name)
    raise AttributeError(f"module 'whyrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What there is, imported or not."""
    return sorted({*globals(), *__all__})
