"""Data that a command works on: opened, with what a person should know about it said on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from whyrec.data import Opened
    from whyrec.settings import Settings


def open_checked(name: str, *, settings: Settings) -> Opened:
    """The data set of this name, warned of where its ids do not join.

    Raises:
        UnknownNameError, UsageError: as `open_data`, or nearly no item joins its entry for the spelling of ids alone.
    """
    from whyrec.data import Corpus, open_data
    from whyrec.data.joining import need_joined

    found = open_data(name, settings=settings)
    if isinstance(found.data, Corpus):
        need_joined(found.data)
    warn(found.data)
    return found


def warn(data: Any) -> None:
    """Say what `joining.warnings` says, on standard error: what is printed for programs stays clean."""
    from whyrec.data import Corpus
    from whyrec.data.joining import warnings

    for sentence in warnings(data) if isinstance(data, Corpus) else ():
        typer.echo(f"Warning: {sentence}", err=True)
