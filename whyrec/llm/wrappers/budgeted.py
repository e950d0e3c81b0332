"""Stop before a limit on calls, tokens or money is passed, however many requests are in flight.

Each request reserves the worst it can cost before it is sent and settles when it returns. While reservations of
others stand in the way, a request waits for them to settle; when even then there would be no room, it is refused with
`BudgetSpent`, which the runner takes as the sign to stop. One `Budget` may stand around several models.

The worst case is that of the request as it is sent (`whyrec.llm.sent`), which options of a model's name may change.
Where nothing caps an answer there is none, and a budget in tokens or money is refused beforehand.

Unusual: a send that timed out, lost its connection or was answered with something that cannot be read may have been
billed all the same (`ModelError.paid`), so it is settled at its worst case, as is an answer whose tokens nobody
counted; a server's refusal or fault costs a call and no tokens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from whyrec.errors import UsageError
from whyrec.llm.model import (
    BudgetSpent,
    LanguageModel,
    ModelError,
    Reply,
    Request,
    TokenScores,
    Usage,
)
from whyrec.llm.prices import Price
from whyrec.llm.sent import INSTEAD, Bounded, Sent, as_asked
from whyrec.llm.tokens import worst_tokens
from whyrec.llm.wrappers.retrying import BeforeRetry
from whyrec.llm.wrappers.wrapper import Wrapper

T = TypeVar("T")
_DUST = 1e-9  # dollars, for sums of floats


class Cost(NamedTuple):
    """An amount of what a budget limits."""

    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0


class Budget:
    """Limits on calls, tokens (prompt and completion) and US dollars; None: unlimited.

    A call is one send for one sample or continuation, retries included.

    Attributes:
        calls, tokens, dollars: the limits.
        spent: what has been settled.
        reserved: what requests in flight may still cost.
    """

    def __init__(self, *, calls: int | None = None, tokens: int | None = None, dollars: float | None = None) -> None:
        for name, value in (("calls", calls), ("tokens", tokens), ("dollars", dollars)):
            if value is not None and not value >= 0:
                raise UsageError(f"A budget of {name} must be 0 or more, not {value}.")
        self.calls, self.tokens, self.dollars = calls, tokens, dollars
        self.spent = self.reserved = Cost()
        self._limited = (calls, tokens, dollars) != (None, None, None)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, worst: Cost) -> None:
        """Set aside what a request may cost, after others have settled if need be.

        Raises:
            BudgetSpent: there is no room for it, now or later.
        """
        if self._limited and (self._waiting or not self._fits(worst, self.reserved)):
            await self._wait_for_room(worst)
        self.reserved = _plus(self.reserved, worst)

    def again(self, worst: Cost, failed: Cost) -> None:
        """Settle one failed send of a reserved request and keep its reservation for the next.

        Raises:
            BudgetSpent: there is no room for another send.
        """
        self.spent = _plus(self.spent, failed)
        others = _minus(self.reserved, worst)
        if not self._fits(worst, others):
            raise self._spent_error()

    def settle(self, worst: Cost, real: Cost) -> None:
        """Replace a reservation by what it really cost."""
        self.reserved = _minus(self.reserved, worst)
        self.spent = _plus(self.spent, real)
        self._wake()

    async def _wait_for_room(self, worst: Cost) -> None:
        first = True
        while True:
            if not self._fits(worst, Cost(calls=self.reserved.calls)):
                self._wake()
                raise self._spent_error()  # even if everything in flight cost nothing; a call in flight stays a call
            if (not first or not self._waiting) and self._fits(worst, self.reserved):
                self._wake()
                return
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            # whoever was woken and found no room keeps its place at the head
            (self._waiting.append if first else self._waiting.appendleft)(turn)
            first = False
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                self._wake()
                raise

    def _wake(self) -> None:
        """Let the first in line look again, after the caller has booked what it took."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def check(self, model: LanguageModel, price: Price | None) -> None:
        """Refuse a model that nobody can keep within the budget.

        Raises:
            UsageError: a budget of money for a model whose price is not known; or one of tokens or money where
                nothing caps an answer.
        """
        if self.dollars is not None and price is None:
            raise UsageError(
                f"A budget in US dollars needs the price of {model.name}, which is not known. Write it into "
                f"$WHYREC_HOME/prices.toml, or limit calls or tokens instead."
            )
        costs = self.dollars is not None and price is not None and not price.free
        sent = model.as_sent(Request(())) if isinstance(model, Bounded) else None
        if sent is not None and sent.cap is None and (self.tokens is not None or costs):
            what = "tokens" if self.tokens is not None else "US dollars"
            raise UsageError(
                f"A budget in {what} cannot be kept: nothing caps how long an answer of {model.name} may be. "
                f"{sent.advice} Or {INSTEAD}."
            )

    def _fits(self, worst: Cost, reserved: Cost) -> bool:
        calls, tokens, dollars = self.calls, self.tokens, self.dollars
        spent = self.spent
        return (
            (calls is None or spent.calls + reserved.calls + worst.calls <= calls)
            and (tokens is None or spent.tokens + reserved.tokens + worst.tokens <= tokens)
            and (dollars is None or spent.dollars + reserved.dollars + worst.dollars <= dollars + _DUST)
        )

    def _spent_error(self) -> BudgetSpent:
        limits = {"calls": self.calls, "tokens": self.tokens, "US dollars": self.dollars}
        said = "; ".join(
            f"of {limit:g} {name} {used:.6g} are spent and {waiting:.6g} may be, by requests in flight"
            for (name, limit), used, waiting in zip(limits.items(), self.spent, self.reserved, strict=True)
            if limit is not None
        )
        return BudgetSpent(
            f"The budget has no room for another request: {said}. Raise it and run the same command again."
        )


