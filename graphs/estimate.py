"""What a job will probably take, before it starts: calls, tokens, money, time.

Tokens come from a dry run: a few examples, of all lengths, go through the real graph with the extractive model, whose
prompts are the real ones and whose answers have the real shape. So no workflow needs a cost model of its own. Calls are
counted by arithmetic over the histories, which is exact for most workflows and an upper bound for some, so it is scaled
by how much of it the sample took. Calls that several examples share (describing an item) are answered once, so they are
counted once where the workflow says how many differ (`Sharing`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.agent import AnswerError
from graphs.job import Job
from graphs.services import Services
from graphs.users import Users
from graphs.workflow import Inputs, Measurable, MissingInput, Sharing, spread
from whyrec.llm import open_provider
from whyrec.llm.model import LanguageModel, Reply, Request, TokenScores
from whyrec.llm.prices import Price, price_of
from whyrec.llm.wrapper import Wrapper
from whyrec.runs import RunReader, list_runs, open_run

SAMPLE = 64  # examples of the dry run, fewer when they take long
_PATIENCE_CPU_S, _PATIENCE_S = 3.0, 20.0  # of this process, so that a busy machine does not make a smaller sample
_LATENCY_S = 1.5  # assumed for a server nobody has asked yet
_IN_PROCESS = ("extractive", "simulated", "echo", "scripted", "replay")
_CHUNK = 256
_TIMED = 200  # recorded calls read to measure a latency


@dataclass(frozen=True)
class Node:
    """What one node of the graph will ask, and the price of the model it asks, None where nobody wrote it down."""

    name: str
    calls: int
    tokens_in: int
    tokens_out: int
    price: Price | None = None

    @property
    def dollars(self) -> float | None:
        """US dollars, None where the price is not known."""
        if self.price is None:
            return None
        return (self.tokens_in * self.price.input + self.tokens_out * self.price.output) / 1e6


@dataclass(frozen=True)
class Estimate:
    """What is left of a job.

    Attributes:
        examples: to do now.
        settled: done before, or failed and not to be retried.
        calls: about this many will reach the model, repairs and retries aside.
        most: at most this many.
        tokens_in, tokens_out: about this many.
        price: of the model that plays all roles but those named, None where nobody wrote it down.
        seconds: about this long.
        basis: what the seconds rest on.
        sampled: examples of the dry run.
        nodes: the same calls and tokens by node, in the order first asked.
    """

    examples: int
    settled: int
    calls: int
    most: int
    tokens_in: int
    tokens_out: int
    price: Price | None
    seconds: float
    basis: str
    sampled: int
    nodes: tuple[Node, ...] = ()

    @property
    def dollars(self) -> float | None:
        """US dollars, None where the price is not known."""
        if not self.nodes:
            return None if self.price is None else 0.0
        each = [node.dollars for node in self.nodes]
        return None if None in each else sum(filter(None, each))


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
        tally.tokens_in += sum(reply.usage.prompt for reply in replies)
        tally.tokens_out += sum(reply.usage.completion for reply in replies)
        return replies

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Scoring is one call; no server says what it cost."""
        self._tally(request).calls += 1
        return await self._inner_score(request, continuations)

    def _tally(self, request: Request) -> Tally:
        return self.nodes.setdefault(request.about.node, Tally(self._of))


@dataclass(frozen=True)
class _DryRun:
    """Counts of a dry run: by node, and calls by node of every sampled example."""

    nodes: Mapping[str, Tally] = field(default_factory=dict)
    indices: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    per_example: tuple[Mapping[str, int], ...] = ()
    seconds: float = 0.0

    def calls(self, names: Iterable[str]) -> npt.NDArray[np.int64]:
        """Calls of these nodes, per sampled example."""
        wanted = tuple(names)
        return np.array([sum(one.get(name, 0) for name in wanted) for one in self.per_example], dtype=np.int64)


async def estimate(job: Job) -> Estimate:
    """Estimate a prepared job; asks no model but the embedded one.

    Raises:
        LeakageError, UsageError: as running the first examples would.
    """
    examples = len(job.inputs.indices)
    settled = _settled(job)
    share = (examples - settled) / examples if examples else 0.0
    most = round(job.inputs.calls() * share)
    dry = await _dry_run(job) if most > 0 else _DryRun()
    nodes = tuple(
        Node(
            name,
            round(calls * share),
            round(calls * share * dry.nodes[name].tokens_in / dry.nodes[name].calls),
            round(calls * share * dry.nodes[name].tokens_out / dry.nodes[name].calls),
            price_of(dry.nodes[name].model, home=job.how.settings.home),
        )
        for name, calls in _expected(job, dry).items()
    )
    calls = min(most, sum(node.calls for node in nodes)) if nodes else most
    tokens_in, tokens_out = sum(node.tokens_in for node in nodes), sum(node.tokens_out for node in nodes)
    made = int(dry.calls(dry.nodes).sum())
    seconds, basis = _seconds(job, calls, dry.seconds * calls / made if made else 0.0)
    limits = job.how.limits
    if limits is not None and limits.requests_per_minute:
        seconds = max(seconds, calls / limits.requests_per_minute * 60)
    if limits is not None and limits.tokens_per_minute:
        seconds = max(seconds, (tokens_in + tokens_out) / limits.tokens_per_minute * 60)
    return Estimate(
        examples=examples - settled,
        settled=settled,
        calls=calls,
        most=most,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price=price_of(job.model.name, home=job.how.settings.home),
        seconds=seconds,
        basis=basis,
        sampled=len(dry.per_example),
        nodes=nodes,
    )


