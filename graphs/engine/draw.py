"""docs/graphs.md, drawn from each graph's build() by `python -m graphs.engine.draw`; a test says when it is stale."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from graphs.workflow import names, option_help, workflow

_OURS = re.compile(r"[ \t]*\((?:leakage matrix, )?spec [^()]*\)")
_OURS_TOO = re.compile(r"[;,]\s*spec [^();]*\)")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "graphs.md"
_HEAD = """# Graphs

Drawn from each graph's `build()` by `python -m graphs.engine.draw`; a test fails when this page is stale. A dashed line
is a choice. Run any of them with `whyrec run NAME --data DATA --llm MODEL`, options as `--option key=value`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(name) for name in names())])


def _section(name: str) -> str:
    """One graph: what it is, its drawing, its options."""
    flow = workflow(name)
    told = without_ours(inspect.getdoc(sys.modules[flow.build.__module__]) or "")
    rows = [f"| `{option}` | {kind.replace('|', chr(92) + '|')} | {default or '(none)'} |"
            for option, kind, default in option_help(flow)]  # fmt: skip
    return "\n".join(
        [
            f"## {name}\n",
            f"{told}\n",
            f"```mermaid\n{flow.build().get_graph().draw_mermaid().strip()}\n```\n",
            *(["| option | is | default |\n|---|---|---|", *rows] if rows else ["No options."]),
            "",
        ]
    )


def without_ours(text: str) -> str:
    """A docstring without what it cites of the developers' own papers, which readers of the page do not have."""
    return _OURS_TOO.sub(")", _OURS.sub("", text))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