class Budgeted(Wrapper):
    """Reserves before, settles after, and writes the cost into each reply.

    Args:
        inner: the model, with its retries inside.
        budget: shared with whoever else spends from it.
        price: what the model costs, None where it is not known.

    Raises:
        UsageError: as `Budget.check`.
    """

    def __init__(self, inner: LanguageModel, budget: Budget | None = None, *, price: Price | None) -> None:
        super().__init__(inner)
        self._budget = budget or Budget()
        self._price = price
        self.free = price is not None and price.free
        self._budget.check(inner, price)

    async def complete(self, request: Request) -> list[Reply]:
        """Answer within the budget.

        Raises:
            BudgetSpent: the request could pass the limit.
        """
        worst = worst_cost(request, self._price, sent=self.as_sent(request))
        replies = await self._paid(lambda: self.inner.complete(request), worst, self._real)
        price = self._price
        if price is None:
            return [reply if reply.cost is None else replace(reply, cost=None) for reply in replies]
        if price.free:
            return replies
        return [replace(reply, cost=price.of(reply.usage)) for reply in replies]

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        worst = worst_cost(request, self._price, continuations)
        return await self._paid(lambda: self._inner_score(request, continuations), worst, lambda _, most: most)

    async def _paid(self, ask: Callable[[], Awaitable[T]], worst: Cost, real: Callable[[T, Cost], Cost]) -> T:
        await self._budget.reserve(worst)
        spent = worst  # what a cancelled request may have cost
        try:
            answer = await ask()
            spent = real(answer, worst)
        except BudgetSpent:
            spent = Cost()  # the failed sends are settled, and no other was made
            raise
        except ModelError as error:
            spent = failed_cost(error, worst)
            raise
        finally:
            self._budget.settle(worst, spent)
        return answer

    def _real(self, replies: list[Reply], worst: Cost) -> Cost:
        prompt = completion = cached = 0
        for reply in replies:
            usage = reply.usage
            if usage.prompt is None or usage.completion is None:
                return worst  # nobody counted
            prompt += usage.prompt
            completion += usage.completion
            cached += usage.cached or 0
        if not prompt and not completion:
            return worst  # no prompt is read without a token
        dollars = 0.0 if self._price is None else self._price.most(Usage(prompt, completion, cached))
        return Cost(worst.calls, prompt + completion, dollars)


def worst_cost(
    request: Request, price: Price | None, continuations: Sequence[str] = (), *, sent: Sent | None = None
) -> Cost:
    """The most that one send of a request can cost, where `sent` says what it becomes on its way.

    A server that cannot give several samples or scores at once is sent as many requests, so each is a call.
    """
    prompt, completion = worst_tokens(request, continuations=continuations, sent=sent)
    dollars = 0.0 if price is None else price.most(Usage(prompt, completion))
    return Cost(len(continuations) or len(request.samples), prompt + completion, dollars)


def pay_again(budget: Budget, price: Price | None, model: LanguageModel | None = None) -> BeforeRetry:
    """What `Retrying` calls before each further send, so that retries come out of the same budget.

    Args:
        budget: whose.
        price: what a send costs.
        model: says what bounds its answers.
    """
    bounds = model.as_sent if isinstance(model, Bounded) else as_asked

    def before_retry(request: Request, error: ModelError, continuations: Sequence[str]) -> None:
        worst = worst_cost(request, price, continuations, sent=bounds(request))
        budget.again(worst, failed_cost(error, worst))

    return before_retry


def failed_cost(error: ModelError, worst: Cost) -> Cost:
    """What a send that failed may have cost."""
    return worst if error.paid else Cost(calls=worst.calls)


def _plus(a: Cost, b: Cost) -> Cost:
    return Cost(a.calls + b.calls, a.tokens + b.tokens, a.dollars + b.dollars)


def _minus(a: Cost, b: Cost) -> Cost:
    return Cost(a.calls - b.calls, a.tokens - b.tokens, a.dollars - b.dollars)
