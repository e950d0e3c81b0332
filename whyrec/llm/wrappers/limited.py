"""No more requests, tokens and concurrency than a server bears.

Requests and tokens per minute are buckets that hold one second's worth and refill so that no minute can pass the
limit. Concurrency is a window in the manner of TCP: halved when the server says 429, grown by one request per
window's worth of answers, and never wider than the slots of a server that says how many it has. A Retry-After pauses
everybody. Callers wait in the order they came, and each attempt of a retried call waits anew, so this wrapper sits
right around the model and sees every 429.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from whyrec.errors import UsageError
from whyrec.llm.model import LanguageModel, Overloaded, Reply, Request, TokenScores
from whyrec.llm.tokens import estimate_tokens
from whyrec.llm.wrappers.retrying import LONGEST_WAIT_S
from whyrec.llm.wrappers.wrapper import Wrapper

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server bears. None: no limit of that kind.

    Attributes:
        requests_per_minute: each sample or continuation counts, for not every server takes several at once.
        tokens_per_minute: prompt and completion tokens together.
        concurrency: the most requests in flight; the window starts there.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int = 256

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "concurrency"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"The limit {name} must be above 0, not {value}.")


class Clock(Protocol):
    """The part of an event loop that a limiter needs."""

    def time(self) -> float:
        """Seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> object:
        """Call back after `delay` seconds."""
        ...


class Bucket:
    """Tokens that drip in at `rate` a second up to `capacity`; it may owe, and then gives nothing until repaid.

    In any window of 60 s it gives at most `per_minute` (plus what a single request above `capacity` overdraws). Below
    1.5 a minute, where one request must still pass, it gives at most 1.5 in a window and `per_minute` in the long run.
    """

    __slots__ = ("capacity", "level", "rate", "stamp")

    def __init__(self, per_minute: float, now: float) -> None:
        self.capacity = max(1.0, per_minute / 60)
        self.rate = min(per_minute, max(per_minute - self.capacity, 0.5)) / 60
        self.level, self.stamp = self.capacity, now

    def wait_s(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be taken (0 when it may now)."""
        self.level = min(self.capacity, self.level + (now - self.stamp) * self.rate)
        self.stamp = now
        missing = min(cost, self.capacity) - self.level
        return missing / self.rate if missing > 1e-9 else 0.0

    def take(self, cost: float) -> None:
        """Take, into debt if need be."""
        self.level -= cost

    def give_back(self, unused: float) -> None:
        """Return what was reserved and not used."""
        self.level = min(self.capacity, self.level + unused)


class Limited(Wrapper):
    """Lets requests through as `limits` allow.

    Attributes:
        window: how many may be in flight now.
        in_flight: how many are.

    Args:
        inner: the model.
        limits: what its server bears.
        clock: the running event loop; for tests.
    """

    def __init__(self, inner: LanguageModel, limits: Limits | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(inner)
        limits = limits or Limits()
        slots: int | None = getattr(inner, "slots", None)  # what waits here does not wait out its time on the wire
        self.limits = replace(limits, concurrency=min(limits.concurrency, slots)) if slots else limits
        self.window = float(self.limits.concurrency)
        self.in_flight = 0
        self._clock = clock
        self._waiting: deque[tuple[asyncio.Future[None], int, float]] = deque()
        self._paused_until = self._halved_at = self._alarm_at = float("-inf")
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None

    async def complete(self, request: Request) -> list[Reply]:
        """Answer when it is this request's turn; a wait is in `Reply.queue_s`."""
        metered = self.limits.tokens_per_minute is not None
        cost = float(estimate_tokens(request, sent=self.as_sent(request))) if metered else 0.0
        replies, queue_s = await self._in_turn(lambda: self.inner.complete(request), len(request.samples), cost)
        if metered and self._tokens is not None:
            used = sum((reply.usage.prompt or 0) + (reply.usage.completion or 0) for reply in replies)
            if used and all(reply.usage.known for reply in replies):
                self._tokens.give_back(cost - used)
                self._pump(self._clock or asyncio.get_running_loop())
        if queue_s > 0:
            return [replace(reply, queue_s=queue_s) for reply in replies]
        return replies

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        cost = 0.0
        if self.limits.tokens_per_minute is not None:
            cost = float(estimate_tokens(request, continuations=continuations))
        scores, _ = await self._in_turn(lambda: self._inner_score(request, continuations), len(continuations), cost)
        return scores

    async def _in_turn(self, ask: Callable[[], Awaitable[T]], requests: int, cost: float) -> tuple[T, float]:
        clock = self._clock or asyncio.get_running_loop()
        came = sent = clock.time()
        if self._waiting or self._admit(requests, cost, clock) is not None:
            await self._queue(requests, cost, clock)
            sent = clock.time()
        try:
            answer = await ask()
        except Overloaded as error:
            self._slow_down(error, sent, clock.time())
            raise
        finally:
            self.in_flight -= 1
            if self._waiting:
                self._pump(clock)
        if self.window < self.limits.concurrency:
            self.window = min(self.limits.concurrency, self.window + 1 / self.window)
        return answer, sent - came

    def _admit(self, requests: int, cost: float, clock: Clock) -> float | None:
        """Let one request through and return None, or return the seconds to wait (inf: until another returns)."""
        if self.in_flight >= int(self.window):
            return float("inf")
        now, limits = clock.time(), self.limits
        wait = self._paused_until - now
        if limits.requests_per_minute is not None:
            if self._requests is None:
                self._requests = Bucket(limits.requests_per_minute, now)
            wait = max(wait, self._requests.wait_s(requests, now))
        if limits.tokens_per_minute is not None:
            if self._tokens is None:
                self._tokens = Bucket(limits.tokens_per_minute, now)
            wait = max(wait, self._tokens.wait_s(cost, now))
        if wait > 0:
            return wait
        if self._requests is not None:
            self._requests.take(requests)
        if self._tokens is not None:
            self._tokens.take(cost)
        self.in_flight += 1
        return None

    async def _queue(self, requests: int, cost: float, clock: Clock) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, requests, cost))
        self._pump(clock)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let through and cancelled in the same breath
                self.in_flight -= 1
            self._pump(clock)
            raise

    def _pump(self, clock: Clock) -> None:
        """Let through, in order, whoever may go; set an alarm for the first who may only go later."""
        while self._waiting:
            turn, requests, cost = self._waiting[0]
            if not turn.done():
                wait = self._admit(requests, cost, clock)
                if wait is not None:
                    if wait != float("inf"):
                        self._wake_in(wait, clock)
                    return
                turn.set_result(None)
            self._waiting.popleft()

    def _wake_in(self, seconds: float, clock: Clock) -> None:
        now = clock.time()
        if now < self._alarm_at <= now + seconds:
            return  # an earlier alarm is set; it will set the next
        self._alarm_at = now + seconds

        def alarm() -> None:
            self._alarm_at = float("-inf")
            self._pump(clock)

        clock.call_later(seconds, alarm)

    def _slow_down(self, error: Overloaded, sent: float, now: float) -> None:
        """Halve the window, once per generation of requests, and pause for as long as the server wishes."""
        if sent >= self._halved_at:
            self.window = max(1.0, self.window / 2)
            self._halved_at = now
        if error.retry_after is not None and error.retry_after <= LONGEST_WAIT_S:
            self._paused_until = max(self._paused_until, now + error.retry_after)
