"""`whyrec run GRAPH`: one reasoning graph over a data set, resumable by typing the same command again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.cli.shared.data import need_examples, open_checked
from whyrec.cli.shared.options import FIRST, LLM, USERS
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from graphs.engine.estimate import Estimate
    from graphs.engine.job import Job, RunReport
    from graphs.engine.models import Models
    from graphs.workflow import Workflow
    from whyrec.data.some import HowMany
    from whyrec.settings import Settings


def command(
    graph: str = typer.Argument("", help="The graph, e.g. cot_rec.preference; --list shows them all."),
    data: str = typer.Option("", "--data", help="The data set: a name, a path, world or facts."),
    llm: list[str] = LLM,
    prompt: list[Path] = typer.Option([], "--prompt", help="An edited copy of a prompt, in its place; repeatable."),
    seed: int = typer.Option(0, "--seed", help="Other samples than those of an ordinary run (0)."),
    users: int | None = USERS,
    drawn: bool = FIRST,
    split: str = typer.Option("", "--split", help="Whose target is to be predicted: test (default) or valid."),
    option: list[str] = typer.Option([], "--option", "-o", help="An option of the graph, as key=value; repeatable."),
    concurrency: int | None = typer.Option(None, min=1, max=4096, help="Examples at once."),
    budget_calls: int | None = typer.Option(None, min=0, help="Stop before more model calls than this."),
    budget_tokens: int | None = typer.Option(None, min=0, help="Stop before more tokens than this."),
    budget_usd: float | None = typer.Option(None, min=0.0, help="Stop before more US dollars than this."),
    rpm: float | None = typer.Option(None, help="Requests a minute that the server bears."),
    tpm: float | None = typer.Option(None, help="Tokens a minute that the server bears."),
    new: bool = typer.Option(False, "--new", help="Start afresh beside the run that is there."),
    retry_failed: bool = typer.Option(False, "--retry-failed", help="Do failed examples again, past the cache."),
    keep_going: bool = typer.Option(False, help="Go on though most of the first answers are of no use."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Answer the question before a large job with yes."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print only the outcome."),
    list_: bool = typer.Option(False, "--list", help="List the graphs and their options."),
) -> None:
    """Put a data set through a reasoning graph; the same command again goes on where it stopped.

    Exit codes: 0 all done, 1 some examples are not, 2 usage or environment, 130 interrupted.
    """
    if list_:
        _list()
        raise typer.Exit
    if not graph or not data:
        missing = "a graph (whyrec run --list)" if not graph else "--data (whyrec data ls)"
        raise UsageError(f"whyrec run needs {missing}, as in: whyrec run cot_rec.preference --data world --users 100.")
    from graphs.engine.job import How
    from graphs.workflow import workflow
    from whyrec.data.some import how_many
    from whyrec.llm import Budget, Limits

    options = options_of(flow := workflow(graph), option, split)
    settings, models = asked_by(llm, prompt, seed, concurrency, quiet=quiet)
    how = How(
        settings=settings,
        new=new,
        retry_failed=retry_failed,
        keep_going=keep_going,
        budget=Budget(calls=budget_calls, tokens=budget_tokens, dollars=budget_usd),
        limits=Limits(requests_per_minute=rpm, tokens_per_minute=tpm, concurrency=max(256, settings.concurrency)),
        command=" ".join(["whyrec", *sys.argv[1:]]),
    )
    _go(Asked(flow, options, data, how_many(users, drawn=drawn), models), how, yes=yes, quiet=quiet)


@dataclass(frozen=True)
class Asked:
    """What is to be run."""

    flow: Workflow[Any, Any]
    options: Any
    data: str
    users: HowMany
    models: Models


def asked_by(
    llm: list[str], prompt: list[Path], seed: int, concurrency: int | None = None, *, quiet: bool = False
) -> tuple[Settings, Models]:
    """Settings and models from `--llm`, `--prompt`, `--seed`, `--concurrency` and `--quiet`; errors as `models_of`."""
    from graphs.engine.models import read_models
    from whyrec.api.running import models_of
    from whyrec.settings import read_settings

    plain, roles = read_models(llm, "")
    settings = read_settings(llm=plain or None, concurrency=concurrency, quiet=quiet or None)
    return settings, models_of(settings.llm, roles, prompt, seed)


def _go(asked: Asked, how: Any, *, yes: bool, quiet: bool) -> None:
    """Load, estimate, ask, run, say what came of it."""
    import asyncio
    import dataclasses

    from rich.console import Console

    from graphs.engine.estimate import estimate
    from graphs.run import execute, prepare
    from whyrec.api.loop import loop_factory
    from whyrec.cli.shared.live import Live

    console = Console(highlight=False)
    opened = open_checked(asked.data, settings=how.settings)
    with Live(console, quiet=quiet) as live:
        how = dataclasses.replace(how, world=opened.world, progress=live.show)
        job = prepare(
            asked.flow.name,
            corpus=opened.data,
            model=asked.models,
            options=asked.options,
            users=asked.users,
            how=how,
        )
        need_examples(job)

        async def main() -> RunReport:
            try:
                if not (yes and quiet):
                    expected = await estimate(job)
                    if not quiet:
                        console.print(expectation(job, expected))
                    _ask(expected, how.settings.ask_above, yes=yes)
            except BaseException:
                await job.models.close()
                raise
            live.begin()
            how.stop.listen(live.say)
            return await execute(job)

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            report = runner.run(main())
    for line in _outcome(report):
        console.print(line, soft_wrap=True, markup=False)
    raise typer.Exit(report.exit_code)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from graphs.workflow import names, option_help, workflow

    table = Table("graph", "option", "is", "default", box=None)
    for name in names():
        flow = workflow(name)
        table.add_row(f"[bold]{name}", flow.about)
        for option, kind, default in option_help(flow):
            table.add_row("", option, kind, default)
    Console(highlight=False).print(table)


def options_of(flow: Workflow[Any, Any], given: list[str], split: str) -> Any:
    """The graph's options from `--option key=value` and `--split`."""
    from whyrec.api.running import options_of as from_pairs

    texts: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--option {pair!r} is not of the form key=value.")
        if key in texts and texts[key] != value:
            raise UsageError(f"Option {key} is given as {texts[key]!r} and as {value!r}; give it once.")
        texts[key] = value
    return from_pairs(flow, texts, split)


