"""Behaviour texts: what a user did, as one text for the behaviour encoder (PULSE's b_u).

The paper concatenates the history with the true next item, which nobody has at test time (spec 3.b, 3.d). Here a
behaviour text is made from the history alone, and may say what the user prefers if some other graph found that out.
The target is an argument of its own, and what fills it says what it is for: training on the train split (target
dropout), or the paper's oracle form, which has to be asked for by a name that says that it leaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from whyrec.data.text import caption
from whyrec.records import Event, Item

LEAK = "i-know-this-leaks"
Told: TypeAlias = Literal["never", "train_only", "all-i-know-this-leaks"]
LATEST = 10  # events in a behaviour text
_SAID = 120  # characters of a review


def behaviour_text(
    history: Sequence[Event], *, preference: str = "", target: Item | None = None, latest: int = LATEST
) -> str:
    """One line per event, newest last, after what the user prefers.

    Args:
        history: the events that may be shown.
        preference: a preference text of the same history, from any graph; "" for none.
        target: also tell what came next. Never outside training on the train split but in the oracle form.
        latest: events kept.
    """
    lines = [f"Prefers: {preference}"] if preference else []
    lines += [_line(event) for event in history[-latest:]]
    if target is not None:
        lines.append(f"then {caption(target)}")
    return "\n".join(lines)


def _line(event: Event) -> str:
    rated = "" if event.rating is None else f" rated {event.rating:g}"
    said = f" {event.review[:_SAID]}" if event.review else ""
    return f"{caption(event.item)}{rated}{said}"
