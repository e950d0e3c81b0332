"""Runs of workflows as artefacts of an experiment: what a graph said of each example, as it was recorded.

Asking for the results of an `Asked` runs its workflow, or goes on with the run that is there, or finds it finished and
only reads it; a run named in the options by an `Asked` of its own comes first. A run may hold more examples than were
asked for (it was made for more users), so results and their digest are of the asked examples only.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from evals.artefacts import Asked
from graphs.engine.estimate import Estimate, estimate
from graphs.run import How, Job, RunReport, execute, prepare
from graphs.workflow import read_options, workflow
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.errors import UsageError
from whyrec.runs import Result, open_run
from whyrec.runs.identity import canonical


@dataclass(frozen=True)
class Recorded:
    """What a run says of the examples asked for. `results` are ordered by key."""

    run: str
    results: tuple[Result, ...]
    digest: str

    @property
    def note(self) -> dict[str, Any]:
        """For the table: the run's id, how many examples, how many of them failed."""
        failed = sum(result.payload is None for result in self.results)
        return {"run": self.run, "examples": len(self.results), "failed": failed}


class WorkflowRuns:
    """Runs workflows on demand, each `Asked` once.

    Args:
        corpus: the data.
        how: how graphs are run (home, concurrency, budget, progress, the world of a simulated model).
        said: told of every finished run.
    """

    def __init__(self, corpus: Corpus | Questions, *, how: How, said: Callable[[Asked, RunReport], None]) -> None:
        self._corpus, self._how, self._said = corpus, how, said
        self._made: dict[Asked, Recorded] = {}

    def recorded(self, asked: Asked) -> Recorded:
        """The run's results, made on first use.

        Raises:
            UsageError: options are not usable, or the run could not be brought to its end (no server, budget spent);
                asking again goes on.
            KeyboardInterrupt: it was interrupted.
        """
        if asked not in self._made:
            named = {name: self.recorded(v).run if isinstance(v, Asked) else v for name, v in asked.options}
            job = self._job(asked, named)
            keys = [job.inputs.key(int(i)) for i in job.inputs.indices]
            report = brought_to_its_end(job, str(asked))
            self._said(asked, report)
            results = _read(job, report.run, keys)
            self._made[asked] = Recorded(report.run, results, _digest(results))
        return self._made[asked]

    def estimates(self, asked: Asked) -> dict[Asked, Estimate | None]:
        """What is still to be asked of models for this run and those it names, which come first.

        A run that is to be named but is not there yet is estimated as if it were made on the fly, so its calls are
        counted twice; None where the workflow cannot do without it.
        """
        found: dict[Asked, Estimate | None] = {}
        named: dict[str, str] = {}
        for name, value in asked.options:
            if not isinstance(value, Asked):
                named[name] = value
                continue
            found |= self.estimates(value)
            before = found[value]
            if value in self._made or (before is not None and not before.examples):
                named[name] = self.recorded(value).run
        try:
            job = self._job(asked, named)
        except UsageError:
            if len(named) == len(asked.options):
                raise
            return {**found, asked: None}
        return {**found, asked: asyncio.run(estimated(job))}

    def _job(self, asked: Asked, options: Mapping[str, str]) -> Job:
        return prepare(
            asked.graph,
            corpus=self._corpus,
            model=asked.llm,
            options=read_options(workflow(asked.graph), options),
            users=asked.users,
            how=replace(self._how, command=f"whyrec eval ({asked})"),
        )


def brought_to_its_end(job: Job, name: str) -> RunReport:
    """Run a job until nothing is left.

    Raises:
        UsageError: some of it is left; says of `name` how to go on.
        KeyboardInterrupt: it was interrupted.
    """

    async def main() -> RunReport:
        job.how.stop.listen(job.how.say)
        return await execute(job)

    report = asyncio.run(main())
    if report.ending == "interrupted":
        raise KeyboardInterrupt
    if report.left:
        raise UsageError(
            f"{name} is not complete: {report.left:,} of {report.examples:,} examples of run {report.run} are left. "
            f"{report.reason} The same command goes on from there."
        )
    return report


async def estimated(job: Job) -> Estimate:
    """The estimate of a job that is not run afterwards."""
    try:
        return await estimate(job)
    finally:
        await job.models.close()


def _read(job: Job, run: str, keys: list[str]) -> tuple[Result, ...]:
    wanted = set(keys)
    reader = open_run(job.how.settings.home, run)
    try:
        results = tuple(result for result in reader.results() if result.key in wanted)
    finally:
        reader.close()
    assert len(results) == len(wanted), "a run without examples left has a result for each"
    return results


def _digest(results: tuple[Result, ...]) -> str:
    """16 hex digits of keys, statuses and payloads, as `RunReader.digest` for a part of a run."""
    total = hashlib.blake2b(digest_size=8)
    for result in results:
        total.update(canonical([result.key, result.status, result.payload]).encode("utf-8", "surrogatepass"))
    return total.hexdigest()