def _expected(job: Job, dry: _DryRun) -> dict[str, float]:
    """Calls of all examples by node, as far as they differ.

    Shared ones are as the workflow counts them. Of the others, nodes that every sampled example asked equally often
    get exactly that, and the rest of their total is divided among the others as in the sample.
    """
    inputs, examples = job.inputs, len(job.inputs.indices)
    if not dry.nodes:
        return {}
    shared = {name: differ for name, (_, differ) in _shared(inputs).items() if name in dry.nodes}
    own = [name for name in dry.nodes if name not in shared]
    total = _total(inputs, dry, own)
    steady = {name: float(calls[0]) * examples for name in own if not np.ptp(calls := dry.calls([name]))}
    rest = total - sum(steady.values())
    moving = sum(dry.nodes[name].calls for name in own if name not in steady)
    found = {name: rest * dry.nodes[name].calls / moving for name in own if name not in steady}
    return {name: (steady | found)[name] if name in own else float(shared[name]) for name in dry.nodes}


def _total(inputs: Inputs[Any], dry: _DryRun, own: Sequence[str]) -> float:
    """Calls of these nodes over all examples: as arithmetic says, times how much of that the sample really took.

    Inputs that cannot be asked about a part of them are believed unless the sample's mean is clearly below.
    """
    made, examples, n = dry.calls(own), len(inputs.indices), len(dry.per_example)
    counted = _own_calls(inputs)
    if isinstance(inputs, Users):
        possible = _own_calls(inputs.part(dry.indices))
        return counted * float(made.sum()) / possible if possible else 0.0
    seen = float(made.mean()) * examples
    error = examples * float(made.std(ddof=1)) / math.sqrt(n) * math.sqrt(max(0.0, 1 - n / examples)) if n > 1 else 0.0
    return counted if counted <= seen + 2 * error else seen


def _own_calls(inputs: Inputs[Any]) -> int:
    return inputs.calls() - sum(bound for bound, _ in _shared(inputs).values())


def _shared(inputs: Inputs[Any]) -> Mapping[str, tuple[int, int]]:
    return inputs.shared() if isinstance(inputs, Sharing) else {}


async def _dry_run(job: Job) -> _DryRun:
    """Put a sample through the graph, in an order that leaves it a fair one wherever patience ends."""
    flow, inputs = job.flow, job.inputs
    embedded, nodes = open_provider("extractive", settings=job.how.settings), dict[str, Tally]()
    parts = await asyncio.to_thread(lambda: job.parts)
    measured = {id(model): Measured(embedded, nodes, model.name) for model in job.models.all}
    services, graph = Services(job.cast(measured), parts), flow.build()
    lengths = inputs.lengths if isinstance(inputs, Measurable) else np.arange(len(inputs.indices))
    places = spread(lengths, SAMPLE)
    began, began_cpu = time.perf_counter(), time.process_time()
    per_example: list[Mapping[str, int]] = []
    order = inputs.indices[np.random.default_rng(0).permutation(places)]
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
    return _DryRun(nodes, np.sort(order[: len(per_example)]), tuple(per_example), time.perf_counter() - began)


def _seconds(job: Job, calls: int, cpu_s: float) -> tuple[float, str]:
    """(seconds, what they rest on): our own work and the server's latency, which overlap."""
    if job.model.name.partition(":")[0] in _IN_PROCESS:
        return cpu_s, "measured on the sample"
    at_once = job.how.concurrency or job.how.settings.concurrency
    if job.how.limits is not None:
        at_once = min(at_once, job.how.limits.concurrency)
    latency = _latency(job)
    known, basis = (latency, "by earlier runs") if latency is not None else (_LATENCY_S, "assumed")
    return max(calls * 0.001, calls * known / at_once), f"{known:.2g} s a call, {basis}, {at_once} at once"


def _latency(job: Job) -> float | None:
    """Mean service time in the latest run of this model, None if it has none."""
    home = job.how.settings.home
    for info in list_runs(home):
        if info.model == job.model.name and info.counts.asked:
            run = open_run(home, info.id)
            try:
                times = [c["service_s"] for c in islice(run.calls(), _TIMED) if c["cache"] == "miss" and not c["error"]]
            finally:
                run.close()
            if times:
                return float(np.mean(times))
    return None


def _settled(job: Job) -> int:
    """How many of the job's examples an earlier start has settled."""
    run = None if job.how.new else _earlier(job)
    if run is None:
        return 0
    try:
        marks = [mark for chunk in _keys(job) for mark in run.statuses(chunk).values()]
    finally:
        run.close()
    return sum(mark == "done" or not job.how.retry_failed for mark in marks)


def _keys(job: Job) -> Iterator[list[str]]:
    indices = job.inputs.indices
    for at in range(0, len(indices), _CHUNK):
        yield [job.inputs.key(int(i)) for i in indices[at : at + _CHUNK]]


def _earlier(job: Job) -> RunReader | None:
    """The run that this job goes on with, if there is one."""
    home, digest = job.how.settings.home, job.identity.digest
    for info in list_runs(home):
        if info.id.startswith(job.identity.stem):
            run = open_run(home, info.id)
            if run.info()["identity"] == digest:
                return run
            run.close()
    return None
