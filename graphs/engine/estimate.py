"""What a job will probably take, before it starts: calls, tokens, money, time.

Tokens come from a dry run: a few examples, of all lengths, go through the real graph with the extractive model, whose
prompts are the real ones and whose answers have the real shape. So no workflow needs a cost model of its own. Calls are
counted by arithmetic over the histories, which is exact for most workflows and an upper bound for some, so it is scaled
by how much of it the sample took. Calls that several examples share (describing an item) are answered once, so they are
counted once where the workflow says how many differ (`Sharing`). Where the run has settled some examples, calls and
tokens are scaled by what the model took for them (`graphs.engine.calibrate`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from graphs.engine.calibrate import Factors, Settled, earlier, factors, settled
from graphs.engine.estimate_sample import DryRun, dry_run
from graphs.engine.job import Job
from graphs.shared.users import Users
from graphs.workflow import Inputs, Measurable, Sharing, spread
from whyrec.llm.naming.same import same_model
from whyrec.llm.prices import Price, price_of
from whyrec.runs import list_runs, open_run

SAMPLE = 64  # examples of the dry run, fewer when they take long
_LATENCY_S = 1.5  # assumed for a server nobody has asked yet
_IN_PROCESS = ("extractive", "simulated", "echo", "scripted", "replay")
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
        compared: settled examples by which calls and tokens were scaled to what the model takes; 0 where none were.
        metered: whether the model's tokens were counted for those; where not, only calls were scaled.
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
    compared: int = 0
    metered: bool = True
    nodes: tuple[Node, ...] = ()

    @property
    def dollars(self) -> float | None:
        """US dollars, None where the price is not known."""
        if not self.nodes:
            return None if self.price is None else 0.0
        each = [node.dollars for node in self.nodes]
        return None if None in each else sum(filter(None, each))


async def estimate(job: Job) -> Estimate:
    """Estimate a prepared job; asks no model but the embedded one.

    Raises:
        LeakageError, UsageError: as running the first examples would.
    """
    examples = len(job.inputs.indices)
    before, scale = await _known(job)
    share = (examples - before.count) / examples if examples else 0.0
    most = round(job.inputs.calls() * share)
    dry = await dry_run(job, _sample(job)) if most > 0 else DryRun()
    nodes = tuple(
        _node(job, dry, scale, name, max(0.0, calls - before.shared[name]) if name in before.shared else calls * share)
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
        examples=examples - before.count,
        settled=before.count,
        calls=calls,
        most=most,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price=price_of(job.model.name, home=job.how.settings.home),
        seconds=seconds,
        basis=basis,
        sampled=len(dry.per_example),
        compared=scale.examples,
        metered=scale.metered,
        nodes=nodes,
    )


async def _known(job: Job) -> tuple[Settled, Factors]:
    """What the run that this job goes on with has settled, and what its model took for it."""
    run = earlier(job)
    if run is None:
        return Settled(), Factors()
    try:
        found = settled(job, run)
        left = job.how.new or found.count < len(job.inputs.indices)
        scale = await factors(job, run, found.done) if left else Factors()
    finally:
        run.close()
    return Settled() if job.how.new else found, scale


def _sample(job: Job) -> npt.NDArray[np.int64]:
    """Examples of all lengths, in an order that leaves them a fair sample wherever patience ends."""
    inputs = job.inputs
    lengths = inputs.lengths if isinstance(inputs, Measurable) else np.arange(len(inputs.indices))
    chosen: npt.NDArray[np.int64] = inputs.indices[np.random.default_rng(0).permutation(spread(lengths, SAMPLE))]
    return chosen


def _node(job: Job, dry: DryRun, scale: Factors, name: str, calls: float) -> Node:
    tally, (more_calls, more_in, more_out) = dry.nodes[name], scale.of(name)
    return Node(
        name,
        round(calls * more_calls),
        round(calls * tally.tokens_in / tally.calls * more_in),
        round(calls * tally.tokens_out / tally.calls * more_out),
        price_of(tally.model, home=job.how.settings.home),
    )


def _expected(job: Job, dry: DryRun) -> dict[str, float]:
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


def _total(inputs: Inputs[Any], dry: DryRun, own: Sequence[str]) -> float:
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
        if same_model(info.model) == same_model(job.model.name) and info.counts.asked:
            run = open_run(home, info.id)
            try:
                times = [c["service_s"] for c in islice(run.calls(), _TIMED) if c["cache"] == "miss" and not c["error"]]
            finally:
                run.close()
            if times:
                return float(np.mean(times))
    return None
