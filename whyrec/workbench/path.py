"""The path of one example through its graph, made again from the calls its run recorded.

The example runs on `replay:RUN`, so no model is asked: every question must have been asked then, and every answer is
the one that was given. What comes out is held against the stored result. When they differ (the code, the data or a
prompt has changed since), `Path.differs` says so, and the path is what would happen now.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory
from typing import Any

import prompts
from agents.agent import AnswerError
from agents.wording import Wording, check
from graphs.engine.steps import Step, steps
from graphs.run import How, Job, Models, prepare
from graphs.services import Scratch, Services
from graphs.workflow import MissingInput, recorded_options, workflow
from whyrec.data import open_again
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Stamped
from whyrec.llm.built_in.replay import Replay
from whyrec.llm.model import LanguageModel, ModelError, Reply, Request, TokenScores
from whyrec.llm.wrappers.cached import request_digest, score_digest
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.runs import Result, RunReader
from whyrec.runs.identity import canonical
from whyrec.settings import Settings


@dataclass(frozen=True)
class Stop:
    """A node's turn, and the calls it made, as they were recorded."""

    step: Step
    calls: tuple[int, ...]


@dataclass(frozen=True)
class Path:
    """The way of an example.

    Attributes:
        key: the example's key.
        stops: in order.
        stored: what the run has of it; None where it never came to an end.
        payload: what came out now; None where it ended early.
        ended: why it ended early, "" where it did not.
    """

    key: str
    stops: tuple[Stop, ...]
    stored: Result | None
    payload: dict[str, Any] | None
    ended: str

    @property
    def differs(self) -> bool:
        """Whether what came out is not what the run has stored."""
        if self.stored is None:
            return False
        if self.stored.payload is None or self.payload is None:
            return (self.stored.payload is None) != (self.payload is None)
        return canonical(self.stored.payload) != canonical(self.payload)


class Workplace:
    """A run's workflow set up again, to send examples through it.

    Args:
        run: the run.
        settings: home and data folders.

    Attributes:
        data: the run's data set.

    Raises:
        UsageError: the data are not those of the run any more.
    """

    def __init__(self, run: RunReader, settings: Settings) -> None:
        self.run = run
        info = run.info()
        opened = open_again(info["data"], info.get("data_path", ""), settings=settings)
        if opened.data.digest != info["data_digest"]:
            raise UsageError(
                f"{info['data']} is not what it was when {run.id} was made (its digest is {opened.data.digest}, then "
                f"{info['data_digest']}), so the states of that run cannot be made again."
            )
        self.data = opened.data
        flow = workflow(info["graph"])
        options = recorded_options(flow, json.loads(info["settings"])["options"])
        self.job: Job = prepare(
            flow.name,
            corpus=opened.data,
            model=Models(Replay(run), wording=recorded_wording(run)),
            options=options,
            how=How(settings=settings, world=opened.world),
        )
        self._index = {self.job.inputs.key(int(i)): int(i) for i in self.job.inputs.indices}

    def key(self, name: str) -> str:
        """The example meant by its key, or by the user or item it is of.

        Raises:
            UnknownNameError: there is none.
        """
        if name in self._index:
            return name
        meant = [key for key in self._index if key.partition("/")[2] == name]
        if len(meant) != 1:
            raise UnknownNameError("example", name, meant or list(self._index)[:10], hint="These are some of them.")
        return meant[0]

    def recorded(self, key: str) -> str:
        """The same key, where the run has asked anything about it or has its result.

        Raises:
            UsageError: the run is of other examples.
        """
        if self.run.result(key) is not None:
            return key
        there = self.run._read.execute("SELECT 1 FROM call WHERE example=? LIMIT 1", (key,)).fetchone()
        if there is None:
            some = [k for (k,) in self.run._read.execute("SELECT key FROM example ORDER BY rowid LIMIT 5")]
            raise UsageError(
                f"The run {self.run.id} is not about {key}: it went over other examples"
                f"{', such as ' + ', '.join(some) if some else ''}. `whyrec runs ls` names other runs."
            )
        return key

    def state(self, key: str) -> Any:
        """The state the example starts from."""
        return self.job.inputs.state(self._index[key])

    def path(self, key: str) -> Path:
        """The example's way on the recorded answers."""
        return asyncio.run(self.walk(key, self.job.model))

    async def walk(self, key: str, model: LanguageModel, *, retry: int | None = None) -> Path:
        """The example's way with any model.

        Args:
            key: the example's key.
            model: answers; recorded calls are found where it answers what was recorded.
            retry: retry generation; that of the stored result by default.
        """
        stored = self.run.result(key)
        generation = retry if retry is not None else stored.generation if stored else 0
        noting = _Noting(model)
        llm = Stamped(noting, run=self.run.id, retry=generation)
        parts = await asyncio.to_thread(lambda: self.job.parts)
        stops: list[Stop] = []
        payload, ended = None, ""
        with TemporaryDirectory(prefix="whyrec-again-") as gone:
            services = Services(
                self.job.cast({id(self.job.model): llm}), parts, scratch=Scratch(FilePath(gone), self.run.id)
            )
            try:
                state = self.state(key)
                async for step in steps(self.job.flow, state, services):
                    if stops and stops[-1].step.number == step.number:
                        stops.append(self._stop(step, noting.last, key))
                    else:
                        stops.append(self._stop(step, noting.turn(), key))
                payload = self.job.flow.result(stops[-1].step.after if stops else state)
            except (AnswerError, MissingInput, ModelError) as error:
                ended = f"{type(error).__name__}: {error}"
        return Path(key, tuple(stops), stored, payload, ended)

    def _stop(self, step: Step, asked: Sequence[tuple[str, bytes]], key: str) -> Stop:
        """A step with its calls: those its node made, or all of its super-step where none carries its name."""
        own = [digest for node, digest in asked if node == step.node] or [digest for _, digest in asked]
        numbers = {number for digest in own for number in self.run.numbers(digest, example=key)}
        return Stop(step, tuple(sorted(numbers)))


def recorded_wording(run: RunReader) -> Wording:
    """In whose words a run asked: its versions of prompts where the house's are others now, and its seed."""
    settings = json.loads(run.info()["settings"])
    edited = {}
    for name, digest in settings["prompts"].items():
        text = run.prompt(digest)
        if name in prompts.names() and text is not None and prompts.load(name).digest != digest:
            with suppress(UsageError):  # it no longer fits the code: what comes out says that it differs
                found = prompts.parse(text[1])
                check(prompts.load(name), found)
                edited[name] = found
    return Wording(edited, int(settings.get("voices", {}).get("seed", 0)))


class _Noting(Wrapper):
    """Notes which node asked what."""

    def __init__(self, inner: LanguageModel) -> None:
        super().__init__(inner)
        self.last: list[tuple[str, bytes]] = []
        self._now: list[tuple[str, bytes]] = []

    def turn(self) -> list[tuple[str, bytes]]:
        """What was asked since the last turn; it is then `last`."""
        self.last, self._now = self._now, []
        return self.last

    async def complete(self, request: Request) -> list[Reply]:
        """Answer, and note every sample."""
        self._now += [(request.about.node, request_digest(request, sample)) for sample in request.samples]
        return await self.inner.complete(request)

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        self._now.append((request.about.node, score_digest(request, continuations)))
        return await self._inner_score(request, continuations)
