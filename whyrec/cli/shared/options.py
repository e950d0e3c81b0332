"""Options that several commands share."""

from __future__ import annotations

from typing import Any

import typer

_HELP = "Which of them: drawn at random, always the same, or the first of the file."

LLM: Any = typer.Option([], "--llm", help="The model, or that of one role as ROLE=MODEL (docs/providers.md).")
USERS: Any = typer.Option(None, "--users", min=1, help="Only N users of the split, or questions.")
FIRST: Any = typer.Option(False, "--drawn/--first", help=_HELP)
PRECISION: Any = typer.Option(
    None, "--precision", help="Of what is trained: auto (the fastest here, measured), float32, bfloat16 or tf32."
)
DRAWN: Any = typer.Option(True, "--drawn/--first", help=_HELP)
