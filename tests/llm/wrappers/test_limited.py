"""Limits on a fake clock: rates, the window, pauses, order, and cancellation."""

import asyncio
import heapq
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whyrec.errors import UsageError
from whyrec.llm.model import Message, Overloaded, Reply, Request, Sampling, Scorer, TokenScores, Usage
from whyrec.llm.wrappers.limited import Bucket, Limited, Limits


class FakeClock:
    """Time passes only when told to."""

    def __init__(self) -> None:
        self.now, self._alarms, self._number = 1000.0, [], itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay, callback):
        heapq.heappush(self._alarms, (self.now + delay, next(self._number), callback))

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        await settle()
        while self._alarms and self._alarms[0][0] <= end:
            self.now, _, callback = heapq.heappop(self._alarms)
            callback()
            await settle()
        self.now = end


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Server:
    """Answers when its gate is open; remembers when it was asked what."""

    name, revision = "server", ""

    def __init__(self, clock: FakeClock, *, usage: Usage | None = None) -> None:
        self.clock, self.asked, self.gate = clock, [], asyncio.Event()
        self.gate.set()
        self.usage, self.error, self.in_flight, self.most = usage or Usage(), None, 0, 0

    async def complete(self, request: Request) -> list[Reply]:
        self.asked.append((self.clock.now, request.messages[0].content))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.in_flight -= 1
        return [Reply("yes", sample=i, usage=self.usage) for i in request.samples]

    async def close(self) -> None: ...


def ask(text: str = "?", max_tokens: int = 10, samples: tuple[int, ...] = (0,)) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=max_tokens), samples=samples)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_without_limits_nobody_waits(clock: FakeClock) -> None:
    limited = Limited(Server(clock), clock=clock)
    replies = await asyncio.gather(*[limited.complete(ask()) for _ in range(50)])
    assert all(r.queue_s == 0 for (r,) in replies) and limited.in_flight == 0


async def test_a_server_that_says_how_many_slots_it_has_gets_no_more_at_once(clock: FakeClock) -> None:
    server = Server(clock)
    server.slots = 3
    limited = Limited(server, Limits(concurrency=64), clock=clock)
    server.gate.clear()
    tasks = [asyncio.create_task(limited.complete(ask())) for _ in range(50)]
    await settle()
    assert server.in_flight == 3
    server.gate.set()
    await asyncio.gather(*tasks)
    assert server.most == 3 and limited.limits.concurrency == 3
    assert Limited(server, Limits(concurrency=2)).limits.concurrency == 2


async def test_requests_per_minute(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, Limits(requests_per_minute=120), clock=clock)
    tasks = [asyncio.create_task(limited.complete(ask(str(i)))) for i in range(200)]
    await clock.advance(59.99)
    assert 110 <= len(server.asked) <= 120
    await clock.advance(60)
    replies = await asyncio.gather(*tasks)
    assert [text for _, text in server.asked] == [str(i) for i in range(200)]  # in the order they came
    assert replies[0][0].queue_s == 0 and 50 < replies[110][0].queue_s < 62


async def test_samples_count_as_requests(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, Limits(requests_per_minute=600), clock=clock)
    tasks = [asyncio.create_task(limited.complete(ask(samples=tuple(range(5))))) for _ in range(8)]
    await clock.advance(0.0)
    assert len(server.asked) == 2  # ten a second
    await clock.advance(10)
    await asyncio.gather(*tasks)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(1, 5000),
    st.lists(st.tuples(st.floats(0.1, 60), st.floats(0, 5)), min_size=1, max_size=200),
)
@example(1.5, [(1.0, 0.0), (0.25, 0.0), (0.375, 0.0)])
def test_a_bucket_never_gives_more_than_its_limit_in_any_minute(per_minute, steps) -> None:
    now, bucket, given_at = 0.0, Bucket(per_minute, 0.0), []
    for cost, pause in steps:
        cost = min(cost, bucket.capacity)
        now += pause
        wait = bucket.wait_s(cost, now)
        now += wait
        assert bucket.wait_s(cost, now + 1e-6) <= 1e-3
        bucket.take(cost)
        given_at.append((now, cost))
    limit = max(per_minute, 1.5 if per_minute < 2 else per_minute) + 1e-3
    for start, _ in given_at:
        assert sum(c for at, c in given_at if start <= at < start + 60) <= limit + bucket.rate * 1e-3


async def test_tokens_per_minute_give_back_what_was_not_used(clock: FakeClock) -> None:
    spendthrift, frugal = Server(clock), Server(clock, usage=Usage(10, 10))
    limits = Limits(tokens_per_minute=6000)  # 100 at once, then 98 a second
    for server in (spendthrift, frugal):
        limited = Limited(server, limits, clock=clock)
        tasks = [asyncio.create_task(limited.complete(ask(max_tokens=500))) for _ in range(10)]
        await clock.advance(12)
        server.seen = len(server.asked)
        await clock.advance(60)
        await asyncio.gather(*tasks)
    assert spendthrift.seen == 3 and frugal.seen == 10