def expectation(job: Job, expected: Estimate) -> str:
    """The estimate in a paragraph."""
    from whyrec.cli.shared.live import span

    what = f"{job.flow.name} over {job.identity.data}"
    if not expected.examples:
        return f"{what}: all {expected.settled:,} examples are settled, nothing to ask."
    dollars = expected.dollars
    price = "at a price nobody wrote down" if dollars is None else "free" if dollars == 0 else f"about ${dollars:,.2f}"
    before = f" ({expected.settled:,} more are settled)" if expected.settled else ""
    return (
        f"{what} by {asked_of(job)}: {expected.examples:,} examples{before}, about {expected.calls:,} calls (at most "
        f"{expected.most:,}), about {expected.tokens_in:,} tokens in and {expected.tokens_out:,} out, {price}, about "
        f"{span(expected.seconds)} ({expected.basis}; {_rests_on(expected)})."
    )


def _rests_on(expected: Estimate) -> str:
    if expected.compared:
        took = f"scaled to what the model took for {expected.compared} settled ones"
        if not expected.metered:
            took = f"calls {took}, tokens not: its server did not count them"
        return f"calls and tokens as {expected.sampled} sampled examples take, {took}"
    return (
        f"calls and tokens as {expected.sampled} sampled examples take with answers of `extractive`: a model that says "
        f"more takes more, which the estimate knows once a few users are done"
    )


def asked_of(job: Job) -> str:
    """The models of a job, and what is not as in an ordinary run."""
    roles = "".join(f", {role} by {model.name}" for role, model in job.models.roles.items())
    words = "".join(f", {name} in the words of {p.digest[:8]}" for name, p in job.wording.prompts.items())
    return f"{job.model.name}{roles}{words}{f', seed {job.wording.seed}' if job.wording.seed else ''}"


def _ask(expected: Estimate, limit: int, *, yes: bool) -> None:
    ask(expected.most, limit, yes=yes)


def ask(most: int, limit: int, *, yes: bool) -> None:
    """Ask before a large job.

    Raises:
        UsageError: there is nobody to ask.
        typer.Exit: the answer was no.
    """
    if most <= limit or yes:
        return
    agreed(
        f"Make up to {most} calls?",
        otherwise=f"Add --yes, or --users to make it smaller; up to {limit} (WHYREC_ASK_ABOVE) need no question.",
    )


def _outcome(report: RunReport) -> list[str]:
    """What came of it, in numbers that add up, and how to go on."""
    from whyrec.cli.shared.live import span
    from whyrec.runs.amounts import judged, spent, sums

    calls, now = report.now.calls, report.now
    lines = [
        f"run {report.run}",
        f"{report.examples} examples = {report.done} done + {report.failed} failed + {report.left} left"
        + (f" ({now.before} were settled before)" if now.before else ""),
        f"{calls.calls} calls = {calls.asked} answered + {calls.hits + calls.joined} from the cache + "
        f"{calls.errors} errors; {calls.repairs} asked to repair an answer, {calls.retries} sent again",
        f"answers: {judged(calls.usable, report.unusable)}",
        f"tokens {sums(calls.tokens_in, calls.tokens_out, calls.unmetered, calls.sent)}; cost "
        f"{spent(calls.cost, calls.unpriced, calls.sent)}; {span(now.seconds)}, {now.rate:.1f} examples/s",
        f"results: {report.results}",
    ]
    if calls.calls and calls.hits == calls.calls:
        lines.append("Every answer came from the cache.")
    if report.reason:
        lines.append(report.reason)
    if report.left:
        lines.append(f"Run the same command again to go on with the {report.left} examples left.")
    if report.failed:
        lines.append(f"See why with: whyrec runs show {report.run}. Ask the failed ones anew with --retry-failed.")
    return lines
