"""Reasoning graphs over data sets: the functions behind `whyrec run` and `whyrec estimate`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from typing_extensions import Unpack

from agents.wording import Wording
from graphs.engine.estimate import estimate as estimated
from graphs.engine.job import How, Job, RunReport
from graphs.engine.models import Models, read_models
from graphs.engine.progress import Progress, Snapshot
from graphs.run import execute, prepare
from graphs.workflow import Workflow, option_help, read_options, workflow
from prompts import own
from whyrec.api.bars import bar
from whyrec.api.data import Data, as_data
from whyrec.api.expected import Expected, expected_of
from whyrec.api.loop import finish
from whyrec.api.prompts import PromptText, edited_by
from whyrec.api.runs import Run
from whyrec.api.shown import say
from whyrec.data import Corpus
from whyrec.data.some import how_many
from whyrec.data.split import MIN_EVENTS
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget, Limits
from whyrec.llm.model import LanguageModel
from whyrec.settings import Settings, read_settings

LEAST_CONNECTIONS = 256


class RunOptions(TypedDict, total=False):
    """How a graph is run; all may be left out.

    Of what is asked (these make another run): `llm`, a model's name, or role -> name for graphs with several roles, or
    a bare model; `options` of the graph by name (`whyrec run --list`); `split`, whose target is to be predicted ("test"
    or "valid"); `prompts`, edited copies (`open_prompt`) or their files; `seed` of the samples.

    How many: `users`, the first so many, or with `drawn` so many drawn at random, always the same ones. The same call
    with more users goes on with the run.

    Bounds: `budget_calls`, `budget_tokens`, `budget_usd`; `rpm` and `tpm`, requests and tokens a minute that the server
    bears; `concurrency`, examples at once.

    `new` starts beside the run that is there; `retry_failed` asks again for failed examples; `keep_going` goes on
    though most first answers are of no use. `progress`: True for a bar where somebody looks, False for none, or a
    function that is told each `Snapshot`. `say`: told a sentence that a person should read now, as at an interrupt
    (standard error where not given). `confirm`: told what is `Expected` before the first call; where it gives False,
    nothing is begun and `NotConfirmed` is raised, and what it raises is handed on. `command`: what the run's record
    says it was started by. `settings`: folders and defaults.
    """

    llm: str | Mapping[str, str] | LanguageModel
    options: Mapping[str, Any]
    split: str
    prompts: Sequence[str | Path | PromptText]
    seed: int
    users: int
    drawn: bool
    budget_calls: int
    budget_tokens: int
    budget_usd: float
    rpm: float
    tpm: float
    concurrency: int
    new: bool
    retry_failed: bool
    keep_going: bool
    progress: bool | Callable[[Snapshot], None]
    say: Callable[[str], None]
    confirm: Callable[[Expected], bool] | None
    command: str
    settings: Settings


class NoExamples(UsageError):
    """The data have nobody whom the graph could be run for; the message says why."""


class NotConfirmed(UsageError):
    """`confirm` said no, so nothing was begun.

    Attributes:
        expected: what it was told: by `run` what is `Expected`, by `contrast` at most how many calls.
    """

    def __init__(self, expected: Expected | int) -> None:
        told = f"up to {expected:,} calls." if isinstance(expected, int) else expected
        super().__init__(f"Not begun, as `confirm` said no to this: {told}")
        self.expected = expected


class RunWarning(UserWarning):
    """A run came to its end, and not all of its examples are done."""


class RunInterrupted(KeyboardInterrupt):
    """A run was interrupted. What is finished is kept, and the same call goes on.

    Attributes:
        run: what there is of it.
    """

    def __init__(self, said: str, run: Run) -> None:
        super().__init__(said)
        self.run = run


class RunStopped(UsageError):
    """A run ended before its examples did, because there is no server, or because the model is not up to it.

    Attributes:
        run: what there is of it. The same call goes on.
    """

    def __init__(self, said: str, run: Run) -> None:
        super().__init__(said)
        self.run = run


def run(graph: str, data: Data | str | Path | Any, **how: Unpack[RunOptions]) -> Run:
    """Put a data set through a reasoning graph, or go on doing so. Works inside a running event loop, too.

    Args:
        graph: its name (`whyrec run --list`).
        data: a `Data`, or whatever `load_data` opens.
        **how: see `RunOptions`.

    Returns:
        The run, also where a budget ended it (with a warning; `Run.complete` is then False).

    Raises:
        UnknownNameError, UsageError: no such graph, data, model or option; the message says what there is.
        NoExamples: there is nobody to run it for.
        NotConfirmed: `confirm` said no.
        RunStopped: there is no server, or most of the first answers are of no use.
        RunInterrupted: it was interrupted; what is finished is kept. It is a KeyboardInterrupt.

    Warns:
        RunWarning: a budget ended it, or examples failed.
        DataWarning: as `load_data`.
    """
    with shown(how.get("progress", True)) as told:
        made = _job(graph, data, how, told)
        report = finish(lambda: _begun(made, how), interrupted=made.how.stop.ask)
    return _told(report, made.how.settings)


async def arun(graph: str, data: Data | str | Path | Any, **how: Unpack[RunOptions]) -> Run:
    """`run` for code that is asynchronous itself; a cancelled `arun` keeps what is finished."""
    with shown(how.get("progress", True)) as told:
        made = _job(graph, data, how, told)
        await _confirmed(made, how.get("confirm"))
        report = await execute(made)
    return _told(report, made.how.settings)


def estimate(graph: str, data: Data | str | Path | Any, **how: Unpack[RunOptions]) -> Expected:
    """What `run` with the same arguments would take: calls, tokens, dollars, seconds. Asks no model.

    `str` of it is a paragraph for people; a notebook shows that, and the calls by node.

    Raises:
        UnknownNameError, UsageError: as in `run`.
    """
    made = _job(graph, data, how, None, asks=False)

    async def main() -> Expected:
        try:
            return expected_of(made, await estimated(made))
        finally:
            await made.models.close()

    return finish(main, interrupted=lambda: None)


def models_named(given: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Model names as they are typed: one for all roles ("" where there is none), and models by role from ROLE=NAME.

    Raises:
        UsageError: two models for all, or for one role, or an empty name.
    """
    return read_models(given, "")


