"""`whyrec estimate GRAPH`: what a run would take, without asking the model and without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.run import asked_by, texts_of
from whyrec.cli.shared.options import FIRST, LLM, USERS
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from whyrec.api.expected import Expected


def command(
    graph: str = typer.Argument("", help="The graph, e.g. cot_rec.preference; whyrec run --list shows them all."),
    data: str = typer.Option("", "--data", help="The data set: a name, a path, or world."),
    llm: list[str] = LLM,
    prompt: list[Path] = typer.Option([], "--prompt", help="An edited copy of a prompt, in its place; repeatable."),
    seed: int = typer.Option(0, "--seed", help="Other samples than those of an ordinary run (0)."),
    users: int | None = USERS,
    drawn: bool = FIRST,
    split: str = typer.Option("", "--split", help="Whose target is to be predicted: test (default) or valid."),
    option: list[str] = typer.Option([], "--option", "-o", help="An option of the graph, as key=value; repeatable."),
    concurrency: int | None = typer.Option(None, min=1, max=4096, help="Examples at once."),
    rpm: float | None = typer.Option(None, help="Requests a minute that the server bears."),
    tpm: float | None = typer.Option(None, help="Tokens a minute that the server bears."),
    new: bool = typer.Option(False, "--new", help="As if nothing had been run yet."),
    json: bool = typer.Option(False, "--json", help="Print the numbers as JSON."),
) -> None:
    """Say what `whyrec run` with the same options would take: calls, tokens, money, time, and the calls by node.

    Exit codes: 0, 2 usage or environment.
    """
    if not graph or not data:
        missing = "a graph (whyrec run --list)" if not graph else "--data (whyrec data ls)"
        raise UsageError(f"whyrec estimate needs {missing}, as in: whyrec estimate cot_rec.preference --data world.")
    _estimate(dict(locals()))


def _estimate(given: dict[str, Any]) -> None:
    from json import dumps

    from rich.console import Console

    from whyrec.api.running import NoExamples, estimate
    from whyrec.cli.shared.warned import warnings_as_lines

    llm, settings = asked_by(given["llm"], given["concurrency"])
    same = ("seed", "users", "drawn", "split", "rpm", "tpm", "new")
    told = {name: given[name] for name in same}
    with warnings_as_lines():
        try:
            expected = estimate(
                given["graph"],
                given["data"],
                llm=llm,
                options=texts_of(given["option"]),
                prompts=given["prompt"],
                settings=settings,
                **told,
            )
        except NoExamples as nobody:
            typer.echo(str(nobody), err=True)
            raise typer.Exit(1) from None
    if given["json"]:
        typer.echo(dumps(expected.to_dict(), indent=1))
        return
    console = Console(highlight=False)
    console.print(str(expected))
    if expected.nodes:
        console.print(_by_node(expected))


def _by_node(expected: Expected) -> Table:
    from rich.table import Table

    table = Table("node", "calls", "tokens in", "tokens out", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for node in expected.nodes:
        table.add_row(node.name, f"{node.calls:,}", f"{node.tokens_in:,}", f"{node.tokens_out:,}")
    return table
