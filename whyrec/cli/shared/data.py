"""Data that a command works on: opened, with what a person should know about it said on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from graphs.engine.job import Job
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


def need_examples(job: Job) -> None:
    """End with 1 where there is nothing to do, and say why.

    Raises:
        typer.Exit: the job has no example.
    """
    from whyrec.data import Corpus
    from whyrec.data.split import MIN_EVENTS

    if len(job.inputs.indices):
        return
    data = job.source.data
    if isinstance(data, Corpus) and int(data.lengths.max()) < MIN_EVENTS:
        why = (
            f"No user of {data.name} has three events (the longest history has {int(data.lengths.max())}), and without "
            "three there is no history, no validation item and no target to predict. Name data with longer histories, "
            "and look at it with `whyrec data stats`."
        )
    else:
        why = f"{data.name} has no example for {job.flow.name} with these options (`whyrec data stats` describes it)."
    typer.echo(why, err=True)
    raise typer.Exit(1)
