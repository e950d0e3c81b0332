"""`whyrec llm`: which models there are, how one comes here, and what a server really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from whyrec.cli.llm import batch, get
from whyrec.cli.llm.serve import serve

if TYPE_CHECKING:
    from whyrec.llm.capabilities import Capabilities
    from whyrec.llm.model import LanguageModel
    from whyrec.llm.servers.checking.finding import Finding

app = typer.Typer(help="Language models: which there are, and what a server really does.", no_args_is_help=True)
app.add_typer(batch.app, name="batch")
app.command("get")(get.get)
_COLOURS = {"yes": "green", "no": "yellow", "ignored": "red", "refused": "yellow", "unknown": "dim"}


@app.command("ls")
def list_schemes() -> None:
    """List the kinds of model names and whether what they need is installed."""
    from rich.console import Console
    from rich.table import Column, Table

    from whyrec.llm.registry import openers

    example = Column("example", overflow="fold", min_width=22)
    table = Table("name", "what it is", example, "ready", box=None, pad_edge=False)
    for name, scheme in sorted(openers().items()):
        how = f'needs {", ".join(scheme.missing)}: pip install "whyrec\\[{scheme.extra}]"'
        table.add_row(name, scheme.help, scheme.example, "yes" if not scheme.missing else how)
    Console().print(table)


@app.command()
def check(
    model: str = typer.Argument(help="A model's name, such as vllm:Qwen/Qwen3-8B@http://127.0.0.1:8000/v1."),
    fitness: bool = typer.Option(
        False, "--fitness", help="Also ask ten known questions per form of answer; the cost is said first."
    ),
) -> None:
    """Try what MODEL's server really does, print it and keep it for the client.

    --fitness tells before a run is paid for whether the model is up to it: for which forms of answer (json, tags,
    headers, letters) its answers can be used, and how many are right.
    """
    import asyncio

    from rich.console import Console
    from rich.table import Table

    from whyrec.errors import UsageError
    from whyrec.llm.model import ModelError
    from whyrec.llm.registry import open_provider
    from whyrec.settings import read_settings

    settings = read_settings()
    opened = open_provider(model, settings=settings)
    try:
        found, findings = asyncio.run(_check(opened))
    except ModelError as error:
        raise UsageError(str(error)) from None
    console = Console()
    table = Table("ability", "works", "what it means", box=None, pad_edge=False, title=model, title_justify="left")
    for finding in findings:
        table.add_row(finding.what, f"[{_COLOURS[finding.outcome]}]{finding.outcome}[/]", finding.note)
    console.print(table)
    if found is not None:
        from whyrec.llm.capabilities import keep_checked
        from whyrec.llm.providers.openai import OpenAICompatible

        assert isinstance(opened, OpenAICompatible)
        path = keep_checked(settings.home, opened.address.url, opened.address.model, found)
        console.print(f"Kept in {path}; options in the model's name still win.", soft_wrap=True)
    if fitness:
        from whyrec.cli.llm.fitness import show_fitness

        show_fitness(model, settings=settings, console=console)


async def _check(model: LanguageModel) -> tuple[Capabilities | None, list[Finding]]:
    from whyrec.llm.providers.openai import OpenAICompatible
    from whyrec.llm.servers.checking.seam import check_model
    from whyrec.llm.servers.checking.server import check_server

    try:
        if isinstance(model, OpenAICompatible):
            return await check_server(model)
        return None, await check_model(model)
    finally:
        await model.close()


app.command("serve", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
