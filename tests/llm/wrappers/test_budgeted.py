"""Budgets: whatever is in flight, a limit is never passed."""

import asyncio
import random
import re
import tomllib
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyrec.errors import UsageError
from whyrec.llm.model import (
    UNKNOWN,
    BudgetSpent,
    Disconnected,
    Message,
    ModelError,
    Refused,
    Reply,
    Request,
    Sampling,
    Scorer,
    ServerFault,
    TimedOut,
    TokenScores,
    Usage,
)
from whyrec.llm.prices import Price, price_of
from whyrec.llm.tokens import estimate_tokens, worst_tokens
from whyrec.llm.wrappers.budgeted import Budget, Budgeted, Cost, failed_cost, pay_again
from whyrec.llm.wrappers.retrying import Retrying

PRICE = Price(input=2.0, output=8.0, cached=0.5)


def ask(text: str = "how are you?", *, max_tokens: int = 50, samples: tuple[int, ...] = (0,)) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=max_tokens), samples=samples)


class Server:
    """Costs something random within what a request may cost, sometimes fails, and keeps the true account."""

    name, revision = "openai:gpt-4o", ""

    def __init__(self, seed: int = 0, faults: float = 0.0) -> None:
        self.draw, self.faults = random.Random(seed), faults
        self.calls = self.tokens = 0
        self.dollars = 0.0

    async def complete(self, request: Request) -> list[Reply]:
        self.calls += len(request.samples)
        most_prompt, _ = worst_tokens(request)
        for _ in range(self.draw.randrange(3)):
            await asyncio.sleep(0)
        failed = self.draw.random() < self.faults
        prompt = self.draw.randint(1, most_prompt)
        completion = [self.draw.randint(0, request.sampling.max_tokens) for _ in request.samples]
        if failed and self.draw.random() < 0.5:
            raise self.draw.choice([ServerFault("500"), Refused("400")])
        usage = Usage(prompt, sum(completion), self.draw.randint(0, prompt))
        self.tokens += usage.prompt + usage.completion
        self.dollars += PRICE.of(usage)
        if failed:
            raise TimedOut("answered and billed, but too late")
        return [
            Reply("x", sample=s, usage=Usage(usage.prompt if i == 0 else 0, n, usage.cached if i == 0 else 0))
            for i, (s, n) in enumerate(zip(request.samples, completion, strict=True))
        ]

    async def close(self) -> None: ...


async def no_sleep(_: float) -> None: ...


async def spend(model, workers: int, requests: int, seed: int) -> dict[str, int]:
    """Many workers ask until the budget is spent or the requests are."""
    draw, left = random.Random(seed), iter(range(requests))
    ended = {"answered": 0, "failed": 0, "refused": 0}

    async def work() -> None:
        for _ in left:
            request = ask(
                "é" * draw.randint(1, 60), max_tokens=draw.randint(1, 200), samples=tuple(range(draw.choice([1, 1, 3])))
            )
            try:
                await model.complete(request)
                ended["answered"] += 1
            except BudgetSpent:
                ended["refused"] += 1
                return
            except ModelError:
                ended["failed"] += 1

    await asyncio.gather(*[work() for _ in range(workers)])
    return ended


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.3]),
    st.one_of(st.none(), st.integers(0, 300)),
    st.one_of(st.none(), st.integers(0, 100_000)),
    st.one_of(st.none(), st.floats(0, 0.5)),
)
def test_a_budget_is_never_passed_with_256_in_flight(seed, faults, calls, tokens, dollars) -> None:
    server, budget = Server(seed, faults), Budget(calls=calls, tokens=tokens, dollars=dollars)
    retrying = Retrying(server, before_retry=pay_again(budget, PRICE), sleep=no_sleep)
    ended = asyncio.run(spend(Budgeted(retrying, budget, price=PRICE), 256, 600, seed))
    assert calls is None or server.calls <= calls
    assert tokens is None or server.tokens <= tokens
    assert dollars is None or server.dollars <= dollars + 1e-9
    assert budget.reserved[:2] == (0, 0) and abs(budget.reserved.dollars) < 1e-9
    assert budget.spent.calls == server.calls and budget.spent.tokens >= server.tokens
    assert ended["refused"] > 0 or ended["answered"] + ended["failed"] == 600


def test_a_budget_of_calls_is_spent_to_the_last() -> None:
    server, budget = Server(), Budget(calls=100)
    model = Budgeted(server, budget, price=PRICE)

    async def run():
        return await asyncio.gather(*[model.complete(ask()) for _ in range(256)], return_exceptions=True)

    results = asyncio.run(run())
    assert server.calls == 100 and sum(isinstance(r, BudgetSpent) for r in results) == 156
    spent = next(r for r in results if isinstance(r, BudgetSpent))
    told = re.search(r"of 100 calls (\d+) are spent and (\d+) may be", str(spent))
    assert told is not None and int(told[1]) + int(told[2]) == 100


