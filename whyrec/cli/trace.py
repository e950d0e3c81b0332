"""`whyrec trace`: find the call, read what was sent and answered, follow a user through the graph, compare two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Find, read, compare and send again what a run asked of models.")

_PIPED = 200
_MOST = 10**12
_COUNTED = 100_000  # no further
_FORMATS = ("table", "json", "csv")


@app.command("ls")
def ls(
    run: str = typer.Argument("latest", help="The run: its id, a beginning of it, or latest."),
    text: str = typer.Argument("", help='Words the call must hold; "quoted words" follow one another, word* begins.'),
    user: str = typer.Option("", help="Whose call."),
    item: str = typer.Option("", help="About which item."),
    example: str = typer.Option("", help="Of which example, such as test/A1."),
    graph: str = typer.Option("", help="Of which graph."),
    node: str = typer.Option("", help="Of which node."),
    prompt: str = typer.Option("", help="With which prompt."),
    version: str = typer.Option("", help="In which version of the prompt: the beginning of its digest."),
    model: str = typer.Option("", help="Asked of which model."),
    status: str = typer.Option("", help="ok, unusable (of no use), one reason for that (placeholder, …) or error."),
    repaired: bool | None = typer.Option(None, "--repairs/--no-repairs", help="Only repairs, or none of them."),
    cached: bool | None = typer.Option(None, "--cached/--not-cached", help="Only answers from the cache, or none."),
    slower: float | None = typer.Option(None, min=0.0, help="At least so many seconds on the wire."),
    dearer: float | None = typer.Option(None, min=0.0, help="At least so many US dollars."),
    label: str = typer.Option("", help="good, bad, note, any or none: what people said of it."),
    sort: str = typer.Option("call", help="call, time, seconds, waiting, tokens, cost or attempts."),
    descending: bool = typer.Option(False, "--desc", help="The largest first."),
    limit: int = typer.Option(30, min=1, max=_MOST, help="So many calls."),
    offset: int = typer.Option(0, min=0, max=_MOST, help="After so many."),
    output: str = typer.Option("table", "--format", help="table, json or csv."),
) -> None:
    """List the calls of a run that meet all conditions.

    Exit codes: 0, 1 there is none, 2 usage or environment.
    """
    _ls(dict(locals()))


@app.command("show")
def show(
    call: str = typer.Argument(help="RUN:NUMBER, or a number of the latest run."),
    state: bool = typer.Option(False, "--state", help="Also the node's state before and after, made again."),
) -> None:
    """Show one call: the messages as sent, the answer, its reading, its numbers."""
    from whyrec.cli.trace_text import of_call, of_steps
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_call
    from whyrec.workbench.asked import asked
    from whyrec.workbench.path import Workplace

    settings, console = read_settings(), _console()
    run, number = find_call(settings.home, call)
    try:
        found = asked(run, number)
        console.print(of_call(found))
        if state:
            key = str(found.call["example"])
            if not key:
                raise UsageError(f"Call {number} of {run.id} belongs to no example, so no state goes with it.")
            path = Workplace(run, settings).path(key)
            console.print(of_steps(path, only=number))
    finally:
        run.close()


@app.command("example")
def example(
    run: str = typer.Argument(help="The run: its id, a beginning of it, or latest; or both as RUN/USER."),
    user: str = typer.Argument("", help="A user, an item, or the key of an example."),
    states: bool = typer.Option(False, "--states", help="Also what every node changed in the state."),
) -> None:
    """Follow one example through the graph: every node in order with its calls, and what came out."""
    from whyrec.cli.trace_text import of_path
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_run
    from whyrec.workbench.path import Workplace

    settings = read_settings()
    if not user:
        run, _, user = run.partition("/")
    if not user:
        raise UsageError(f"Whose example? Write whyrec trace example {run} USER (`whyrec trace ls {run}` names users).")
    found = find_run(settings.home, run)
    try:
        place = Workplace(found, settings)
        _console().print(of_path(found, place.path(place.recorded(place.key(user))), states=states))
    finally:
        found.close()


@app.command("diff")
def diff(
    a: str = typer.Argument(help="A call (RUN:NUMBER), or RUN/USER for all of a user's calls in a run."),
    b: str = typer.Argument(help="Another."),
) -> None:
    """Compare two calls, or one user in two runs, word by word."""
    from whyrec.cli.trace_text import of_difference
    from whyrec.settings import read_settings
    from whyrec.workbench.difference import calls_of, difference

    home, console = read_settings().home, _console()
    for pair in difference(calls_of(home, a), calls_of(home, b)):
        console.print(of_difference(pair, colour=console.color_system is not None))


@app.command("replay")
def replay(
    call: str = typer.Argument(help="RUN:NUMBER, or a number of the latest run."),
    llm: str = typer.Option("", "--llm", help="Ask this model instead."),
    prompt: Path | None = typer.Option(None, "--prompt", help="Say it in the words of this prompt file."),
    replaced: list[str] = typer.Option([], "--replace", help="OLD=>NEW: put a text in place of another; repeatable."),
    setting: list[str] = typer.Option([], "--set", help="temperature=0.2, top_p, max_tokens or seed; repeatable."),
    times: int = typer.Option(1, min=1, max=100, help="So many samples."),
    budget_usd: float | None = typer.Option(None, min=0.0, help="Not if it may cost more US dollars than this."),
) -> None:
    """Send a call again, changed, and show old and new side by side. It is kept beside the run, not in it."""
    import asyncio

    import prompts
    from whyrec.cli.trace_text import of_replay
    from whyrec.llm import Budget
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_call
    from whyrec.workbench import replay as bench
    from whyrec.workbench.asked import asked

    settings, console = read_settings(), _console()
    text = prompts.read_file(prompt) if prompt else ""
    change = bench.read_change(setting, llm=llm, prompt=text, replaced=tuple(map(_pair, replaced)), times=times)
    run, number = find_call(settings.home, call)
    try:
        budget = Budget(dollars=budget_usd)
        again = asyncio.run(bench.replay(run, number, change, settings=settings, budget=budget))
        console.print(of_replay(asked(run, number), again, colour=console.color_system is not None))
    finally:
        run.close()
    if any(said.error for said in again.said):
        raise typer.Exit(1)


@app.command("label")
def label(
    address: str = typer.Argument(help="A call (RUN:NUMBER), or an example (RUN/USER or RUN/KEY)."),
    verdict: str = typer.Argument("", help="good or bad; nothing for a note alone; none takes the label back."),
    note: str = typer.Option("", "--note", help="In words."),
    who: str = typer.Option("", "--who", help="Who says so; your login name by default."),
) -> None:
    """Say of a call or an example that it is good or bad, or note something. The last label counts."""
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_call, find_run
    from whyrec.trace.labels import Label, Labels
    from whyrec.workbench.labels import example_key

    home = read_settings().home
    verdict, back = ("", True) if verdict == "none" else (verdict, False)
    if not verdict and not note and not back:
        raise UsageError("Say good, bad, or --note TEXT; none takes the label back.")
    name, slash, key = address.partition("/")
    run, number = (find_run(home, name), 0) if slash else find_call(home, address)
    try:
        if not slash and run.call(number) is None:
            raise UsageError(f"The run {run.id} has no call {number}.")
        example = example_key(run, key) if slash else ""
        kept = Labels(home).mark(Label(run.id, number, example, verdict, note, who))
    finally:
        run.close()
    said = " ".join(filter(None, (kept.verdict, f'"{kept.note}"' if kept.note else ""))) or "no label"
    typer.echo(f"{run.id}{'/' + example if example else f':{number}'}: {said}, says {kept.who}")


@app.command("labels")
def labels(
    run: str = typer.Argument("latest", help="The run: its id, a beginning of it, or latest."),
    out: Path | None = typer.Option(None, "--out", help="Write them into this file of JSON lines."),
) -> None:
    """Show the labels of a run's calls and examples, or write them with what they are of.

    Exit codes: 0, 1 there is none, 2 usage or environment.
    """
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_run
    from whyrec.workbench.labels import export, exported

    found = find_run(read_settings().home, run)
    try:
        if out is not None:
            typer.echo(f"{out}: {export(found, out):,} labels of {found.id}")
            return
        lines = list(exported(found))
    finally:
        found.close()
    for line in lines:
        typer.echo(line, nl=False)
    if not lines:
        typer.echo(f"Nothing of {found.id} is labelled.", err=True)
        raise typer.Exit(1)


@app.command("save")
def save(
    run: str = typer.Argument("latest", help="The run: its id, a beginning of it, or latest."),
    text: str = typer.Argument("", help="Words the call must hold, as for `trace ls`."),
    out: Path = typer.Option(..., "--out", help="The file of JSON lines to write."),
    user: str = typer.Option("", help="Whose call."),
    item: str = typer.Option("", help="About which item."),
    example: str = typer.Option("", help="Of which example, such as test/A1."),
    graph: str = typer.Option("", help="Of which graph."),
    node: str = typer.Option("", help="Of which node."),
    prompt: str = typer.Option("", help="With which prompt."),
    version: str = typer.Option("", help="In which version of the prompt: the beginning of its digest."),
    model: str = typer.Option("", help="Asked of which model."),
    status: str = typer.Option("", help="As for `trace ls`; without it, calls whose answer was of use."),
    repaired: bool | None = typer.Option(None, "--repairs/--no-repairs", help="Only repairs, or none of them."),
    cached: bool | None = typer.Option(None, "--cached/--not-cached", help="Only answers from the cache, or none."),
    slower: float | None = typer.Option(None, min=0.0, help="At least so many seconds on the wire."),
    dearer: float | None = typer.Option(None, min=0.0, help="At least so many US dollars."),
    label: str = typer.Option("", help="good, bad, note, any or none: what people said of it."),
) -> None:
    """Save calls as a data set: a file of conversations, {"messages": [...]}, the answer as the last message."""
    given = dict(locals())
    from whyrec.settings import read_settings
    from whyrec.trace import Wanted
    from whyrec.trace.address import find_run
    from whyrec.workbench import labels as bench

    wanted = Wanted(**{name: given[name] for name in Wanted.__slots__})
    found = find_run(read_settings().home, run)
    try:
        typer.echo(f"{out}: {bench.save(found, wanted, out)}")
    finally:
        found.close()


def _pair(text: str) -> tuple[str, str]:
    old, arrow, new = text.partition("=>")
    if not arrow:
        raise UsageError(f"--replace {text!r} is not of the form OLD=>NEW.")
    return old, new


def _ls(given: dict[str, Any]) -> None:
    """Find the calls and print them."""
    from rich.console import Console

    from whyrec.cli.trace_text import as_csv, as_json, as_table
    from whyrec.settings import read_settings
    from whyrec.trace import STATUSES, Calls, Wanted
    from whyrec.trace.address import find_run

    output, offset, status = given["output"], given["offset"], given["status"]
    if output not in _FORMATS:
        raise UsageError(f"--format {output!r} is none of {', '.join(_FORMATS)}.")
    if status and status not in STATUSES:
        raise UsageError(f"--status {status!r} is none of {', '.join(STATUSES)}.")
    wanted = Wanted(**{name: given[name] for name in Wanted.__slots__})
    order = {"order": given["sort"], "descending": given["descending"], "limit": given["limit"], "offset": offset}
    console, found = _console(), find_run(read_settings().home, given["run"])
    try:
        with Calls(found, progress=_Building(Console(stderr=True))) as calls:
            lines = calls.find(wanted, **order)
            if output != "table":
                typer.echo(as_json(found, lines) if output == "json" else as_csv(lines), nl=False)
                raise typer.Exit(0 if lines else 1)
            if not lines:
                _nothing(console, found.id, calls.near(wanted), wanted, offset)
            console.print(as_table(found, lines, console.width))
            cap = max(_COUNTED, offset + len(lines))
            total = calls.count(wanted, cap=cap)
    finally:
        found.close()
    of = f"{total:,}" if total < cap or wanted == Wanted() else f"{total:,} or more"
    shown = f"{offset + 1:,} to {offset + len(lines):,} of {of} calls of {found.id}"
    console.print(f"[dim]{shown}. Read one: whyrec trace show {found.id}:{lines[0].id}[/dim]", soft_wrap=True)


class _Building:
    """Says on stderr how far the search index is."""

    def __init__(self, console: Console) -> None:
        self._console, self._told = console, -1

    def __call__(self, done: int, whole: int) -> None:
        percent = 100 * done // max(whole, 1)
        if whole > 20_000 and percent // 5 > self._told:
            self._told = percent // 5
            self._console.print(f"[dim]building the search index, once: {done:,} of {whole:,} calls[/dim]")


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPED)
    return console


def _nothing(console: Console, run: str, near: tuple[str, list[str]], wanted: Any, offset: int) -> NoReturn:
    """Say that nothing was found, and what there is instead."""
    beyond = f", or none beyond the first {offset:,}" if offset else ""
    console.print(f"No call of {run} meets all of that{beyond}.", markup=False)
    column, names = near
    if names and (given := getattr(wanted, column)) in names:
        console.print(f"It has calls for the {column} {given}, but none that meets the rest.", markup=False)
    elif names:
        console.print(f"Its nearest {column}s: {', '.join(names)}", markup=False)
    raise typer.Exit(1)
