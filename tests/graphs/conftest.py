"""A small world, a model that counts its calls, and a runner with a home of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from graphs.engine.job import How
from whyrec.data.generated.world import World, make
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.model import LanguageModel, ModelError, Reply, Request
from whyrec.settings import read_settings


class Counting:
    """Echo, with every request kept, a delay if wanted, and an error where `fails` gives one."""

    def __init__(self, *, delay: float = 0.0, fails: Callable[[Request, int], ModelError | str | None] | None = None):
        self.inner: LanguageModel = Echo()
        self.name, self.revision = "echo", "1"
        self.seen: list[Request] = []
        self.in_flight = self.most = 0
        self._delay, self._fails = delay, fails

    async def complete(self, request: Request) -> list[Reply]:
        self.seen.append(request)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self._delay:
                await asyncio.sleep(self._delay)
            wrong = self._fails(request, len(self.seen)) if self._fails else None
            if isinstance(wrong, str):
                return [Reply(wrong, sample=sample) for sample in request.samples]
            if wrong is not None:
                raise wrong
            return await self.inner.complete(request)
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        pass


@pytest.fixture
def counting() -> type[Counting]:
    return Counting


@pytest.fixture(scope="session")
def world() -> World:
    return make(users=60, items=80)


@pytest.fixture
def how() -> Callable[..., How]:
    """How to run, in this test's own home."""

    def make_how(**given: Any) -> How:
        return How(settings=read_settings(), **given)

    return make_how
