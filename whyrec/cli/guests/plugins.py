"""`whyrec plugins`: what is declared by plug-ins here, and what is wrong with them."""

from __future__ import annotations

import typer


def command() -> None:
    """List what plug-ins declare here: graphs, prompts, tables, recommenders, providers, readers.

    Exit codes: 0; 1 if something is wrong with one (said on the error stream).
    """
    from whyrec import plugins

    found = [(kind, name, guest) for kind in plugins.KINDS for name, guest in plugins.found(kind).items()]
    width = max((len(name) for _, name, _ in found), default=0)
    for kind, name, guest in found:
        typer.echo(f"{kind:<12}  {name:<{width}}  {guest.where}")
    if not found and not plugins.problems():
        typer.echo(
            "No plug-in is named here. `whyrec new graph NAME` begins one; docs/plugins.md says how they are found."
        )
    raise typer.Exit(1 if plugins.problems() else 0)
