"""What a run still has to ask, written down instead of asked: rounds of OpenAI's Batch files.

Every example is put through its graph on the answers that are in the call cache, as far as these carry it; the
questions that none of them answers are the next batch. A workflow of several steps takes several rounds, and a repair
one more: write, send, read, write again, until nothing is left. Then the same `whyrec run` finds every answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.agent import AnswerError
from graphs.engine.job import Job
from graphs.services import Scratch, Services
from graphs.workflow import MissingInput
from whyrec.llm import Stamped
from whyrec.llm.batch import Collecting, Question, collecting
from whyrec.llm.model import ModelError
from whyrec.llm.wrappers.cached import Cached
from whyrec.runs import open_run
from whyrec.runs.folders import run_ids


@dataclass(frozen=True)
class Round:
    """The questions of the next batch.

    Attributes:
        questions: in the order they came up.
        examples: that need an answer of them.
        ready: examples whose answers are all there.
        failed: examples that come to nothing on the answers there are.
    """

    questions: tuple[Question, ...]
    examples: int
    ready: int
    failed: int


async def next_round(job: Job, *, most: int) -> Round:
    """Find out what a job lacks; asks nobody, writes no run.

    Args:
        job: prepared; its models are closed.
        most: stop looking once there are so many questions.

    Raises:
        UsageError: a model does not speak OpenAI's protocol.
    """
    home = job.how.settings.home
    made: dict[int, tuple[Collecting, Cached]] = {}
    counts = {"waiting": 0, "ready": 0, "failed": 0}
    parts = await asyncio.to_thread(lambda: job.parts)
    gone = TemporaryDirectory(prefix="whyrec-batch-")
    try:
        for model in job.models.all:
            made[id(model)] = collecting(model, home)
        llms = {number: Stamped(cached) for number, (_, cached) in made.items()}
        services, graph = Services(job.cast(llms), parts, scratch=Scratch(Path(gone.name))), job.flow.build()
        questions: dict[str, Question] = {}
        settled = _settled(job)
        for index in job.inputs.indices:
            if job.inputs.key(int(index)) in settled:
                counts["ready"] += 1
                continue
            before = sum(len(one.questions) for one, _ in made.values())
            try:
                state = job.inputs.state(int(index))
                await graph.ainvoke(state, {"recursion_limit": job.flow.steps(state)}, context=services)
            except (AnswerError, MissingInput, ModelError):
                asked = sum(len(one.questions) for one, _ in made.values()) > before
                counts["waiting" if asked else "failed"] += 1
            else:
                counts["ready"] += 1
            for one, _ in made.values():
                questions |= one.questions
            if len(questions) >= most:
                break
    finally:
        gone.cleanup()
        for _, cached in made.values():
            await cached.close()
        await job.models.close()
    return Round(tuple(questions.values())[:most], counts["waiting"], counts["ready"], counts["failed"])


def _settled(job: Job) -> set[str]:
    """Keys of the examples that a run of this job has settled."""
    home = job.how.settings.home
    keys = [job.inputs.key(int(index)) for index in job.inputs.indices]
    for name in run_ids(home):
        if name.startswith(job.identity.stem):
            run = open_run(home, name)
            try:
                if run.info()["identity"] == job.identity.digest:
                    return set(run.statuses(keys))
            finally:
                run.close()
    return set()
