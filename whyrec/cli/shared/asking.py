"""Questions before something long or dear."""

from __future__ import annotations

import sys

import typer

from whyrec.errors import UsageError


def agreed(question: str, *, otherwise: str = "Add --yes to run it, or make it smaller (--help).") -> None:
    """Go on only if a person says yes.

    Args:
        question: what is asked.
        otherwise: what to do where nobody can answer.

    Raises:
        UsageError: there is nobody to ask.
        typer.Exit: the answer was no.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is nobody at a terminal to answer. {otherwise}")
    if not typer.confirm(question):
        raise typer.Exit(0)
