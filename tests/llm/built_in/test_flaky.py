"""Faults are drawn at the rates given, are the same on every run, and a retry is a new draw."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.built_in.flaky import SHOW_7, Faults, Flaky, break_json
from whyrec.llm.model import TRANSIENT, AnswerFormat, Message, Request, Scorer, ServerFault
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

SCHEMA = json.dumps({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})


def ask(number: int) -> Request:
    block = f"<history>\n1. Item {number}\n</history>"
    return Request((Message("user", block),), format=AnswerFormat("json", "X", SCHEMA))


async def outcomes(model: Flaky, numbers: range) -> dict[int, str]:
    async def one(number: int) -> str:
        try:
            (reply,) = await model.complete(ask(number))
        except TRANSIENT as error:
            return type(error).__name__
        try:
            json.loads(reply.text)
        except ValueError:
            return reply.finish_reason
        return "fine"

    return dict(zip(numbers, await asyncio.gather(*map(one, numbers)), strict=True))


async def test_rates_are_kept_and_counted() -> None:
    model = Flaky(Echo(), SHOW_7)
    found = Counter((await outcomes(model, range(4_000))).values())
    expected = {"TimedOut": 0.05, "Overloaded": 0.05, "ServerFault": 0.05, "Disconnected": 0.02}
    for name, rate in expected.items():
        assert found[name] / 4_000 == pytest.approx(rate, abs=0.015)
    assert found["stop"] / 4_000 == pytest.approx(0.2 * 0.83, abs=0.025)
    assert found["length"] / 4_000 == pytest.approx(0.02 * 0.83, abs=0.01)
    assert sum(model.met.values()) == 4_000 - found["fine"]
    assert model.met["json"] == found["stop"] and model.met["timeout"] == found["TimedOut"]


async def test_the_same_faults_whatever_the_order() -> None:
    forward = await outcomes(Flaky(Echo(), seed=1), range(300))
    backward = await outcomes(Flaky(Echo(), seed=1), range(299, -1, -1))
    other = await outcomes(Flaky(Echo(), seed=2), range(300))
    assert forward == backward != other


async def test_a_retry_and_a_retry_generation_are_new_draws() -> None:
    model = Flaky(Echo(), Faults(error=0.5))
    failed = [n for n, outcome in (await outcomes(model, range(200))).items() if outcome != "fine"]
    again = [n for n, outcome in (await outcomes(model, range(200))).items() if outcome != "fine"]
    assert 70 < len(failed) < 130 and failed != again

    async def fails(request: Request) -> bool:
        try:
            await Flaky(Echo(), Faults(error=0.5)).complete(request)
        except ServerFault:
            return True
        return False

    first = [await fails(ask(n)) for n in range(100)]
    assert first == [await fails(ask(n)) for n in range(100)]
    assert first != [await fails(replace(ask(n), retry=1)) for n in range(100)]


async def test_each_sample_is_spoilt_for_itself() -> None:
    drawn = replace(ask(1), samples=tuple(range(40)))
    texts = {reply.text for reply in await Flaky(Echo(), Faults(json=0.5)).complete(drawn)}
    assert len(texts) == 2


async def test_no_rates_no_faults_and_scoring_follows_the_inner_model() -> None:
    model = Flaky(Echo(), Faults())
    assert set((await outcomes(model, range(50))).values()) == {"fine"} and not model.met
    assert not isinstance(model, Scorer)
    scoring: Any = open_provider("flaky:error=1:extractive", settings=read_settings())
    assert isinstance(scoring, Scorer)
    with pytest.raises(ServerFault):
        await scoring.score(ask(1), ["a"])


@pytest.mark.parametrize("text", ['{"a": "b"}', '{"a": ["x"], "b": {"c": 1}}', "[]", "plain"])
def test_broken_json_does_not_parse(text: str) -> None:
    with pytest.raises(ValueError):
        json.loads(break_json(text))


def test_names() -> None:
    settings = read_settings()
    assert open_provider("flaky:echo", settings=settings).name.endswith(":echo")
    assert open_provider("flaky:", settings=settings).name.endswith(":extractive")
    assert open_provider("flaky:json=0.5,seed=3:echo", settings=settings).name == "flaky:json=0.5,seed=3:echo"
    with pytest.raises(UnknownNameError, match="jsn"):
        open_provider("flaky:jsn=0.5:echo", settings=settings)
    with pytest.raises(UsageError, match="NAME=RATE"):
        open_provider("flaky:json=often:echo", settings=settings)
    with pytest.raises(UsageError, match="add up to at most 1"):
        open_provider("flaky:timeout=0.6,error=0.6:echo", settings=settings)
