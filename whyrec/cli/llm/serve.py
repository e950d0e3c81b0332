"""`whyrec llm serve`: start, or print, a server that answers whyrec's questions as they are meant."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import typer


class Server(enum.StrEnum):
    """What can serve a model."""

    vllm = "vllm"
    llama_cpp = "llama.cpp"
    llama_server = "llama-server"
    xllamacpp = "xllamacpp"


def serve(
    context: typer.Context,
    model: str = typer.Argument(help="A GGUF file for llama.cpp; a folder or a hub name, such as Qwen/Qwen3-8B."),
    with_: Server | None = typer.Option(
        None,
        "--with",
        help="By what: vLLM, or llama.cpp as a program (llama-server) or a wheel (xllamacpp). Guessed from MODEL.",
    ),
    host: str = typer.Option("127.0.0.1", help="Where to listen."),
    port: int | None = typer.Option(None, min=1, max=65535, help="Where to listen: 8000 for vLLM, 8080 for llama.cpp."),
    lora: list[str] = typer.Option([], "--lora", help="vLLM: an adapter as NAME=FOLDER; repeatable."),
    cpu: bool = typer.Option(False, "--cpu", help="For vLLM's CPU build."),
    tokens: int | None = typer.Option(
        None, "--context", min=256, help="Tokens of a question and its answer; llama.cpp: 8192 unless said."
    ),
    slots: int | None = typer.Option(None, min=1, help="llama.cpp: questions answered at once; 4 unless said."),
    print_: bool = typer.Option(False, "--print", help="Only print the command."),
) -> None:
    """Start a server for MODEL with the flags that whyrec's questions need; its other flags are passed on.

    The process becomes the server's: it ends with Ctrl-C. `--print` prints the command, for another machine too.
    """
    import os
    import shlex

    from whyrec.redaction.telemetry import VLLM

    chosen = with_ or (Server.llama_cpp if model.lower().endswith(".gguf") else Server.vllm)
    if chosen is Server.vllm:
        made, name = _vllm(model, (host, port or 8000), lora, cpu=cpu, tokens=tokens, more=context.args)
        quiet = dict(VLLM)
    else:
        _only_llama(lora, cpu=cpu)
        made, name = _llama(model, (host, port or 8080), (tokens, slots), context.args)
        quiet = {}
    ready = _shown(made, chosen) if print_ else _ready(made, chosen)
    typer.echo(shlex.join([f"{variable}={value}" for variable, value in quiet.items()] + ready))
    typer.echo(f"Then: whyrec llm check {name}", err=True)
    if not print_:
        os.execvpe(ready[0], ready, {**os.environ, **quiet})


def _vllm(
    model: str, place: tuple[str, int], lora: Sequence[str], *, cpu: bool, tokens: int | None, more: Sequence[str]
) -> tuple[list[str], str]:
    from whyrec.llm.servers.starting.vllm_command import command

    length = ["--max-model-len", str(tokens)] if tokens else []
    made = command(model, host=place[0], port=place[1], adapters=lora, cpu=cpu, more=[*length, *more])
    return made, f"vllm:{model}@http://{place[0]}:{place[1]}/v1"


def _llama(
    model: str, place: tuple[str, int], size: tuple[int | None, int | None], more: Sequence[str]
) -> tuple[list[str], str]:
    from whyrec.llm.servers.starting.llama_command import CONTEXT, SLOTS, called, command

    context, slots = size[0] or CONTEXT, size[1] or SLOTS
    made = command(model, host=place[0], port=place[1], context=context, slots=slots, more=more)
    return made, f"llamacpp:{called(model)}@http://{place[0]}:{place[1]}/v1"


def _only_llama(lora: Sequence[str], *, cpu: bool) -> None:
    from whyrec.errors import UsageError

    if lora or cpu:
        raise UsageError(
            f"{'--lora' if lora else '--cpu'} is for vLLM. llama-server takes adapters as GGUF files "
            f"(--with llama-server -- --lora FILE) and runs on CPUs without being told."
        )


def _ready(made: Sequence[str], chosen: Server) -> list[str]:
    from whyrec.llm.servers.starting import llama_command, vllm_command

    if chosen is Server.vllm:
        return vllm_command.runnable(made)
    return llama_command.runnable(made, by="" if chosen is Server.llama_cpp else chosen.value)


def _shown(made: Sequence[str], chosen: Server) -> list[str]:
    from whyrec.llm.servers.starting.llama_command import by_wheel

    return by_wheel(made) if chosen is Server.xllamacpp else list(made)