async def test_a_request_waits_for_others_to_settle_before_it_is_refused() -> None:
    class Cheap(Server):
        async def complete(self, request):
            self.calls += 1
            await asyncio.sleep(0)
            return [Reply("x", usage=Usage(5, 5))]

    server = Cheap()
    model = Budgeted(server, Budget(tokens=1000), price=None)  # room for six at their worst, for 87 in truth
    results = await asyncio.gather(*[model.complete(ask()) for _ in range(200)], return_exceptions=True)
    assert server.calls > 80 and sum(isinstance(r, BudgetSpent) for r in results) == 200 - server.calls


async def test_what_can_never_fit_is_refused_at_once() -> None:
    server = Server()
    with pytest.raises(BudgetSpent, match="of 10 tokens 0 are spent"):
        await Budgeted(server, Budget(tokens=10), price=None).complete(ask())
    with pytest.raises(BudgetSpent, match="of 0 calls 0 are spent"):
        await Budgeted(server, Budget(calls=0), price=None).complete(ask())
    assert server.calls == 0


async def test_a_cancelled_waiter_leaves_the_line() -> None:
    gate = asyncio.Event()

    class Slow(Server):
        async def complete(self, request):
            self.calls += 1
            await gate.wait()
            return [Reply("x", usage=Usage(1, 1))]

    server, budget = Slow(), Budget(tokens=sum(worst_tokens(ask())) + 5)
    model = Budgeted(server, budget, price=None)
    tasks = [asyncio.create_task(model.complete(ask())) for _ in range(4)]
    await asyncio.sleep(0.01)
    assert server.calls == 1
    tasks[1].cancel()
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(r) for r in results] == [list, asyncio.CancelledError, list, list] and server.calls == 3


async def test_a_cancelled_request_is_charged_in_full() -> None:
    class Hanging(Server):
        async def complete(self, request):
            await asyncio.sleep(60)
            return []

    budget = Budget(calls=5)
    task = asyncio.create_task(Budgeted(Hanging(), budget, price=PRICE).complete(ask()))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert budget.spent.calls == 1 and budget.spent.tokens == sum(worst_tokens(ask())) and budget.reserved.calls == 0


@pytest.mark.parametrize(
    ("error", "tokens"),
    [(TimedOut("x"), sum(worst_tokens(ask()))), (Disconnected("x"), sum(worst_tokens(ask()))), (ServerFault("x"), 0),
     (Refused("x"), 0)],
)  # fmt: skip
async def test_a_send_that_may_have_been_answered_is_charged_in_full(error, tokens) -> None:
    class Failing(Server):
        async def complete(self, request):
            raise error

    budget = Budget()
    with pytest.raises(type(error)):
        await Budgeted(Failing(), budget, price=PRICE).complete(ask())
    assert budget.spent[:2] == (1, tokens) and (budget.spent.dollars > 0) == (tokens > 0)
    budget.again(Cost(1, tokens), failed_cost(error, Cost(1, tokens)))
    assert budget.spent[:2] == (2, 2 * tokens)


async def test_retries_come_out_of_the_same_budget() -> None:
    class Broken(Server):
        async def complete(self, request):
            self.calls += 1
            raise ServerFault("500")

    server, budget = Broken(), Budget(calls=3)
    model = Budgeted(Retrying(server, before_retry=pay_again(budget, None), sleep=no_sleep), budget, price=None)
    with pytest.raises(BudgetSpent):
        await model.complete(ask())
    assert server.calls == 3 and budget.spent.calls == 3 and budget.spent.tokens == 0


async def test_one_budget_around_two_models() -> None:
    budget, a, b = Budget(calls=10), Server(), Server()
    models = [Budgeted(a, budget, price=PRICE), Budgeted(b, budget, price=PRICE)]
    await asyncio.gather(*[models[i % 2].complete(ask()) for i in range(30)], return_exceptions=True)
    assert a.calls + b.calls == 10


async def test_a_server_without_counts_is_taken_at_its_worst() -> None:
    class Silent(Server):
        async def complete(self, request):
            return [Reply("x")]

    budget = Budget()
    await Budgeted(Silent(), budget, price=PRICE).complete(ask())
    assert budget.spent.tokens == sum(worst_tokens(ask()))


