"""What a job will probably take, before it starts: calls, tokens, money, time.

Calls are counted by arithmetic over the histories (an upper bound: the cache may answer some). Tokens come from a dry
run: a few examples, evenly spread, go through the real graph with the extractive model, whose prompts are the real
ones and whose answers have the real shape. So no workflow needs a cost model of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from agents.agent import AnswerError
from graphs.job import Job
from graphs.services import Services
from graphs.workflow import MissingInput
from whyrec.llm import open_provider
from whyrec.llm.model import LanguageModel, Reply, Request
from whyrec.llm.prices import Price, price_of
from whyrec.runs import RunReader, list_runs, open_run

SAMPLE = 50  # examples of the dry run, fewer when they take long
_PATIENCE_S = 2.0
_LATENCY_S = 1.5  # assumed for a server nobody has asked yet
_IN_PROCESS = ("extractive", "simulated", "echo", "scripted", "replay")
_CHUNK = 256
_TIMED = 200  # recorded calls read to measure a latency


@dataclass(frozen=True)
class Estimate:
    """What is left of a job.

    Attributes:
        examples: to do now.
        settled: done before, or failed and not to be retried.
        calls: at most this many, repairs and retries aside.
        tokens_in, tokens_out: about this many.
        price: of the model, None where nobody wrote it down.
        seconds: about this long.
        basis: what the seconds rest on.
        sampled: examples of the dry run.
    """

    examples: int
    settled: int
    calls: int
    tokens_in: int
    tokens_out: int
    price: Price | None
    seconds: float
    basis: str
    sampled: int

    @property
    def dollars(self) -> float | None:
        """US dollars, None where the price is not known."""
        if self.price is None:
            return None
        return (self.tokens_in * self.price.input + self.tokens_out * self.price.output) / 1e6


class Measured:
    """Counts what goes through a model: requests, characters in and out, seconds."""

    def __init__(self, inner: LanguageModel) -> None:
        self.inner, self.name, self.revision = inner, inner.name, inner.revision
        self.calls = self.characters_in = self.characters_out = 0
        self.seconds = 0.0

    async def complete(self, request: Request) -> list[Reply]:
        """Answer and count."""
        began = time.perf_counter()
        replies = await self.inner.complete(request)
        self.seconds += time.perf_counter() - began
        self.calls += len(replies)
        self.characters_in += sum(len(message.content) for message in request.messages)
        self.characters_out += sum(len(reply.text) for reply in replies)
        return replies

    async def close(self) -> None:
        """Close the model inside."""
        await self.inner.close()


async def estimate(job: Job) -> Estimate:
    """Estimate a prepared job; asks no model but the embedded one.

    Raises:
        LeakageError, UsageError: as running the first examples would.
    """
    examples = len(job.inputs.indices)
    settled = _settled(job)
    share = (examples - settled) / examples if examples else 0.0
    calls = round(job.inputs.calls() * share)
    model, sampled, cpu_s = await _dry_run(job, wanted=calls > 0)
    per_call = calls / model.calls if model.calls else 0.0
    tokens_in, tokens_out = (round(n / 4 * per_call) for n in (model.characters_in, model.characters_out))
    seconds, basis = _seconds(job, calls, cpu_s * per_call)
    limits = job.how.limits
    if limits is not None and limits.requests_per_minute:
        seconds = max(seconds, calls / limits.requests_per_minute * 60)
    if limits is not None and limits.tokens_per_minute:
        seconds = max(seconds, (tokens_in + tokens_out) / limits.tokens_per_minute * 60)
    return Estimate(
        examples=examples - settled,
        settled=settled,
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price=price_of(job.model.name, home=job.how.settings.home),
        seconds=seconds,
        basis=basis,
        sampled=sampled,
    )


async def _dry_run(job: Job, *, wanted: bool) -> tuple[Measured, int, float]:
    """(the model and its counts, examples sampled, seconds it took); all zero if not wanted."""
    flow, inputs = job.flow, job.inputs
    model = Measured(open_provider("extractive", settings=job.how.settings))
    parts = await asyncio.to_thread(lambda: job.parts) if wanted else ()
    services, graph = Services(dict.fromkeys(flow.roles, model), parts), flow.build()
    last = len(inputs.indices) - 1
    places = np.unique(np.linspace(0, last, SAMPLE).astype(np.int64)) if wanted else np.empty(0, np.int64)
    began, sampled = time.perf_counter(), 0
    for index in inputs.indices[places]:
        try:
            state = inputs.state(int(index))
            await graph.ainvoke(state, {"recursion_limit": flow.steps(state)}, context=services)
            sampled += 1
        except (AnswerError, MissingInput):
            continue
        if time.perf_counter() - began > _PATIENCE_S:
            break
    return model, sampled, time.perf_counter() - began


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
