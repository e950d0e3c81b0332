"""How values look on a page: numbers, times, money, and texts with their fences.

Nothing here makes markup: a text becomes pieces with a kind each, and the template writes them, escaped.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from whyrec.runs import amounts
from whyrec.workbench.plain import plain

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FENCE = re.compile(r"^<([a-z][a-z0-9_]*)>\n(.*?)\n?^</\1>", re.MULTILINE | re.DOTALL)
_TAG = re.compile(r"</?[a-z][a-z0-9_]*>")


class Stretch(NamedTuple):
    """A piece of a text: "text" is ours, "tag" fences, "data" is what stands between two fences."""

    kind: str
    text: str


def fences(content: str) -> list[Stretch]:
    """A message, with the data and the tags that fence them told apart from our own words."""
    found: list[Stretch] = []
    at = 0
    for match in _FENCE.finditer(content):
        found += _tags(content[at : match.start()])
        name, data = match[1], match[2]
        found += [Stretch("tag", f"<{name}>"), Stretch("data", visible(data)), Stretch("tag", f"</{name}>")]
        at = match.end()
    return [*found, *_tags(content[at:])]


def _tags(text: str) -> Iterator[Stretch]:
    at = 0
    for match in _TAG.finditer(text):
        yield Stretch("text", visible(text[at : match.start()]))
        yield Stretch("tag", match[0])
        at = match.end()
    yield Stretch("text", visible(text[at:]))


def visible(text: Any) -> str:
    """Control characters, and those that turn the direction of writing, as pictures."""
    return _CONTROL.sub(lambda found: chr(0x2400 + ord(found[0])) if ord(found[0]) < 0x20 else "␦", str(text))


def line(text: Any, most: int = 160) -> str:
    """The beginning of a text, on one line."""
    said = " ".join(str(text)[: most * 4].split())
    return visible(said if len(said) <= most else f"{said[: most - 1]}…")


def value(found: Any) -> str:
    """A value of a state or an answer, for reading: text as it is, all else as JSON."""
    found = plain(found)
    said = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, indent=1, default=plain)
    return visible(said)


def compact(found: Any) -> str:
    """A value on one line."""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=plain)


def told(found: Any) -> str:
    """A result as lines of words, one field each, for reading and comparing: no brackets, no quotes where none help."""
    if not isinstance(found, Mapping):
        return value(found)
    lines = []
    for name, one in found.items():
        words = isinstance(one, list) and all(isinstance(part, str | int | float) for part in one)
        lines.append(f"{name}: {', '.join(map(str, one)) if words else compact(one)}")
    return visible("\n".join(lines))


def number(found: float) -> str:
    """1,234 or 1.2 M: as many digits as a person reads."""
    if found >= 10_000_000:
        return f"{found / 1e6:,.0f} M"
    if found >= 1_000_000:
        return f"{found / 1e6:.2f} M"
    return f"{found:,.0f}"


class _Added(Protocol):
    """Calls added up: a tally's `Sum`."""

    tokens_in: int
    tokens_out: int
    unmetered: int
    cost: float
    unpriced: int

    @property
    def sent(self) -> int:
        """Calls that reached a model."""
        ...


def tokens(of: _Added) -> str:
    """Tokens of many calls; a lower bound where some were not counted."""
    if of.unmetered and not (of.tokens_in or of.tokens_out):
        return amounts.UNKNOWN
    known = f"{number(of.tokens_in)} → {number(of.tokens_out)}"
    return f"at least {known} ({of.unmetered:,} of {of.sent:,} unknown)" if of.unmetered else known


def spent(of: _Added) -> str:
    """US dollars of many calls; a lower bound where the price or the tokens of some are not known."""
    if of.unpriced and not of.cost:
        return amounts.UNKNOWN
    return f"at least {money(of.cost)} ({of.unpriced:,} of {of.sent:,} unknown)" if of.unpriced else money(of.cost)


def money(cost: float | None) -> str:
    """US dollars."""
    if cost is None:
        return amounts.UNKNOWN
    return (f"${cost:.5f}" if cost < 0.1 else f"${cost:,.2f}") if cost else "$0"


def span(seconds: float) -> str:
    """A length of time: 3 ms, 1.2 s, 3:25 min, 2:05 h."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 100 else f"{minutes // 60}:{minutes % 60:02d} h"


def ago(at: float) -> str:
    """When it was, seen from now."""
    since = max(time.time() - at, 0.0)
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if since >= size:
            return f"{since / size:.0f} {unit} ago"
    return "just now"


def moment(at: float) -> str:
    """A point in time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def chance(logprob: float) -> str:
    """A log-probability in per cent."""
    return f"{100 * math.exp(min(logprob, 0.0)):.1f} %"


FILTERS = {
    "fences": fences, "visible": visible, "line": line, "value": value, "compact": compact,
    "number": number, "money": money, "span": span, "tokens": tokens, "spent": spent, "taken": amounts.tokens,
    "ago": ago, "chance": chance, "moment": moment,
}  # fmt: skip
