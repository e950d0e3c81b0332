"""What a model's answers take beside the extractive model's: by examples that the same run has settled before.

A model that reasons aloud says ten times as much, and each counts tokens in its own way. After a start with a few
users (`--users 20 --drawn`) the estimate of the whole compares, on some of these users, what the model took with what
the dry run takes, node by node, repairs included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from graphs.engine.estimate_sample import dry_run
from graphs.engine.job import Job
from graphs.workflow import Sharing
from whyrec.runs import RunReader, list_runs, open_run

_COMPARED = 24  # examples, fewer when they take long
_ENOUGH = 5
_KEPT = 1_000  # done ones from which the compared are drawn
_CHUNK = 256


Factor: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Factors:
    """What was recorded over what the dry run took: calls, tokens in, tokens out.

    Attributes:
        examples: compared; 0 where nothing was.
        metered: whether the model's tokens were counted for all of them; else the dry run's stand, unscaled.
        nodes: by node; 0 where the model never came to a node that the dry run asks.
        others: of nodes that no compared example came to: those of all together.
    """

    examples: int = 0
    metered: bool = True
    nodes: Mapping[str, Factor] = field(default_factory=dict)
    others: Factor = (1.0, 1.0, 1.0)

    def of(self, node: str) -> Factor:
        """(calls, tokens in, tokens out) of a node."""
        return self.nodes.get(node, self.others)


@dataclass(frozen=True)
class Settled:
    """What an earlier start has of a job.

    Attributes:
        count: examples settled.
        done: some of those that are done, int64[n].
        shared: node whose calls examples share -> how many different ones were answered.
    """

    count: int = 0
    done: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    shared: Mapping[str, int] = field(default_factory=dict)


def settled(job: Job, run: RunReader) -> Settled:
    """What a run has of a job."""
    count, done = 0, list[int]()
    for chunk in _chunks(job.inputs.indices):
        keys = {job.inputs.key(int(index)): int(index) for index in chunk}
        for key, mark in run.statuses(keys).items():
            count += mark == "done" or not job.how.retry_failed
            if mark == "done" and len(done) < _KEPT:
                done.append(keys[key])
    shared = job.inputs.shared() if isinstance(job.inputs, Sharing) else {}
    return Settled(count, np.sort(np.array(done, dtype=np.int64)), {node: run.different(node) for node in shared})


async def factors(job: Job, run: RunReader, done: npt.NDArray[np.int64]) -> Factors:
    """Compare what a run took for some examples that are done with what the dry run takes for the same.

    Args:
        job: prepared.
        run: of this job.
        done: examples that it has done.
    """
    if len(done) < _ENOUGH or all(model.name == "extractive" for model in job.models.all):
        return Factors()
    dry = await dry_run(job, np.random.default_rng(0).permutation(done)[:_COMPARED])
    took = run.tokens([job.inputs.key(int(index)) for index in dry.indices])
    made = {name: (tally.calls, tally.tokens_in, tally.tokens_out) for name, tally in dry.nodes.items()}
    if not took or not made:
        return Factors()
    nodes = {name: _over(took.get(name, (0, 0, 0)), each) for name, each in made.items()}
    recorded, expected = _sums(took.values()), _sums(made.values())
    return Factors(len(dry.indices), None not in recorded, nodes, _over(recorded, expected))


def _sums(rows: Iterable[Sequence[int | None]]) -> tuple[int | None, ...]:
    """Column by column; None where one of them is."""
    return tuple(None if None in column else sum(filter(None, column)) for column in zip(*rows, strict=True))


def _over(recorded: Sequence[int | None], expected: Sequence[int | None]) -> Factor:
    """What was recorded over what was expected; 1 where either is not known or nothing was expected."""
    calls, tokens_in, tokens_out = (
        a / b if a is not None and b else 1.0 for a, b in zip(recorded, expected, strict=True)
    )
    return calls, tokens_in, tokens_out


def earlier(job: Job) -> RunReader | None:
    """The run that this job goes on with, if there is one."""
    home, digest = job.how.settings.home, job.identity.digest
    for info in list_runs(home):
        if info.id.startswith(job.identity.stem):
            run = open_run(home, info.id)
            if run.info()["identity"] == digest:
                return run
            run.close()
    return None


def _chunks(indices: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for at in range(0, len(indices), _CHUNK):
        yield indices[at : at + _CHUNK]
