"""One graph over a whole data set: so many examples at once, each settled exactly once, and resumable at any moment.

Workers pull examples from one lazy iterator, so what is held is what is in flight. A result is recorded with its
done-mark in one transaction; what is not recorded is done again at the next start, and the calls it had made come from
the cache. A run is recognised by everything that changes its answers (`Identity`); how many users, how many at once,
limits and budgets are not among that, so running again with more users extends a run.

An example whose answer stays unusable is recorded as failed, with the reason. Running out of budget, an interrupt and a
server that has gone away fail nothing: what is left is left, and the report says how to go on.
"""

from __future__ import annotations

import asyncio
from typing import Any

import prompts
from graphs.job import How, Job, RunReport
from graphs.start import Start
from graphs.workflow import Source, identity_of, workflow
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.errors import UsageError
from whyrec.llm import open_provider, wrap
from whyrec.llm.model import LanguageModel, ModelError
from whyrec.runs import Identity, Run

__all__ = ["How", "Job", "RunReport", "execute", "prepare", "probe", "run"]


async def run(
    name: str,
    *,
    corpus: Corpus | Questions,
    model: str | LanguageModel,
    options: Any = None,
    users: int | None = None,
    how: How | None = None,
) -> RunReport:
    """Put a data set through a workflow, or go on doing so.

    Args:
        name: the workflow.
        corpus: the data: interactions, or questions for a workflow over questions.
        model: a model's name, or a bare model; it gets cache, retries, limits, budget and trace either way.
        options: the workflow's options; its defaults if None.
        users: at most this many users, the first of the split, or questions.
        how: see `How`.

    Raises:
        UsageError: options, model or folder are not usable, the server is not there, or another process writes.
    """
    return await execute(prepare(name, corpus=corpus, model=model, options=options, users=users, how=how))


def prepare(
    name: str,
    *,
    corpus: Corpus | Questions,
    model: str | LanguageModel,
    options: Any = None,
    users: int | None = None,
    how: How | None = None,
) -> Job:
    """Everything before the first call; arguments and errors as in `run`."""
    how = how or How()
    flow = workflow(name)
    source = Source(corpus, how.settings.home, users)
    inputs = flow.inputs(source, flow.options() if options is None else options)
    if isinstance(model, str):
        model = open_provider(model, settings=how.settings, world=how.world)
    going_on = getattr(model, "prefix_revision", "") if flow.continues(inputs.options) else ""
    revision = "/".join(filter(None, (model.revision, going_on)))
    identity = Identity(
        graph=flow.name,
        data=corpus.name,
        data_digest=corpus.digest,
        model=model.name,
        model_revision=revision,
        prompts={prompt: prompts.load(prompt).digest for prompt in flow.prompts(inputs.options)},
        options=identity_of(inputs.options),
    )
    return Job(flow, source, inputs, model, identity, how)


async def execute(job: Job) -> RunReport:
    """Run a prepared job, then close its model."""
    how, llm = job.how, job.model
    try:
        await probe(llm)
        await asyncio.to_thread(lambda: job.parts)
        run = Run.open(how.settings.home, job.identity, new=how.new, command=how.command)
        try:
            llm = wrap(llm, settings=how.settings, run=run, budget=how.budget, limits=how.limits, cache=how.cache)
            return await Start(job, run, llm).go()
        finally:
            await llm.close()
            run.close()
    finally:
        await job.model.close()


async def probe(model: LanguageModel) -> None:
    """Find out before the first example that there is no server.

    Raises:
        UsageError: the model's own probe says so.
    """
    ping = getattr(model, "ping", None)
    if ping is not None:
        try:
            await ping()
        except ModelError as error:
            raise UsageError(str(error)) from None
