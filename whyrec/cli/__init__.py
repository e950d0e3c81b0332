"""The command line: one module per noun, nothing heavy imported until a command runs."""

from __future__ import annotations

import importlib

import typer

from whyrec import __version__

# noun or verb -> whether its module offers a group (`app`) or a single `command`
_NOUNS = {
    "data": "app",
    "llm": "app",
    "prompts": "app",
    "run": "command",
    "estimate": "command",
    "runs": "app",
    "trace": "app",
    "debug": "command",
    "audit": "command",
    "export": "command",
    "ui": "command",
    "compare": "command",
    "eval": "command",
    "dial": "command",
    "mechanism": "command",
    "ablate": "gone",
    "scoter": "app",
    "search": "command",
    "demo": "command",
}


_MEASURES = ("compare", "eval", "dial", "mechanism", "ablate")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"whyrec {__version__}")
        raise typer.Exit


def build(only: str = "") -> typer.Typer:
    """The command tree, or, where `only` is one of its nouns, the root with that one: what a call of it needs.

    Each module of this package imports only typer and the standard library at its top.
    """
    app = typer.Typer(
        name="whyrec",
        help="Turn histories into reasons, reasons into better rankings, and measure whether they are better.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=True,
    )

    @app.callback()
    def root(
        version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    ) -> None:
        """Hold the options of `whyrec` itself."""

    for noun, kind in {only: _NOUNS[only]}.items() if only in _NOUNS else _NOUNS.items():
        room = "whyrec.cli.measures" if noun in _MEASURES else "whyrec.cli"
        module = importlib.import_module(f"{room}.{noun}")
        if kind == "app":
            app.add_typer(module.app, name=noun)
        elif kind == "gone":
            app.command(noun, hidden=True, context_settings=module.ELSEWHERE)(module.command)
        else:
            app.command(noun)(module.command)
    return app
