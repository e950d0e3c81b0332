"""`whyrec llm batch`: OpenAI's Batch files, written from what a run lacks and read into the call cache."""

from __future__ import annotations

from pathlib import Path

import typer

from whyrec.cli.shared.data import open_checked
from whyrec.cli.shared.options import FIRST, LLM, USERS

app = typer.Typer(help="OpenAI's Batch files: half the price, within a day.", no_args_is_help=True)


@app.command()
def export(
    graph: str = typer.Argument(help="The graph, e.g. cot_rec.preference."),
    data: str = typer.Option(..., "--data", help="The data set: a name, a path, world or facts."),
    llm: list[str] = LLM,
    users: int | None = USERS,
    drawn: bool = FIRST,
    split: str = typer.Option("", "--split", help="Whose target is to be predicted: test (default) or valid."),
    option: list[str] = typer.Option([], "--option", "-o", help="An option of the graph, as key=value; repeatable."),
    prompt: list[Path] = typer.Option([], "--prompt", help="An edited copy of a prompt, in its place; repeatable."),
    seed: int = typer.Option(0, "--seed", help="Other samples than those of an ordinary run (0)."),
    most: int = typer.Option(50_000, "--most", min=1, max=50_000, help="Questions at most, as OpenAI takes them."),
    out: Path = typer.Option(Path("batch.jsonl"), "--out", help="The file to write."),
) -> None:
    """Write the questions that `whyrec run` with the same options would have to ask now; asks nobody.

    Send the file (client.batches.create, endpoint /v1/chat/completions), import what comes back, and export again:
    a graph of several steps takes several rounds. When nothing is left to write, `whyrec run` finds every answer.
    """
    import asyncio

    from graphs.engine.job import How
    from graphs.engine.models import read_models
    from graphs.run import prepare
    from graphs.workflow import workflow
    from whyrec.api.running import models_of
    from whyrec.cli.run import options_of
    from whyrec.data.some import how_many
    from whyrec.llm.batch import write
    from whyrec.settings import read_settings
    from whyrec.workbench.batch import next_round

    plain, roles = read_models(llm, "")
    settings, flow = read_settings(llm=plain or None), workflow(graph)
    opened = open_checked(data, settings=settings)
    job = prepare(
        flow.name,
        corpus=opened.data,
        model=models_of(settings.llm, roles, prompt, seed),
        options=options_of(flow, option, split),
        users=how_many(users, drawn=drawn),
        how=How(settings=settings, world=opened.world, asks=False),
    )
    found = asyncio.run(next_round(job, most=most))
    told = f"{found.ready} examples are ready, {found.examples} wait for answers"
    told += f", {found.failed} come to nothing on the answers there are" if found.failed else ""
    if not found.questions:
        typer.echo(f"{told}. Nothing is left to ask: whyrec run with the same options finds every answer.")
        return
    typer.echo(f"{write(found.questions, out, settings.home)} questions in {out}; {told}.")
    typer.echo("Send it, then: whyrec llm batch import OUTPUT.jsonl, and export again until nothing is left.")


@app.command("import")
def import_(
    files: list[Path] = typer.Argument(help="What came back: the batch's output file, and its error file."),
) -> None:
    """Read answers into the call cache; exit code 1 if some failed or do not fit, each with what is wrong."""
    from whyrec.llm.batch import read
    from whyrec.settings import read_settings

    home, wrong = read_settings().home, 0
    for file in files:
        found = read(file, home)
        for name, why in found.wrong:
            typer.echo(f"{name}: {why}")
        typer.echo(f"{file}: {found.kept} answers kept, {len(found.wrong)} not.")
        wrong += len(found.wrong)
    raise typer.Exit(1 if wrong else 0)
