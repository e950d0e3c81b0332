"""One line of a check's table, and the two ways of looking at what came back: whether it came, and what it counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from whyrec.errors import UsageError
from whyrec.llm.model import Disconnected, ModelError, Reply

Outcome: TypeAlias = Literal["yes", "no", "ignored", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was tried, how it went, and what that means."""

    what: str
    outcome: Outcome
    note: str = ""


async def attempt(call: Callable[[], Awaitable[Any]]) -> tuple[Outcome, Any]:
    """("yes", answer), or ("refused", ()) where the server would not or broke over it; a lost server is an error."""
    try:
        return "yes", await call()
    except Disconnected:
        raise
    except (ModelError, UsageError):
        return "refused", ()


def prompt_tokens(replies: Sequence[Reply]) -> int:
    """As the server counts them, 0 where it does not."""
    return (replies[0].usage.prompt or 0) if replies else 0
