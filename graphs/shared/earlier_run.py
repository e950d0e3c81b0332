"""What an earlier run left, for a graph that builds on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphs.workflow import MissingInput
from whyrec.errors import LeakageError, UsageError
from whyrec.runs import RunReader, open_run


def open_earlier(home: Path, run: str, *graphs: str) -> RunReader:
    """An earlier run of one of these graphs, for reading.

    Raises:
        UnknownNameError: there is no such run.
        UsageError: it is a run of another graph.
    """
    found = open_run(home, run)
    if (of := found.info()["graph"]) not in graphs:
        found.close()
        raise UsageError(f"Run {run} is a run of {of}, but one of {' or '.join(graphs)} is needed here.")
    return found


def payload_of(run: RunReader, key: str, *, prefix: str = "") -> dict[str, Any]:
    """What the run keeps of an example; with `prefix`, only if it was made from exactly that history.

    Raises:
        MissingInput: it has nothing, so this example fails.
        LeakageError: it was made from another history than the one shown here (SplitView.prefix_digest).
    """
    found = run.result(key)
    if found is None or found.payload is None:
        raise MissingInput(f"run {run.id} has nothing for {key}")
    if prefix and found.payload["prefix"] != prefix:
        raise LeakageError(
            f"What run {run.id} has for {key} was made from another history than the one shown here. Run "
            f"{run.info()['graph']} again on this data and split, and name that run."
        )
    return dict(found.payload)
