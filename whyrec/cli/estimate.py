"""`whyrec estimate GRAPH`: what a run would take, without asking the model and without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from whyrec.cli.run import asked_by, expectation, options_of
from whyrec.cli.shared.data import need_examples, open_checked
from whyrec.cli.shared.options import FIRST, LLM, USERS
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from graphs.engine.estimate import Estimate
    from graphs.engine.job import Job


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
    import asyncio

    from rich.console import Console

    from graphs.engine.job import How
    from graphs.run import prepare
    from graphs.workflow import workflow
    from whyrec.data.some import how_many
    from whyrec.llm import Limits

    flow = workflow(graph)
    options = options_of(flow, option, split)
    settings, models = asked_by(llm, prompt, seed, concurrency)
    opened = open_checked(data, settings=settings)
    limits = Limits(requests_per_minute=rpm, tokens_per_minute=tpm, concurrency=max(256, settings.concurrency))
    how = How(settings=settings, new=new, limits=limits, world=opened.world, asks=False)
    some = how_many(users, drawn=drawn)
    job = prepare(flow.name, corpus=opened.data, model=models, options=options, users=some, how=how)
    need_examples(job)
    expected = asyncio.run(_estimated(job))
    if json:
        typer.echo(_as_json(expected))
        return
    console = Console(highlight=False)
    console.print(expectation(job, expected))
    if expected.nodes:
        console.print(_by_node(expected))


async def _estimated(job: Job) -> Estimate:
    from graphs.engine.estimate import estimate

    try:
        return await estimate(job)
    finally:
        await job.models.close()


def _as_json(expected: Estimate) -> str:
    """The numbers for programs, the dollars computed (null where the price is not known)."""
    import json
    from dataclasses import asdict

    return json.dumps({**asdict(expected), "dollars": expected.dollars}, indent=1)


def _by_node(expected: Estimate) -> Table:
    from rich.table import Table

    table = Table("node", "calls", "tokens in", "tokens out", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for node in expected.nodes:
        table.add_row(node.name, f"{node.calls:,}", f"{node.tokens_in:,}", f"{node.tokens_out:,}")
    return table
