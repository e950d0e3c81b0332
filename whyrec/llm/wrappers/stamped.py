"""Writes on every request which run and which retry generation it belongs to, so that nobody below passes them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whyrec.llm.model import LanguageModel, Reply, Request, TokenScores
from whyrec.llm.wrappers.wrapper import Wrapper


class Stamped(Wrapper):
    """Fills `about.run` and `request.retry`.

    Args:
        inner: the model.
        run: id of the run, "" for none.
        retry: retry generation; a new one asks past the cache.
    """

    def __init__(self, inner: LanguageModel, *, run: str = "", retry: int = 0) -> None:
        super().__init__(inner)
        self._run, self._retry = run, retry

    async def complete(self, request: Request) -> list[Reply]:
        """Stamp and answer."""
        return await self.inner.complete(self._stamp(request))

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        return await self._inner_score(self._stamp(request), continuations)

    def _stamp(self, request: Request) -> Request:
        if self._run and request.about.run != self._run:
            return replace(request, retry=self._retry, about=replace(request.about, run=self._run))
        return request if request.retry == self._retry else replace(request, retry=self._retry)
