"""`whyrec run GRAPH`: one reasoning graph over a data set, resumable by typing the same command again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.cli.shared.options import FIRST, LLM, USERS
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from graphs.engine.estimate import Estimate
    from graphs.engine.job import RunReport
    from graphs.workflow import Workflow
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
    _run(dict(locals()))


def _run(given: dict[str, Any]) -> None:
    """Estimate, ask, run, say what came of it."""
    import warnings

    from rich.console import Console

    from whyrec.api.expected import Expected
    from whyrec.api.running import NoExamples, RunInterrupted, RunStopped, RunWarning, run
    from whyrec.cli.shared.live import Live
    from whyrec.cli.shared.quiet import without_bars
    from whyrec.cli.shared.warned import warnings_as_lines

    yes, quiet = given["yes"], given["quiet"]
    llm, settings = asked_by(given["llm"], given["concurrency"], quiet=quiet)
    console = Console(highlight=False)
    with without_bars(quiet), Live(console, quiet=quiet) as live, warnings_as_lines():
        warnings.simplefilter("ignore", RunWarning)  # the outcome says it

        def confirm(expected: Expected) -> bool:
            if not quiet:
                console.print(str(expected))
            _ask(expected, settings.ask_above, yes=yes)
            live.begin()
            return True

        try:
            found = run(
                given["graph"],
                given["data"],
                llm=llm,
                options=texts_of(given["option"]),
                prompts=given["prompt"],
                confirm=None if yes and quiet else confirm,
                progress=live.show,
                say=live.say,
                command=" ".join(["whyrec", *sys.argv[1:]]),
                settings=settings,
                **{name: given[name] for name in _AS_TYPED},
            )
        except NoExamples as nobody:
            typer.echo(str(nobody), err=True)
            raise typer.Exit(1) from None
        except (RunStopped, RunInterrupted) as ended:
            found = ended.run
    assert found.report is not None, "this start made it"
    for line in _outcome(found.report):
        console.print(line, soft_wrap=True, markup=False)
    raise typer.Exit(found.report.exit_code)


_AS_TYPED = ("seed", "users", "drawn", "split", "budget_calls", "budget_tokens", "budget_usd", "rpm", "tpm", "new",
             "retry_failed", "keep_going")  # fmt: skip


def asked_by(
    llm: list[str], concurrency: int | None = None, *, quiet: bool = False
) -> tuple[str | dict[str, str], Settings]:
    """Whom to ask, and the settings, from `--llm`, `--concurrency` and `--quiet`.

    Raises:
        UsageError: two models for all, or for one role, or a setting is not usable.
    """
    from whyrec.api.running import models_named
    from whyrec.settings import read_settings

    plain, roles = models_named(llm)
    settings = read_settings(llm=plain or None, concurrency=concurrency, quiet=quiet or None)
    return roles or settings.llm, settings


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from whyrec.api.graphs import list_graphs

    table = Table("graph", "option", "is", "default", box=None)
    for graph in list_graphs():
        table.add_row(f"[bold]{graph.name}", graph.about)
        for option, kind, default in graph.options.iter_rows():
            table.add_row("", option, kind, default)
    Console(highlight=False).print(table)


def texts_of(given: list[str]) -> dict[str, str]:
    """The graph's options by name from `--option key=value`.

    Raises:
        UsageError: one has another form, or two values.
    """
    texts: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--option {pair!r} is not of the form key=value.")
        if key in texts and texts[key] != value:
            raise UsageError(f"Option {key} is given as {texts[key]!r} and as {value!r}; give it once.")
        texts[key] = value
    return texts


def options_of(flow: Workflow[Any, Any], given: list[str], split: str) -> Any:
    """The graph's options from `--option key=value` and `--split`."""
    from whyrec.api.running import options_of as from_texts

    return from_texts(flow, texts_of(given), split)


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
    from whyrec.runs.amounts import judged, span, spent, sums

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
