"""The command line: one module per noun, nothing heavy imported until a command runs."""

from __future__ import annotations

import importlib

import typer

from whyrec.version import __version__

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
    "fit": "command",
    "recommend": "command",
    "tune": "app",
    "scoter": "app",
    "search": "command",
    "new": "app",
    "plugins": "command",
    "demo": "command",
}


_ROOMS = {
    "measures": ("compare", "eval", "dial", "mechanism", "ablate"),
    "recommenders": ("fit", "recommend", "tune"),
    "guests": ("new", "plugins"),
    "outputs": ("export", "scoter", "search"),
}


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
        plugin: list[str] = typer.Option(
            [], "--plugin", metavar="FILE", help="A Python file with graphs, tables and so on of your own; repeatable."
        ),
    ) -> None:
        """Hold the options of `whyrec` itself."""
        if plugin:
            from whyrec import plugins

            plugins.use(plugin)

    for noun, kind in {only: _NOUNS[only]}.items() if only in _NOUNS else _NOUNS.items():
        room = next((f"{room}." for room, nouns in _ROOMS.items() if noun in nouns), "")
        module = importlib.import_module(f"whyrec.cli.{room}{noun}")
        if kind == "app":
            app.add_typer(module.app, name=noun)
        elif kind == "gone":
            app.command(noun, hidden=True, context_settings=module.ELSEWHERE)(module.command)
        else:
            app.command(noun)(module.command)
    return app
