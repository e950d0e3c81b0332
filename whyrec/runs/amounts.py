"""Tokens, money and time for people, where some of it may not be known: unknown is said, and never shown as zero.

A sum over calls of which some were not counted is a lower bound, and says over how many calls it is silent.
"""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN = "unknown"


def tokens(tokens_in: int | None, tokens_out: int | None) -> str:
    """Tokens of one call: "12 → 5", "unknown", or "12 → ?" where a server counted one side."""
    if tokens_in is None and tokens_out is None:
        return UNKNOWN
    return f"{_count(tokens_in)} → {_count(tokens_out)}"


def sums(tokens_in: int, tokens_out: int, unmetered: int, sent: int) -> str:
    """Tokens of many calls, `unmetered` of the `sent` ones without a count: "1,200 in, 90 out"."""
    known = f"{tokens_in:,} in, {tokens_out:,} out"
    return _partly(known, unmetered, sent, nothing=not (tokens_in or tokens_out))


def money(cost: float | None) -> str:
    """US dollars of one call, "" where it was free."""
    return UNKNOWN if cost is None else f"${cost:.5f}" if cost else ""


def spent(cost: float, unpriced: int, sent: int) -> str:
    """US dollars of many calls, `unpriced` of the `sent` ones at an unknown price or with unknown tokens."""
    known = "$0" if not cost else f"${cost:.4f}" if cost < 100 else f"${cost:,.2f}"
    return _partly(known, unpriced, sent, nothing=not cost)


def _partly(known: str, missing: int, sent: int, *, nothing: bool) -> str:
    if not missing:
        return known
    if nothing:
        return UNKNOWN if missing >= sent else f"{UNKNOWN} ({missing:,} of {sent:,} calls not counted)"
    return f"at least {known} ({missing:,} of {sent:,} calls unknown)"


def _count(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def judged(usable: int, unusable: Mapping[str, int]) -> str:
    """How many answers could be used and why the others could not: "58 usable, 12 not (8 placeholder, 4 too_short)"."""
    if not unusable:
        return f"{usable:,} usable" if usable else "none was judged"
    why = ", ".join(f"{times:,} {reason}" for reason, times in unusable.items())
    return f"{usable:,} usable, {sum(unusable.values()):,} not ({why})"


def span(seconds: float) -> str:
    """A length of time: 0.4 s, 12 s, 3:25 min, 2:05 h."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 100 else f"{minutes // 60}:{minutes % 60:02d} h"
