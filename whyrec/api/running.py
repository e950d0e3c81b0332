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
from graphs.engine.estimate import Estimate
from graphs.engine.estimate import estimate as estimated
from graphs.engine.job import How, Job, RunReport
from graphs.engine.models import Models
from graphs.engine.progress import Progress, Snapshot
from graphs.run import execute, prepare
from graphs.workflow import Workflow, option_help, read_options, workflow
from prompts import own
from whyrec.api.bars import bar
from whyrec.api.data import Data, as_data
from whyrec.api.loop import finish
from whyrec.api.prompts import PromptText, edited_by
from whyrec.api.runs import Run
from whyrec.api.shown import say
from whyrec.data.some import how_many
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget, Limits
from whyrec.llm.model import LanguageModel
from whyrec.settings import Settings, read_settings

_LEAST_CONNECTIONS = 256


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
    function that is told each `Snapshot`. `settings`: folders and defaults.
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
    settings: Settings


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
        RunStopped: there is no server, or most of the first answers are of no use.
        KeyboardInterrupt: it was interrupted; what is finished is kept.
    """
    with _shown(how.get("progress", True)) as shown:
        made = _job(graph, data, how, shown)
        report = finish(lambda: _heard(made), interrupted=made.how.stop.ask)
    return _told(report, made.how.settings)


async def arun(graph: str, data: Data | str | Path | Any, **how: Unpack[RunOptions]) -> Run:
    """`run` for code that is asynchronous itself; a cancelled `arun` keeps what is finished."""
    with _shown(how.get("progress", True)) as shown:
        made = _job(graph, data, how, shown)
        report = await execute(made)
    return _told(report, made.how.settings)


def estimate(graph: str, data: Data | str | Path | Any, **how: Unpack[RunOptions]) -> Estimate:
    """What `run` with the same arguments would take: calls, tokens, dollars, seconds. Asks no model.

    Raises:
        UnknownNameError, UsageError: as in `run`.
    """
    made = _job(graph, data, how, None, asks=False)

    async def main() -> Estimate:
        try:
            return await estimated(made)
        finally:
            await made.models.close()

    return finish(main, interrupted=lambda: None)


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


def _job(graph: str, data: Any, how: Mapping[str, Any], shown: Progress | None, *, asks: bool = True) -> Job:
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
    most = max(_LEAST_CONNECTIONS, settings.concurrency)
    limits = Limits(requests_per_minute=how.get("rpm"), tokens_per_minute=how.get("tpm"), concurrency=most)
    doing = How(
        settings=settings,
        concurrency=how.get("concurrency"),
        new=how.get("new", False),
        retry_failed=how.get("retry_failed", False),
        keep_going=how.get("keep_going", False),
        budget=budget,
        limits=limits,
        command=f"whyrec.run({graph!r}, …)",
        progress=shown,
        asks=asks,
    )
    opened = as_data(data, settings)
    many = how_many(how.get("users"), drawn=how.get("drawn", False))
    doing = replace(doing, world=opened.opened.world)
    made = prepare(flow.name, corpus=opened.opened.data, model=models, options=options, users=many, how=doing)
    if not len(made.inputs.indices):
        raise UsageError(
            f"{opened.name} has no example for {flow.name} with these options: a user needs three events and a target."
        )
    return made


@contextmanager
def _shown(wanted: bool | Callable[[Snapshot], None]) -> Iterator[Progress | None]:
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


async def _heard(made: Job) -> RunReport:
    """The run, told of Ctrl-C where this thread hears of it."""
    made.how.stop.listen(say)
    return await execute(made)


def _told(report: RunReport, settings: Settings) -> Run:
    found = Run(report.run, settings, report)
    if report.ending == "interrupted":
        raise KeyboardInterrupt(f"{report.run}: {report.done:,} done, {report.left:,} left; the same call goes on.")
    if report.ending in ("no server", "unfit"):
        raise RunStopped(report.reason, found)
    if report.ending == "budget" or report.failed:
        why = (
            report.reason or f"{report.failed:,} examples failed; run.results tells why, retry_failed=True asks again."
        )
        warnings.warn(f"{report.run}: {report.done:,} of {report.examples:,} examples are done. {why}", stacklevel=3)
    return found
