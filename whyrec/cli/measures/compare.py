"""`whyrec compare GRAPH`: the same examples through several models, prompts or samples, and whether they differ."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.shared.options import DRAWN, USERS
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from whyrec.workbench.compare import Comparison


def command(
    graph: str = typer.Argument(help="The graph, e.g. pulse.choose; whyrec run --list shows them all."),
    data: str = typer.Option("", "--data", help="The data set: a name, a path, world or facts."),
    llm: list[str] = typer.Option(
        [], "--llm", help="A model to compare, repeatable; or that of one role in all arms: --llm judge=MODEL."
    ),
    prompt: list[str] = typer.Option(
        [], "--prompt", help="A version of the prompts, repeatable: house, or FILE[,FILE] of edited copies."
    ),
    seed: list[int] = typer.Option([], "--seed", help="Samples to draw, repeatable; one model with two seeds."),
    users: int | None = USERS,
    drawn: bool = DRAWN,
    split: str = typer.Option("", "--split", help="Whose target is to be predicted: test (default) or valid."),
    option: list[str] = typer.Option([], "--option", "-o", help="An option of the graph, as key=value; repeatable."),
    concurrency: int | None = typer.Option(None, min=1, max=4096, help="Examples at once."),
    budget_calls: int | None = typer.Option(None, min=0, help="Stop before more calls than this, over all arms."),
    budget_tokens: int | None = typer.Option(None, min=0, help="Stop before more tokens than this, over all arms."),
    budget_usd: float | None = typer.Option(None, min=0.0, help="Stop before more dollars than this, over all arms."),
    most: int = typer.Option(5, min=0, help="Examples that changed most, for each arm but the first."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Answer the question before a large job with yes."),
    json: bool = typer.Option(False, "--json", help="Print the comparison as JSON."),
) -> None:
    """Put the same examples through every model, prompt version and seed, and test the differences by example.

    Each arm is an ordinary run, which goes on where it stopped; all arms are held against the first.
    """
    given = dict(locals())
    if not data:
        raise UsageError(
            "whyrec compare needs --data, as in: whyrec compare pulse.choose --data world --llm A --llm B."
        )
    _compare(given)


def _compare(given: dict[str, Any]) -> None:
    from json import dumps

    from rich.console import Console

    from whyrec.api.comparing import contrast
    from whyrec.cli.run import ask, texts_of
    from whyrec.cli.shared.live import Live
    from whyrec.cli.shared.warned import warnings_as_lines
    from whyrec.settings import read_settings

    settings = read_settings(concurrency=given["concurrency"])
    with Live(Console(stderr=True, highlight=False), quiet=given["json"]) as live, warnings_as_lines():

        def confirm(calls: int) -> bool:
            ask(calls, settings.ask_above, yes=given["yes"])
            live.begin()
            return True

        try:
            found = contrast(
                given["graph"],
                given["data"],
                options=texts_of(given["option"]),
                prompts=given["prompt"],
                seeds=given["seed"],
                confirm=confirm,
                progress=live.show,
                say=live.say,
                command=" ".join(["whyrec", *sys.argv[1:]]),
                settings=settings,
                **{name: given[name] for name in _AS_TYPED},
            )
        except KeyboardInterrupt:
            live.say("Stopped. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None
    if given["json"]:
        typer.echo(dumps(found.to_dict(), indent=1, ensure_ascii=False))
        return
    _print(Console(highlight=False), found.found)


_AS_TYPED = ("llm", "users", "drawn", "split", "budget_calls", "budget_tokens", "budget_usd", "most")


def _print(console: Console, found: Comparison) -> None:
    from rich.text import Text

    for number, one in enumerate(found.arms):
        words = "".join(f", {p.name} {p.digest[:8]}" for p in one.arm.prompts)
        cached = f", {one.cached:.0%} of its calls from the cache" if one.cached else ""
        console.print(Text(f"{_letter(number)}  {one.arm.name}: run {one.run}{words}{cached}"), soft_wrap=True)
        console.print(Text(f"   answers: {one.answers}"), soft_wrap=True)
    console.print(_table(found))
    console.print(
        Text(
            "Differences are paired by example: mean, 95 % bootstrap interval, two-sided p of a sign-flip permutation "
            "test" + (" (Holm over the arms)" if len(found.arms) > 2 else "") + ". Seconds, tokens and dollars are "
            "those of each answer when it was first asked, cached or not; an example of which one is unknown is left "
            "out."
        ),
        style="dim",
        soft_wrap=True,
    )
    if found.changed:
        console.print(Text(f"Changed most in {found.rows[0].name}:"), style="bold")
    for case in found.changed:
        told = f"  {_letter(case.arm)}  {case.key}  {case.old:.4g} -> {case.new:.4g}   {found.diff(case)}"
        console.print(Text(told), soft_wrap=True)


def _table(found: Comparison) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("", *(_letter(number) for number in range(len(found.arms))), box=None, pad_edge=False)
    for number in range(1, len(found.arms)):
        for title in (f"{_letter(number)} - A", "p", "n"):
            table.add_column(title)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for row in found.rows:
        cells = [row.mean(number) for number in range(len(found.arms))]
        for number in range(1, len(found.arms)):
            cells += row.tested(number)
        name = f"{row.name}{' ↓' if row.better == 'lower' and row.outcome else ''}"
        table.add_row(Text(name, style="bold" if row.outcome and row.better else ""), *map(Text, cells))
    return table


def _letter(number: int) -> str:
    return "ABCDEFGHIJKL"[number]
