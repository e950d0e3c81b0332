"""The call cache: what makes two requests the same, who is asked, and what is kept."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyrec.llm.model import (
    Made,
    Message,
    Refused,
    Reply,
    Request,
    Scorer,
    ServerFault,
    TokenLogprob,
    TokenScores,
    Usage,
)
from whyrec.llm.wrappers.cache_file import CacheFile
from whyrec.llm.wrappers.cached import Cached, request_digest

ROOT = Path(__file__).resolve().parents[3]
ASK = Request((Message("user", "who?"),))


class Model:
    """Counts what it is asked; waits at a gate; says something different each time."""

    def __init__(self, name: str = "m", revision: str = "1") -> None:
        self.name, self.revision, self.asked = name, revision, []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.finish = "stop"

    async def complete(self, request: Request) -> list[Reply]:
        self.asked.append(request)
        nth = len(self.asked)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [
            Reply(
                f"answer {nth}.{sample} ünï\ud83d",
                reasoning="hm",
                sample=sample,
                usage=Usage(10, 5, 2),
                finish_reason=self.finish,
                logprobs=(TokenLogprob("A", -0.5, (("B", -1.5),)),),
                model="served",
                service_s=0.5,
                cost=0.25,
            )
            for sample in request.samples
        ]

    async def close(self) -> None:
        self.closed = True


class ScoringModel(Model):
    async def score(self, request, continuations):
        self.asked.append(tuple(continuations))
        return [TokenScores(text, (-float(len(text)), -0.25)) for text in continuations]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cache.sqlite"


# --- hits


async def test_a_hit_costs_nothing_and_says_the_same(path: Path) -> None:
    model = Model()
    cached = Cached(model, CacheFile(path))
    (first,) = await cached.complete(ASK)
    (again,) = await cached.complete(ASK)  # before the write is committed
    cached._file.flush()
    (later,) = await cached.complete(ASK)
    await cached.close()
    reopened = Cached(Model(), CacheFile(path))
    (after,) = await reopened.complete(ASK)
    await reopened.close()
    assert len(model.asked) == 1 and first.cache == "miss" and first.usage == Usage(10, 5, 2)
    made = Made(Usage(10, 5, 2), first.cost, first.service_s)
    expected = replace(first, cache="hit", usage=Usage(), cost=0.0, attempts=0, service_s=0.0, made=made)
    assert again == later == after == expected


async def test_the_stored_record_keeps_what_it_cost(path: Path) -> None:
    cached = Cached(Model(), CacheFile(path))
    await cached.complete(ASK)
    key = cached._key(request_digest(ASK, 0), ASK)
    assert "[10,5,2],0.25,0.5]" in (cached._file.get(key) or "")
    await cached.close()


async def test_only_missing_samples_are_asked(path: Path) -> None:
    model = Model()
    cached = Cached(model, CacheFile(path))
    await cached.complete(replace(ASK, samples=(1, 3)))
    replies = await cached.complete(replace(ASK, samples=(0, 1, 2, 3, 4)))
    assert [r.samples for r in model.asked] == [(1, 3), (0, 2, 4)]
    assert [r.sample for r in replies] == [0, 1, 2, 3, 4]
    assert [r.cache for r in replies] == ["miss", "hit", "miss", "hit", "miss"]
    await cached.close()


@pytest.mark.parametrize("other", [("m", "2"), ("n", "1")])
async def test_another_model_or_revision_is_another_question(path: Path, other) -> None:
    one, two = Cached(Model(), CacheFile(path)), Cached(Model(*other), CacheFile(path))
    await one.complete(ASK)
    (reply,) = await two.complete(ASK)
    assert reply.cache == "miss"
    await one.close()
    await two.close()


async def test_a_retry_generation_asks_anew_and_is_kept_too(path: Path) -> None:
    model = Model()
    cached = Cached(model, CacheFile(path))
    first = [(await cached.complete(replace(ASK, retry=g)))[0] for g in (0, 1)]
    again = [(await cached.complete(replace(ASK, retry=g)))[0] for g in (0, 1)]
    assert len(model.asked) == 2 and first[0].text != first[1].text
    assert [r.text for r in again] == [r.text for r in first]
    await cached.close()


@pytest.mark.parametrize("finish", ["length", "error", "filtered"])
async def test_unfinished_answers_are_delivered_and_not_kept(path: Path, finish: str) -> None:
    model = Model()
    model.finish = finish
    cached = Cached(model, CacheFile(path))
    for _ in range(2):
        assert (await cached.complete(ASK))[0].finish_reason == finish
    assert len(model.asked) == 2
    await cached.close()


async def test_failures_are_not_kept(path: Path) -> None:
    model = Model()
    cached = Cached(model, CacheFile(path))
    model.error = ServerFault("500")
    with pytest.raises(ServerFault):
        await cached.complete(ASK)
    model.error = None
    assert (await cached.complete(ASK))[0].cache == "miss"
    await cached.close()


# --- flights


async def test_a_hundred_identical_requests_are_one_call(path: Path) -> None:
    model = Model()
    model.gate.clear()
    cached = Cached(model, CacheFile(path))
    tasks = [asyncio.create_task(cached.complete(ASK)) for _ in range(100)]
    await asyncio.sleep(0.01)
    model.gate.set()
    replies = [reply for (reply,) in await asyncio.gather(*tasks)]
    assert len(model.asked) == 1 and len({r.text for r in replies}) == 1
    assert [r.cache for r in replies] == ["miss"] + ["joined"] * 99
    assert {r.length for r in replies} == {5} and sum(r.usage.completion for r in replies) == 5
    assert sum(r.usage.prompt for r in replies) == 10 and sum(r.cost or 0 for r in replies) == 0.25
    assert sum(r.attempts for r in replies) == 1
    await cached.close()


async def test_who_is_cancelled_does_not_cancel_the_others(path: Path) -> None:
    model = Model()
    model.gate.clear()
    cached = Cached(model, CacheFile(path))
    tasks = [asyncio.create_task(cached.complete(ASK)) for _ in range(10)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    tasks[5].cancel()
    await asyncio.sleep(0.01)
    model.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(model.asked) == 1
    assert [isinstance(r, asyncio.CancelledError) for r in results] == [i in (0, 5) for i in range(10)]
    await cached.close()


async def test_an_answer_nobody_waits_for_any_more_is_kept(path: Path) -> None:
    model = Model()
    model.gate.clear()
    cached = Cached(model, CacheFile(path))
    task = asyncio.create_task(cached.complete(ASK))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    model.gate.set()
    await asyncio.sleep(0.01)
    assert (await cached.complete(ASK))[0].cache == "hit" and len(model.asked) == 1
    await cached.close()


async def test_a_failed_flight_fails_for_all_and_the_next_is_new(path: Path) -> None:
    model = Model()
    model.gate.clear()
    model.error = Refused("400")
    cached = Cached(model, CacheFile(path))
    tasks = [asyncio.create_task(cached.complete(ASK)) for _ in range(5)]
    await asyncio.sleep(0.01)
    tasks[2].cancel()
    model.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(r) for r in results] == [Refused, Refused, asyncio.CancelledError, Refused, Refused]
    model.error = None
    await cached.complete(ASK)
    assert len(model.asked) == 2 and not cached._flights
    await cached.close()


async def test_overlapping_samples_share_their_flights(path: Path) -> None:
    model = Model()
    model.gate.clear()
    cached = Cached(model, CacheFile(path))
    tasks = [
        asyncio.create_task(cached.complete(replace(ASK, samples=samples)))
        for samples in ((0, 1), (1, 2), (0, 1, 2, 3), (2,))
    ]
    await asyncio.sleep(0.01)
    model.gate.set()
    replies = await asyncio.gather(*tasks)
    assert [r.samples for r in model.asked] == [(0, 1), (2,), (3,)]
    assert [[r.sample for r in some] for some in replies] == [[0, 1], [1, 2], [0, 1, 2, 3], [2]]
    by_sample = {}
    for reply in (r for some in replies for r in some):
        assert by_sample.setdefault(reply.sample, reply.text) == reply.text
    await cached.close()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_is_asked_twice_whatever_is_cancelled(tmp_path_factory, seed: int) -> None:
    draw = random.Random(seed)

    class Slow(Model):
        async def complete(self, request):
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
            return await super().complete(request)

    async def run() -> None:
        model = Slow()
        cached = Cached(model, CacheFile(tmp_path_factory.mktemp("c") / "cache.sqlite"))
        tasks = []
        for _ in range(40):
            request = replace(
                ASK, retry=draw.randrange(3), samples=tuple(sorted(draw.sample(range(4), draw.randint(1, 4))))
            )
            tasks.append((request, asyncio.create_task(cached.complete(request))))
            if draw.random() < 0.2:
                draw.choice(tasks)[1].cancel()
            if draw.random() < 0.5:
                await asyncio.sleep(0)
        results = await asyncio.gather(*[t for _, t in tasks], return_exceptions=True)
        asked = [(r.retry, s) for r in model.asked for s in r.samples]
        assert len(asked) == len(set(asked))
        for (request, _), result in zip(tasks, results, strict=True):
            if not isinstance(result, BaseException):
                assert [r.sample for r in result] == list(request.samples)
        assert not cached._flights
        await cached.close()

    asyncio.run(run())


async def test_closing_ends_flights_and_closes_the_model(path: Path) -> None:
    model = Model()
    model.gate.clear()
    cached = Cached(model, CacheFile(path))
    task = asyncio.create_task(cached.complete(ASK))
    await asyncio.sleep(0.01)
    await cached.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.closed and not cached._tasks
    await cached.close()


# --- scores


async def test_scores_are_cached_one_by_one(path: Path) -> None:
    model = ScoringModel()
    cached = Cached(model, CacheFile(path))
    assert isinstance(cached, Scorer) and not isinstance(Cached(Model(), cached._file), Scorer)
    first = await cached.score(ASK, ["yes", "no"])
    cached._file.flush()
    second = await cached.score(ASK, ["maybe", "no", "yes", "no"])
    assert model.asked == [("yes", "no"), ("maybe",)]
    assert [s.continuation for s in second] == ["maybe", "no", "yes", "no"]
    assert second[2] == first[0] == TokenScores("yes", (-3.0, -0.25))
    await cached.close()
