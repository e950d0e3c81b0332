"""An answer written as text in sections: tags around each field, or a header above it; and lists inside one.

Every section is found in one pass, with patterns that never go back over what they have read, since a text may
be as long as a server likes.
"""

from __future__ import annotations

import re

_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


def tags(text: str, fields: tuple[str, ...]) -> dict[str, list[str]]:
    """Every `<field>...</field>` of each field; a missing closing tag ends at the next tag or the end."""
    if not fields:
        return {}
    any_tag = re.compile(f"<(/?)({'|'.join(map(re.escape, fields))})>", re.IGNORECASE)
    marks = list(any_tag.finditer(text))
    stops = [*(mark.start() for mark in marks[1:]), len(text)]
    names = {field.lower(): field for field in fields}
    found: dict[str, list[str]] = {}
    for mark, stop in zip(marks, stops, strict=False):
        if not mark[1]:
            found.setdefault(names[mark[2].lower()], []).append(text[mark.end() : stop])
    return found


def headers(text: str, fields: tuple[str, ...]) -> dict[str, list[str]]:
    """Every text under each header `## field` (or `field:`, or bold), up to the next."""
    if not fields:
        return {}
    names = {f.replace("_", " "): f for f in fields}
    any_name = "|".join(re.escape(n).replace(r"\ ", "[ _]") for n in names)
    pattern = rf"^[ \t]*+(?:#{{1,6}}[ \t]*+|(?=\w[^\n]*:)|(?=\*\*))\**+({any_name})\**+[ \t]*+:?\**+[ \t]*+"
    marks = list(re.finditer(pattern, text, re.MULTILINE | re.IGNORECASE))
    stops = [*(mark.start() for mark in marks[1:]), len(text)]
    found: dict[str, list[str]] = {}
    for mark, stop in zip(marks, stops, strict=False):
        found.setdefault(names[mark[1].lower().replace("_", " ")], []).append(text[mark.end() : stop])
    return found


def entries(text: str) -> list[str]:
    """A list written as lines, or with commas on a single line; bullets and numbers in front go."""
    lines = [line for line in text.splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else text.split(",")
    return [entry for part in parts if (entry := _BULLET.sub("", part).strip())]
