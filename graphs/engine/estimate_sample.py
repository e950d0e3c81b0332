"""A job's graph over a few of its examples with the extractive model: the real prompts, answers of the real shape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from agents.agent import AnswerError
from graphs.engine.job import Job
from graphs.services import Scratch, Services
from graphs.workflow import MissingInput
from whyrec.llm import open_provider
from whyrec.llm.model import LanguageModel, Reply, Request, TokenScores
from whyrec.llm.wrappers.wrapper import Wrapper

_PATIENCE_CPU_S, _PATIENCE_S = 3.0, 20.0  # of this process, so that a busy machine does not make a smaller sample


@dataclass
class Tally:
    """What was asked: calls, tokens in, tokens out, and of whom."""

    model: str = ""
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Measured(Wrapper):
    """Counts what goes through a model, by node.

    Args:
        inner: answers.
        nodes: what was counted so far.
        of: the model it answers for.
    """

    def __init__(self, inner: LanguageModel, nodes: dict[str, Tally] | None = None, of: str = "") -> None:
        super().__init__(inner)
        self.nodes: dict[str, Tally] = {} if nodes is None else nodes
        self._of = of or inner.name

    async def complete(self, request: Request) -> list[Reply]:
        """Answer and count."""
        replies = await self.inner.complete(request)
        tally = self._tally(request)
        tally.calls += len(replies)
        tally.tokens_in += sum(reply.usage.prompt or 0 for reply in replies)  # the embedded model counts its own
        tally.tokens_out += sum(reply.usage.completion or 0 for reply in replies)
        return replies

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Scoring is one call; no server says what it cost."""
        self._tally(request).calls += 1
        return await self._inner_score(request, continuations)

    def _tally(self, request: Request) -> Tally:
        return self.nodes.setdefault(request.about.node, Tally(self._of))


@dataclass(frozen=True)
class DryRun:
    """Counts of a dry run: by node, and calls by node of every sampled example."""

    nodes: Mapping[str, Tally] = field(default_factory=dict)
    indices: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    per_example: tuple[Mapping[str, int], ...] = ()
    seconds: float = 0.0

    def calls(self, names: Iterable[str]) -> npt.NDArray[np.int64]:
        """Calls of these nodes, per sampled example."""
        wanted = tuple(names)
        return np.array([sum(one.get(name, 0) for name in wanted) for one in self.per_example], dtype=np.int64)


async def dry_run(job: Job, order: npt.NDArray[np.int64]) -> DryRun:
    """Put examples through the graph, in this order, until there are no more or patience ends."""
    flow, inputs = job.flow, job.inputs
    embedded, nodes = open_provider("extractive", settings=job.how.settings), dict[str, Tally]()
    parts = await asyncio.to_thread(lambda: job.parts)
    measured = {id(model): Measured(embedded, nodes, model.name) for model in job.models.all}
    began, began_cpu = time.perf_counter(), time.process_time()
    per_example: list[Mapping[str, int]] = []
    with TemporaryDirectory(prefix="whyrec-estimate-") as gone:
        services, graph = Services(job.cast(measured), parts, scratch=Scratch(Path(gone))), flow.build()
        for index in order:
            before = {name: tally.calls for name, tally in nodes.items()}
            try:
                state = inputs.state(int(index))
                await graph.ainvoke(state, {"recursion_limit": flow.steps(state)}, context=services)
            except (AnswerError, MissingInput):
                pass
            per_example.append({name: tally.calls - before.get(name, 0) for name, tally in nodes.items()})
            if time.process_time() - began_cpu > _PATIENCE_CPU_S or time.perf_counter() - began > _PATIENCE_S:
                break
    return DryRun(nodes, np.sort(order[: len(per_example)]), tuple(per_example), time.perf_counter() - began)
