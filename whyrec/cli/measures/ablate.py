"""`whyrec ablate`, which is called `whyrec mechanism` now."""

from __future__ import annotations

import typer

from whyrec.errors import UsageError

ELSEWHERE = {"ignore_unknown_options": True, "allow_extra_args": True}


def command(context: typer.Context) -> None:
    """Say what this is called now."""
    raise UsageError(
        "`whyrec ablate` is `whyrec mechanism` now: it says what a part of a method does to outcomes on generated "
        "worlds, and no longer whether a claim holds. What it had measured is withdrawn (docs/decisions/0010)."
    )
