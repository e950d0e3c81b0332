"""How objects of the library show themselves in a notebook: small plain HTML, every text escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_LONGEST = 300


def say(line: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{line}\n")


def text(value: Any, most: int = _LONGEST) -> str:
    """A value on one line, cut where it has more characters."""
    said = "" if value is None else str(value)
    return escape(said if len(said) <= most else said[: most - 1] + "…")


def cells(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table."""
    head = "".join(f"<th style='text-align:left'>{text(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left;vertical-align:top'>{text(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(title: str, pairs: Mapping[str, Any]) -> str:
    """A title and what is known, name by name."""
    lines = "".join(f"<tr><td style='text-align:left'>{text(k)}</td><td style='text-align:left'>{text(v)}</td></tr>"
                    for k, v in pairs.items())  # fmt: skip
    return f"<div><b>{text(title)}</b><table><tbody>{lines}</tbody></table></div>"


def whole(content: str) -> str:
    """A text of many lines, as it is."""
    return f"<pre style='white-space:pre-wrap'>{escape(content)}</pre>"


class Sentences(list[str]):
    """Sentences that a notebook shows one below the other."""

    def _repr_html_(self) -> str:
        return f"<ul>{''.join(f'<li>{text(line, len(line))}</li>' for line in self)}</ul>"
