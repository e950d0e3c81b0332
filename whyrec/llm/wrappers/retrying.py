"""Ask again after what passes: timeouts, 429, 5xx, dropped connections; never after a refusal or an answer of a wrong
shape.

The waits grow exponentially with jitter, and a server's Retry-After is obeyed up to two minutes; a longer one is a
quota that is spent, and the error is handed on at once. The first try runs bare: tenacity is built only after it
failed, because its loop costs more than everything else a wrapper does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from whyrec.llm.model import TRANSIENT, LanguageModel, Malformed, ModelError, Overloaded, Reply, Request, TokenScores
from whyrec.llm.wrappers.wrapper import Wrapper

T = TypeVar("T")
BeforeRetry: TypeAlias = Callable[[Request, ModelError, Sequence[str]], None]

LONGEST_WAIT_S = 120.0


class Retrying(Wrapper):
    """Asks up to `attempts` times; `Reply.attempts` and `ModelError.attempts` say how often it was sent.

    Args:
        inner: the model.
        attempts: sends in all, the first included.
        first_wait_s: upper end of the first random wait, doubled each time, at most 30 s.
        before_retry: called with the request, the error and the continuations (none when completing) before each
            further send; what it raises ends the attempts (a budget that has no call left).
        sleep: how to wait; for tests.
    """

    def __init__(
        self,
        inner: LanguageModel,
        *,
        attempts: int = 6,
        first_wait_s: float = 0.5,
        before_retry: BeforeRetry | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self._attempts, self._before_retry = attempts, before_retry
        self._jitter = wait_random_exponential(multiplier=first_wait_s, max=30.0)
        self._sleep = sleep

    async def complete(self, request: Request) -> list[Reply]:
        """Answer, after further attempts where the first failed for a passing reason."""
        try:
            return await self.inner.complete(request)
        except TRANSIENT as error:
            failure = error
        replies, attempts = await self._again(lambda: self.inner.complete(request), failure, request, ())
        return [replace(reply, attempts=attempts) for reply in replies]

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        try:
            return await self._inner_score(request, continuations)
        except TRANSIENT as error:
            failure = error
        scores, _ = await self._again(
            lambda: self._inner_score(request, continuations), failure, request, continuations
        )
        return scores

    async def _again(
        self, ask: Callable[[], Awaitable[T]], first: ModelError, request: Request, continuations: Sequence[str]
    ) -> tuple[T, int]:
        """Attempts 2 and on, with tenacity's loop told that the first one failed."""
        sent = 0

        async def attempt() -> T:
            nonlocal sent
            sent += 1
            if sent == 1:
                raise first
            return await ask()

        def before_sleep(state: RetryCallState) -> None:
            if self._before_retry is not None:
                self._before_retry(request, _failure(state), continuations)

        loop = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=self._wait,
            retry=retry_if_exception(_passes),
            before_sleep=before_sleep,
            reraise=True,
            sleep=self._sleep,
        )
        try:
            return await loop(attempt), sent
        except ModelError as error:
            error.attempts = sent
            raise

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: the jitter, on top of what the server asked for."""
        error = _failure(state)
        asked_for = (error.retry_after or 0.0) if isinstance(error, Overloaded) else 0.0
        return asked_for + self._jitter(state)


def _failure(state: RetryCallState) -> ModelError:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, ModelError)
    return error


def _passes(error: BaseException) -> bool:
    if isinstance(error, Overloaded) and error.retry_after is not None and error.retry_after > LONGEST_WAIT_S:
        return False
    if isinstance(error, Malformed) and error.lasting:
        return False
    return isinstance(error, TRANSIENT)
