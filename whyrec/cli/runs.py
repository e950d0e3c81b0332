"""`whyrec runs`: what has been run, what came out, how two runs differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.shared.asking import agreed
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from whyrec.runs import Counts, RunReader

app = typer.Typer(no_args_is_help=True, help="List, show, compare and remove runs.")

_ADDED_UP = 100_000  # results whose numbers are added up
_SHOWN = 5  # examples shown of each kind


@app.command("ls")
def ls() -> None:
    """List all runs, the latest first."""
    import time

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from whyrec.runs import list_runs
    from whyrec.settings import read_settings

    settings = read_settings()
    table = Table("run", "state", "done", "failed", "calls", "cache hits", "cost", "started", box=None)
    table.columns[0].no_wrap = True
    damaged: list[str] = []
    for info in list_runs(settings.home, unreadable=lambda run, why: damaged.append(f"{run}: {why}")):
        c, when = info.counts, time.strftime("%Y-%m-%d %H:%M", time.localtime(info.started_at))
        row = (c.done, c.failed, c.calls, c.hits + c.joined, _cost(c))
        table.add_row(info.id, info.state, *map(str, row), when)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    for line in damaged:
        console.print(f"[red]unreadable[/red] {escape(line)}")
    if table.row_count:
        console.print(table)
    elif settings.home.is_file():
        raise UsageError(f"{settings.home} is a file, but WHYREC_HOME names the folder that runs are kept in.")
    else:
        console.print(f"There are no runs in {settings.home}. Start one with `whyrec run`.", markup=False)


@app.command("show")
def show(
    run: str = typer.Argument(help="Its id, an unmistakable beginning of it, or latest."),
    example: str = typer.Argument("", help="Show this example in full and nothing else: a key, such as test/u1."),
) -> None:
    """Show a run: what it was of, its numbers, why examples failed, some results."""
    import json
    from collections import Counter
    from itertools import islice

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from whyrec.settings import read_settings
    from whyrec.trace.address import find_run

    console = Console(highlight=False)
    found = find_run(read_settings().home, run)
    try:
        if example:
            _example(found, example)
            return
        table = Table("", "", box=None, show_header=False)
        table.columns[0].style, table.columns[1].overflow = "dim", "fold"
        for name, value in {**_head(found.info()), **_counted(found), **_trained(found)}.items():
            table.add_row(name, Text(value))
        console.print(table)
        for line in _numbers(found):
            console.print(line, markup=False)
        reasons = Counter(result.reason for result in found.results("failed"))
        for reason, times in reasons.most_common(_SHOWN):
            console.print(f"failed {times} x: {reason}", markup=False)
        for result in islice(found.results("done"), _SHOWN):
            console.print(f"{result.key}: {json.dumps(result.payload, ensure_ascii=False)}", markup=False)
    finally:
        found.close()


def _head(info: dict[str, Any]) -> dict[str, str]:
    """A run's row for people: points of time as dates, and how long it took."""
    from whyrec.runs.amounts import span

    told = {name: "" if value is None else str(value) for name, value in info.items()}
    for name in ("started_at", "ended_at"):
        told[name] = _moment(info[name])
    if info["ended_at"] is not None:
        told["took"] = span(max(info["ended_at"] - info["started_at"], 0.0)) + ", from its first start to its last end"
    return told


def _moment(at: float | None) -> str:
    """A point in time where this machine stands, to the second, with its offset from UTC."""
    import time

    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at))


def _counted(run: RunReader) -> dict[str, str]:
    """A run in numbers for people; what nobody counted is said to be unknown."""
    from dataclasses import asdict

    from whyrec.runs.amounts import judged, spent, sums

    counts = run.counts()
    told = {name: f"{value:,}" for name, value in asdict(counts).items()}
    for name in ("tokens_in", "tokens_out", "unmetered", "cost", "unpriced"):
        del told[name]
    return told | {
        "tokens": sums(counts.tokens_in, counts.tokens_out, counts.unmetered, counts.sent),
        "cost": spent(counts.cost, counts.unpriced, counts.sent),
        "answers": judged(counts.usable, run.unusable()),
    }


