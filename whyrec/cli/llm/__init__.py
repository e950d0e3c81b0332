"""`whyrec llm`: which models there are, how one comes here, and what a server really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from whyrec.cli.llm import batch, get

if TYPE_CHECKING:
    from whyrec.llm.capabilities import Capabilities
    from whyrec.llm.check import Finding
    from whyrec.llm.model import LanguageModel

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
) -> None:
    """Try what MODEL's server really does, print it and keep it for the client."""
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


async def _check(model: LanguageModel) -> tuple[Capabilities | None, list[Finding]]:
    from whyrec.llm.check import check_model, check_server
    from whyrec.llm.providers.openai import OpenAICompatible

    try:
        if isinstance(model, OpenAICompatible):
            return await check_server(model)
        return None, await check_model(model)
    finally:
        await model.close()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    model: str = typer.Argument(help="A hub name or a folder, such as Qwen/Qwen3-8B."),
    host: str = typer.Option("127.0.0.1", help="Where to listen."),
    port: int = typer.Option(8000, min=1, max=65535, help="Where to listen."),
    lora: list[str] = typer.Option([], "--lora", help="A LoRA adapter as NAME=FOLDER, asked as vllm:NAME; repeatable."),
    cpu: bool = typer.Option(False, "--cpu", help="For vLLM's CPU build."),
    print_: bool = typer.Option(False, "--print", help="Only print the command."),
) -> None:
    """Start `vllm serve MODEL` with the flags that whyrec's questions need; other flags of vLLM are passed on.

    The process becomes vLLM's: it ends with Ctrl-C. Then: whyrec llm check vllm:MODEL@http://HOST:PORT/v1.
    """
    import os
    import shlex

    from whyrec.llm.serving import command, runnable
    from whyrec.telemetry import VLLM

    made = command(model, host=host, port=port, adapters=lora, cpu=cpu, more=context.args)
    quiet = " ".join(f"{name}={value}" for name, value in VLLM.items())
    if print_:
        typer.echo(f"{quiet} {shlex.join(made)}")
        return
    ready = runnable(made)
    typer.echo(f"{quiet} {shlex.join(ready)}")
    os.execvpe(ready[0], ready, {**os.environ, **VLLM})