async def test_the_window_halves_once_per_generation_and_grows_back(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, Limits(concurrency=16), clock=clock)
    server.gate.clear()
    server.error = Overloaded("busy")
    tasks = [asyncio.create_task(limited.complete(ask(str(i)))) for i in range(40)]
    await settle()
    assert server.most == 16
    clock.now += 1
    server.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(r, Overloaded) for r in results)
    # 16 were sent together and halve once; later ones halve at most once per generation, and never below one
    assert 1 <= limited.window <= 8
    server.error, server.most = None, 0
    low = limited.window
    for _ in range(3000):
        await limited.complete(ask())
    assert limited.window > low
    await asyncio.gather(*[limited.complete(ask()) for _ in range(2000)])
    assert limited.window == 16 and limited.in_flight == 0


async def test_a_single_burst_of_429_halves_once(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, Limits(concurrency=16), clock=clock)
    server.gate.clear()
    server.error = Overloaded("busy")
    tasks = [asyncio.create_task(limited.complete(ask())) for _ in range(16)]
    await settle()
    clock.now += 0.5
    server.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert limited.window == 8


async def test_retry_after_pauses_everybody(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, clock=clock)
    server.error = Overloaded("busy", retry_after=5.0)
    with pytest.raises(Overloaded):
        await limited.complete(ask())
    server.error = None
    tasks = [asyncio.create_task(limited.complete(ask())) for _ in range(3)]
    await clock.advance(4.9)
    assert len(server.asked) == 1
    await clock.advance(0.2)
    assert len(server.asked) == 4
    assert all(4.9 < r.queue_s < 5.2 for (r,) in await asyncio.gather(*tasks))


async def test_a_retry_after_of_a_day_stops_nobody(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, clock=clock)
    server.error = Overloaded("quota", retry_after=86_400.0)
    with pytest.raises(Overloaded):
        await limited.complete(ask())
    server.error = None
    await limited.complete(ask())


async def test_cancelled_waiters_leave_no_hole(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, Limits(concurrency=1), clock=clock)
    server.gate.clear()
    tasks = [asyncio.create_task(limited.complete(ask(str(i)))) for i in range(5)]
    await settle()
    tasks[1].cancel()
    tasks[3].cancel()
    await settle()
    server.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [text for _, text in server.asked] == ["0", "2", "4"] and limited.in_flight == 0
    assert [isinstance(r, asyncio.CancelledError) for r in results] == [False, True, False, True, False]


async def test_cancelled_in_the_moment_of_its_turn(clock: FakeClock) -> None:
    server = Server(clock)
    limited = Limited(server, Limits(concurrency=1, requests_per_minute=60), clock=clock)
    await limited.complete(ask("0"))
    second, third = (asyncio.create_task(limited.complete(ask(str(i)))) for i in (1, 2))
    await settle()
    clock.now, _, let_through = heapq.heappop(clock._alarms)
    let_through()
    assert limited.in_flight == 1
    second.cancel()  # before it could run
    await clock.advance(5)
    assert second.cancelled() and third.done()
    assert [text for _, text in server.asked] == ["0", "2"] and limited.in_flight == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["ok", "busy", "cancel"]), min_size=1, max_size=60), st.integers(1, 6))
def test_whatever_happens_the_window_holds_and_empties(fates, concurrency) -> None:
    async def run() -> None:
        clock = FakeClock()
        server = Server(clock)
        limited = Limited(server, Limits(concurrency=concurrency), clock=clock)
        tasks = []
        for fate in fates:
            server.error = Overloaded("busy") if fate == "busy" else None
            tasks.append(asyncio.create_task(limited.complete(ask())))
            if fate == "cancel":
                tasks[len(tasks) // 2].cancel()
            if len(tasks) % 3 == 0:
                await asyncio.sleep(0)
        await clock.advance(1)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert server.most <= concurrency and limited.in_flight == 0 and 1 <= limited.window <= concurrency

    asyncio.run(run())


async def test_the_real_clock_is_the_event_loop() -> None:
    server = Server(FakeClock())
    limited = Limited(server, Limits(requests_per_minute=6000))
    replies = await asyncio.gather(*[limited.complete(ask()) for _ in range(105)])
    assert 0.02 < replies[-1][0].queue_s < 2.0


async def test_scores_wait_in_the_same_line(clock: FakeClock) -> None:
    class Scoring(Server):
        async def score(self, request, continuations):
            self.asked.append((self.clock.now, "score"))
            return [TokenScores(c, (-1.0,)) for c in continuations]

    server = Scoring(clock)
    limited = Limited(server, Limits(requests_per_minute=60), clock=clock)
    assert isinstance(limited, Scorer) and not isinstance(Limited(Server(clock)), Scorer)
    await limited.score(ask(), ["a"])
    task = asyncio.create_task(limited.score(ask(), ["a"]))
    await clock.advance(0.5)
    assert not task.done()
    await clock.advance(1)
    assert len(await task) == 1


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"requests_per_minute": -1.0}, {"tokens_per_minute": 0.0}])
def test_impossible_limits(wrong) -> None:
    with pytest.raises(UsageError, match=f"limit {next(iter(wrong))} must be above 0"):
        Limits(**wrong)
