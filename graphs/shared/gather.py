"""Several questions at once inside one node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from whyrec.llm.model import Halted

T = TypeVar("T")


async def gather(questions: Iterable[Awaitable[T]]) -> list[T]:
    """All answers, in order. Waits for every question even if one fails, so that nothing outlives its example.

    Raises:
        Halted: if any question met it (the example is then unfinished, not failed); else the first failure.
    """
    answers = await asyncio.gather(*questions, return_exceptions=True)
    failures = [a for a in answers if isinstance(a, BaseException)]
    for failure in failures:
        if isinstance(failure, Halted):
            raise failure
    if failures:
        raise failures[0]
    return [a for a in answers if not isinstance(a, BaseException)]