async def test_replies_carry_their_cost() -> None:
    class Exact(Server):
        async def complete(self, request):
            return [Reply("x", usage=Usage(1_000_000, 500_000, 400_000))]

    (reply,) = await Budgeted(Exact(), price=PRICE).complete(ask())
    assert reply.cost == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.5 * 8)
    (reply,) = await Budgeted(Exact(), price=None).complete(ask())
    assert reply.cost is None
    (reply,) = await Budgeted(Exact(), price=Price()).complete(ask())
    assert reply.cost == 0.0


def test_money_needs_a_price() -> None:
    with pytest.raises(UsageError, match=r"needs the price of openai:gpt-4o.*prices\.toml"):
        Budgeted(Server(), Budget(dollars=1.0), price=None)
    with pytest.raises(UsageError, match="budget of calls must be 0 or more"):
        Budget(calls=-1)


async def test_scores_are_paid_too() -> None:
    class Scoring(Server):
        async def score(self, request, continuations):
            return [TokenScores(c, (-1.0,)) for c in continuations]

    budget = Budget(calls=5)
    model = Budgeted(Scoring(), budget, price=PRICE)
    assert isinstance(model, Scorer) and not isinstance(Budgeted(Server(), price=PRICE), Scorer)
    await model.score(ask(), ["a", "b", "c"])
    assert budget.spent.calls == 3 and budget.spent.tokens > 0
    with pytest.raises(BudgetSpent):
        await model.score(ask(), ["a", "b", "c"])


# --- tokens and prices


@given(st.text(max_size=300))
def test_worst_is_never_below_the_likely_or_the_bytes(text: str) -> None:
    request = ask(text.encode("utf-8", "replace").decode(), max_tokens=7, samples=(0, 1))
    prompt, completion = worst_tokens(request)
    assert completion == 14 and prompt >= 2 * len(request.messages[0].content.encode())
    assert prompt + completion >= estimate_tokens(request)


def test_prices_say_where_and_when_they_were_read() -> None:
    listed = tomllib.loads(Path(__file__).parents[3].joinpath("whyrec/llm/prices.toml").read_text())
    for name, entry in listed.items():
        assert entry["source"].startswith("https://") and isinstance(entry["date"], date), name
        assert 0 < entry["input"] < entry["output"]


def test_prices_by_name(tmp_path: Path) -> None:
    mini = price_of("openai:gpt-4o-mini", home=tmp_path)
    assert mini == Price(0.15, 0.60, 0.075)
    assert price_of("flaky:json=0.2,timeout=0.05:openai:gpt-4o-mini", home=tmp_path) == mini
    assert price_of("langchain:openai:gpt-4o-mini", home=tmp_path) == mini
    assert price_of("openai:unheard-of", home=tmp_path) is None
    assert price_of("openai:gpt-4o-mini@http://127.0.0.1:1/v1", home=tmp_path) is None
    for free in ("extractive", "simulated:0.5", "vllm:x@http://h/v1", "flaky:extractive"):
        assert price_of(free, home=tmp_path) == Price() and Price().free
    assert price_of("openai:gpt-4.1", home=tmp_path) == Price(2.0, 8.0, 2.0)  # cached tokens at the full price


def test_own_prices_win_and_mistakes_are_told(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('["openai:gpt-4o-mini"]\ninput = 1\noutput = 2\n["vllm:mine"]\ninput = 0.5\noutput = 0.5\n')
    assert price_of("openai:gpt-4o-mini", home=tmp_path) == Price(1.0, 2.0, 1.0)
    assert price_of("vllm:mine", home=tmp_path) == Price(0.5, 0.5, 0.5)
    for wrong in ('["a"]\ninput = 1\n', "a = 3\n", '["a"]\ninput = -1\noutput = 1\n', "not toml ["):
        own.write_text(wrong)
        with pytest.raises(UsageError, match=r"prices\.toml is not a table of prices"):
            price_of("openai:gpt-4o-mini", home=tmp_path)


async def test_what_was_paid_and_not_counted_is_charged_in_full() -> None:
    class Lost(Server):
        async def complete(self, request):
            error = ServerFault("answered, and nobody can read it")
            error.paid = True
            raise error

    class Uncounted(Server):
        async def complete(self, request):
            return [Reply("x", usage=UNKNOWN)]

    worst = sum(worst_tokens(ask()))
    for server in (Lost(), Uncounted()):
        budget = Budget()
        with suppress(ServerFault):
            (reply,) = await Budgeted(server, budget, price=PRICE).complete(ask())
            assert reply.cost is None, "unknown is not free"
        assert budget.spent.tokens == worst and budget.spent.dollars > 0


def test_tokens_from_the_providers_cache_are_never_more_than_the_prompt() -> None:
    assert PRICE.of(Usage(10, 0, 10_000)) == PRICE.of(Usage(10, 0, 10)) > 0
    assert PRICE.of(UNKNOWN) is None and Price().of(UNKNOWN) == 0.0
