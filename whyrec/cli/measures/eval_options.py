"""The longer options of `whyrec eval`."""

from __future__ import annotations

from typing import Any

import typer

FOLD: Any = typer.Option(["10/2"], help="BATCH/OVERLAP of the preference fold; each further one adds a cell.")
EMBEDDER: Any = typer.Option(
    ["lsa"],
    "--embedder",
    "--embed",
    help="lsa[:WIDTH], hf:FOLDER, openai:MODEL[@URL] or hashed; each further one adds cells to cot_rec.table_1.",
)
USERS: Any = typer.Option(
    None,
    "--users",
    min=1,
    help="Measure N users (rows, questions) of the split; each table says first what is read beyond them.",
)
OPTION: Any = typer.Option(
    [],
    "--option",
    "-o",
    help="KEY=VALUE: titles=anonymous or bare (items without their names), labels=logprobs, score, answer or any "
    "(how letters are read), rotations=no (of position bias), window=N (RALLRec+ Figure 3); repeatable.",
)
ABOUT: Any = typer.Option(
    [], help="NAME=WORDS: how large a model is, in which form, tuned or not; needed for docs/evidence.md."
)
RESULTS: Any = typer.Option(
    None,
    "--results",
    help="A folder that many tables share, with FOLDER.md beside it, as the project's docs/results; "
    "else each table has a folder of its own in $WHYREC_HOME/results.",
)
OUT: Any = typer.Option(
    None, "--out", help="Folder for what the next four write; else the table's own in $WHYREC_HOME/results."
)
ONE_REVISION: Any = typer.Option(False, "--one-revision", help="Run again what another revision of the code made.")
