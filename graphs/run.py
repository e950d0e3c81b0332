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
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from functools import partial
from typing import Any

from langsmith import tracing_context

import prompts
from graphs.engine.job import How, Job, RunReport
from graphs.engine.models import Models
from graphs.engine.start import Start
from graphs.workflow import Source, code_of, contents_of, identity_of, workflow
from whyrec.data.corpus import Corpus
from whyrec.data.joining import need_joined
from whyrec.data.questions import Questions
from whyrec.data.some import HowMany
from whyrec.errors import UsageError
from whyrec.llm import open_provider, wrap
from whyrec.llm.model import LanguageModel, ModelError
from whyrec.llm.prices import price_of
from whyrec.redaction.telemetry import langsmith_asked
from whyrec.runs import Identity, Run

__all__ = ["How", "Job", "Models", "RunReport", "execute", "prepare", "probe", "run"]


async def run(
    name: str,
    *,
    corpus: Corpus | Questions,
    model: str | LanguageModel | Models,
    options: Any = None,
    users: HowMany = None,
    how: How | None = None,
) -> RunReport:
    """Put a data set through a workflow, or go on doing so.

    Args:
        name: the workflow.
        corpus: the data: interactions, or questions for a workflow over questions.
        model: a model's name, or a bare model; it gets cache, retries, limits, budget and trace either way. `Models`
            for several models by role, edited prompts or a seed.
        options: the workflow's options; its defaults if None.
        users: at most this many users of the split, or questions: the first ones, or `Drawn`.
        how: see `How`.

    Raises:
        UsageError: options, model or folder are not usable, the server is not there, or another process writes.
    """
    return await execute(prepare(name, corpus=corpus, model=model, options=options, users=users, how=how))


def prepare(
    name: str,
    *,
    corpus: Corpus | Questions,
    model: str | LanguageModel | Models,
    options: Any = None,
    users: HowMany = None,
    how: How | None = None,
) -> Job:
    """Everything before the first call; arguments and errors as in `run`."""
    how = how or How()
    flow = workflow(name)
    source = Source(corpus, how.settings.home, users, how.settings.precision)
    inputs = flow.inputs(source, flow.options() if options is None else options)
    asked = model if isinstance(model, Models) else Models(model)
    asked = replace(asked, wording=asked.wording.of_run(flow.prompts(inputs.options)))
    opener = partial(open_provider, settings=how.settings, world=how.world, asks=how.asks)
    models = asked.opened(flow.roles, flow.name, opener)

    def revision(one: LanguageModel) -> str:
        going_on = getattr(one, "prefix_revision", "") if flow.continues(inputs.options) else ""
        return "/".join(filter(None, (one.revision, going_on)))

    identity = Identity(
        graph=flow.name,
        data=corpus.name,
        data_digest=corpus.digest,
        data_path=corpus.source,
        model=models.model.name,
        model_revision=revision(models.model),
        prompts=_versions(flow.name, flow.prompts(inputs.options), asked.wording.prompts),
        options=identity_of(inputs.options),
        contents=contents_of(inputs.options) | code_of(flow),
        voices={**models.told(asked.wording.seed, revision), **_renamed(corpus)},
    )
    return Job(flow, source, inputs, models, identity, how, asked.wording)


def _renamed(data: Corpus | Questions) -> dict[str, Any]:
    """What a run's identity says of a domain that `?domain=` named: prompts then say other words of the same data."""
    return {"domain": list(astuple(data.domain))} if "domain" in data.notes else {}


def _versions(graph: str, names: Sequence[str], edited: Mapping[str, prompts.Prompt]) -> dict[str, str]:
    """Name -> digest of the prompts used.

    Raises:
        UsageError: an edited copy is of a prompt that is not used, so the run would be an ordinary one.
    """
    for name in edited:
        if name not in names:
            raise UsageError(
                f"{graph} with these options does not use the prompt {name}, so an edited copy of it changes nothing. "
                f"It uses {', '.join(names) or 'none'}."
            )
    return {name: (edited.get(name) or prompts.load(name)).digest for name in names}


async def execute(job: Job) -> RunReport:
    """Run a prepared job, then close its models. LangSmith is told nothing unless somebody asked for it."""
    with tracing_context(enabled=langsmith_asked()):
        return await _execute(job)


async def _execute(job: Job) -> RunReport:
    how, data = job.how, job.source.data
    try:
        if isinstance(data, Corpus):
            need_joined(data)
        for model in job.models.all:
            if how.budget is not None:
                how.budget.check(model, price_of(model.name, home=how.settings.home))
            await probe(model)
        await asyncio.to_thread(lambda: job.parts)
        run = Run.open(how.settings.home, job.identity, new=how.new, command=how.command)
        llms: dict[int, LanguageModel] = {}
        try:
            for model in job.models.all:
                llms[id(model)] = wrap(
                    model, settings=how.settings, run=run, budget=how.budget, limits=how.limits, cache=how.cache
                )
            return await Start(job, run, llms).go()
        finally:
            for llm in llms.values():
                await llm.close()
            run.close()
    finally:
        await job.models.close()


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