def _trained(run: RunReader) -> dict[str, str]:
    """Models that the run's examples needed, and the precision each was trained in."""
    found = [one.labels for one in run.metrics() if one.name == "trained"]
    return {f"trained {labels['model']}": str(labels["precision"]) for labels in found}


def _cost(counts: Counts) -> str:
    """What a run cost, in a list: nothing where it was free."""
    from whyrec.runs.amounts import UNKNOWN

    known = f"${counts.cost:.4f}" if counts.cost else ""
    return known if not counts.unpriced else f"≥ {known}" if known else UNKNOWN


def _numbers(run: RunReader) -> list[str]:
    """Of every number in the results: its mean and range, over the first many."""
    from itertools import islice

    found: dict[str, list[float]] = {}
    for result in islice(run.results("done"), _ADDED_UP):
        for name, value in (result.payload or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(name, []).append(value)
    return [
        f"{name}: mean {sum(values) / len(values):.4g}, {min(values):.4g} to {max(values):.4g}, {len(values):,} results"
        for name, values in sorted(found.items())
    ]


def _example(run: RunReader, key: str) -> None:
    """One result as JSON, or why there is none."""
    import json

    result = run.result(key)
    if result is None:
        some = next((one.key for one in run.results()), "")
        known = f"It has keys such as {some}." if some else "It has no results yet."
        raise UsageError(f"Run {run.id} has nothing for {key!r}. {known}")
    typer.echo(result.reason or json.dumps(result.payload, ensure_ascii=False, indent=1))


@app.command("diff")
def diff(
    a: str = typer.Argument(help="One run; latest will do."),
    b: str = typer.Argument(help="Another."),
    limit: int = typer.Option(_SHOWN, help="How many differing examples to show."),
) -> None:
    """Say how two runs differ: in what they are of, in their numbers, in their results."""
    import json

    from rich.console import Console
    from rich.table import Table

    from whyrec.settings import read_settings
    from whyrec.trace.address import find_run

    home, console = read_settings().home, Console(highlight=False)
    one = find_run(home, a)
    try:
        other = find_run(home, b)
        try:
            table = Table("", one.id, other.id, box=None)
            left, right = ({**json.loads(r.info()["settings"]), **_counted(r)} for r in (one, other))
            for name in dict.fromkeys((*left, *right)):
                if left.get(name) != right.get(name):
                    table.add_row(name, str(left.get(name, "")), str(right.get(name, "")))
            console.print(table)
            _diff_results(console, (one, other), limit)
        finally:
            other.close()
    finally:
        one.close()


@app.command("rm")
def rm(
    run: str = typer.Argument(help="Its id, or an unmistakable beginning of it."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Remove a run's folder. Its answers stay in the call cache."""
    from whyrec.runs import open_run, remove_run
    from whyrec.settings import read_settings

    home = read_settings().home
    found = open_run(home, run)
    found.close()
    if not yes:
        agreed(f"Remove {found.folder}?", otherwise="Add --yes to remove it.")
    remove_run(home, found.id)
    typer.echo(f"Removed {found.id}.")


def _diff_results(console: Console, pair: tuple[RunReader, RunReader], limit: int) -> None:
    """Walk both runs in key order, one example at a time."""
    import json
    from heapq import merge
    from itertools import groupby

    first = ((result.key, 0, result) for result in pair[0].results())
    second = ((result.key, 1, result) for result in pair[1].results())
    same = differing = 0
    alone = [0, 0]
    for key, group in groupby(merge(first, second, key=lambda row: row[:2]), key=lambda row: row[0]):
        found = {side: result for _, side, result in group}
        if len(found) == 1:
            alone[next(iter(found))] += 1
        elif (found[0].status, found[0].payload) == (found[1].status, found[1].payload):
            same += 1
        else:
            differing += 1
            if differing <= limit:
                for side in (0, 1):
                    said = (
                        json.dumps(found[side].payload, ensure_ascii=False)
                        if found[side].payload
                        else found[side].reason
                    )
                    console.print(f"{'-+'[side]} {key}: {said}", markup=False)
    console.print(
        f"{same} examples are the same, {differing} differ, {alone[0]} are only in {pair[0].id}, "
        f"{alone[1]} only in {pair[1].id}.",
        markup=False,
    )
