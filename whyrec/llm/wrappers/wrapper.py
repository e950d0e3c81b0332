"""What the wrappers have in common: each is a `LanguageModel` around one, and a `Scorer` exactly where that one is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from whyrec.llm.capabilities import SHOWN
from whyrec.llm.model import LanguageModel, Reply, Request, Scorer, TokenScores
from whyrec.llm.sent import Bounded, Sent, as_asked


class Wrapper:
    """Passes everything through; a subclass says what it does around `_complete` and `_score`.

    `score` exists on an instance only where the wrapped model has it, so `isinstance(model, Scorer)` stays true to
    the model at the core. So is `prefix_revision`, which changes when only those answers may that go on with a given
    beginning; `as_sent`, what bounds the answers to a request (`whyrec.llm.sent`); `system_way`, which says how system
    text reaches the model where that is not in a message of its own; `most_logprobs`, how many log-probabilities per
    token it can show; and `free`, whether its answers cost nothing, which a price says (`Budgeted`).
    """

    as_sent: Callable[[Request], Sent]
    score: Callable[[Request, Sequence[str]], Coroutine[Any, Any, list[TokenScores]]]

    def __init__(self, inner: LanguageModel) -> None:
        self.inner = inner
        self.name, self.revision = inner.name, inner.revision
        self.prefix_revision: str = getattr(inner, "prefix_revision", "")
        self.free: bool = getattr(inner, "free", False)
        self.as_sent = inner.as_sent if isinstance(inner, Bounded) else as_asked
        self.system_way: str = getattr(inner, "system_way", "")
        self.most_logprobs: int = getattr(inner, "most_logprobs", SHOWN)
        if isinstance(inner, Scorer):
            self._inner_score = inner.score
            self.score = self._score

    async def complete(self, request: Request) -> list[Reply]:
        """Answer every sample index of the request."""
        return await self.inner.complete(request)

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        return await self._inner_score(request, continuations)

    async def close(self) -> None:
        """Close what is inside."""
        await self.inner.close()