def models_of(
    llm: str | LanguageModel, roles: Mapping[str, str], prompts: Sequence[str | Path | PromptText], seed: int
) -> Models:
    """Who is asked, in whose words: of the edited copies named, else of one's own folder, else the house's.

    Raises:
        UsageError: two edited copies are of one prompt, or one is not usable.
    """
    named, mine = edited_by(prompts), own()
    return Models(llm, dict(roles), Wording({**mine, **named}, seed, frozenset(mine.keys() - named.keys())))


def options_of(flow: Workflow[Any, Any], given: Mapping[str, Any], split: str) -> Any:
    """The graph's options from their names and values.

    Raises:
        UnknownNameError, UsageError: the graph has no such option, or it does not take this value.
    """
    known = [name for name, _, _ in option_help(flow)]
    if split and "split" not in known:
        raise UsageError(f"{flow.name} has no split: it is the same for all. Leave split out.")
    if split and str(given.get("split", split)) != split:
        raise UsageError(f"Option split is given as {given['split']!r} and as {split!r}; give it once.")
    texts = {name: _text(value) for name, value in given.items()} | ({"split": split} if split else {})
    for name in texts:
        if name not in known:
            raise UnknownNameError(f"option of {flow.name}", name, known)
    return read_options(flow, texts)


def _text(value: Any) -> str:
    """A value as it is typed: yes and no, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if isinstance(value, Run):
        return value.id
    return str(value)


def _job(graph: str, data: Any, how: Mapping[str, Any], told: Progress | None, *, asks: bool = True) -> Job:
    for name in how:
        if name not in RunOptions.__annotations__:
            raise UnknownNameError("argument of whyrec.run", name, RunOptions.__annotations__)
    settings = how.get("settings") or read_settings(concurrency=how.get("concurrency"))
    flow = workflow(graph)
    options = options_of(flow, how.get("options") or {}, how.get("split", ""))
    llm = how.get("llm") or settings.llm
    roles: Mapping[str, str] = llm if isinstance(llm, Mapping) else {}
    plain = settings.llm if isinstance(llm, Mapping) else llm
    models = models_of(plain, roles, how.get("prompts") or (), how.get("seed", 0))
    budget = Budget(calls=how.get("budget_calls"), tokens=how.get("budget_tokens"), dollars=how.get("budget_usd"))
    most = max(LEAST_CONNECTIONS, settings.concurrency)
    limits = Limits(requests_per_minute=how.get("rpm"), tokens_per_minute=how.get("tpm"), concurrency=most)
    doing = How(
        settings=settings,
        concurrency=how.get("concurrency"),
        new=how.get("new", False),
        retry_failed=how.get("retry_failed", False),
        keep_going=how.get("keep_going", False),
        budget=budget,
        limits=limits,
        command=how.get("command") or f"whyrec.run({graph!r}, …)",
        progress=told,
        say=how.get("say") or say,
        asks=asks,
    )
    opened = as_data(data, settings)
    many = how_many(how.get("users"), drawn=how.get("drawn", False))
    doing = replace(doing, world=opened.opened.world)
    made = prepare(flow.name, corpus=opened.opened.data, model=models, options=options, users=many, how=doing)
    _need_examples(made)
    return made


def _need_examples(made: Job) -> None:
    if len(made.inputs.indices):
        return
    data = made.source.data
    if isinstance(data, Corpus) and (longest := int(data.lengths.max())) < MIN_EVENTS:
        raise NoExamples(
            f"No user of {data.name} has three events (the longest history has {longest}), and without three there is "
            "no history, no validation item and no target to predict. Name data with longer histories, and look at it "
            "with `whyrec data stats`."
        )
    raise NoExamples(
        f"{data.name} has no example for {made.flow.name} with these options (`whyrec data stats` describes it)."
    )


@contextmanager
def shown(wanted: bool | Callable[[Snapshot], None]) -> Iterator[Progress | None]:
    """Who is told how far a run is, while it is open."""
    if callable(wanted):
        yield wanted
        return
    with bar(wanted) as tell:
        if tell is None:
            yield None
            return

        def show(now: Snapshot) -> None:
            settled = now.before + now.done + now.failed
            tell(f"{now.run}{f', {now.failed:,} failed' if now.failed else ''}", settled, now.examples)

        yield show


async def _begun(made: Job, how: RunOptions) -> RunReport:
    """The run, once it is confirmed; told of Ctrl-C where this thread hears of it."""
    await _confirmed(made, how.get("confirm"))
    made.how.stop.listen(made.how.say)
    return await execute(made)


async def _confirmed(made: Job, confirm: Callable[[Expected], bool] | None) -> None:
    """Ask whether to begin; the models are closed where it is not."""
    if confirm is None:
        return
    try:
        expected = expected_of(made, await estimated(made))
        if not confirm(expected):
            raise NotConfirmed(expected)
    except BaseException:
        await made.models.close()
        raise


def _told(report: RunReport, settings: Settings) -> Run:
    found = Run(report.run, settings, report)
    if report.ending == "interrupted":
        raise RunInterrupted(f"{report.run}: {report.done:,} done, {report.left:,} left; the same call goes on.", found)
    if report.ending in ("no server", "unfit"):
        raise RunStopped(report.reason, found)
    if report.ending == "budget" or report.failed:
        why = (
            report.reason or f"{report.failed:,} examples failed; run.results tells why, retry_failed=True asks again."
        )
        said = f"{report.run}: {report.done:,} of {report.examples:,} examples are done. {why}"
        warnings.warn(said, RunWarning, stacklevel=3)
    return found
