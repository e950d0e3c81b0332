"""A run: a folder with one SQLite file that holds what was asked, what was answered and what came out.

`Run.open` starts a run or goes on with it: the same graph, data, model, prompts and answer-changing options are the
same run, so "resume" means "run the same command again". A result and its done-mark are one row; calls, texts and
metrics are in the same file. docs/runs.md describes the schema: it is public, and our own commands read nothing else.
"""

from whyrec.runs.folders import RunInfo, list_runs, open_run, remove_run
from whyrec.runs.identity import Identity
from whyrec.runs.reading import RunReader
from whyrec.runs.rows import CallRecord, Counts, Metric, Result, Text, pack
from whyrec.runs.writing import Run

__all__ = [
    "CallRecord",
    "Counts",
    "Identity",
    "Metric",
    "Result",
    "Run",
    "RunInfo",
    "RunReader",
    "Text",
    "list_runs",
    "open_run",
    "pack",
    "remove_run",
]
