"""The runs of a home: list, open for reading, remove."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs.reading import FILE_NAME, RunReader
from whyrec.runs.rows import Counts
from whyrec.runs.schema import MIGRATIONS
from whyrec.runs.writing import lock_run
from whyrec.sqlite import connect, migrate, schema_version


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of a list of runs. `started_at` in unix seconds."""

    id: str
    graph: str
    data: str
    model: str
    state: str
    started_at: float
    counts: Counts


def run_ids(home: Path) -> list[str]:
    """The ids of all runs, sorted."""
    return sorted(path.parent.name for path in (home / "runs").glob(f"*/{FILE_NAME}"))


def list_runs(home: Path, *, unreadable: Callable[[str, str], None] = lambda _run, _why: None) -> list[RunInfo]:
    """All runs, the latest first; one whose file cannot be read is told with the reason, and left out."""
    found = []
    for run_id in run_ids(home):
        try:
            with closing(open_run(home, run_id)) as run:
                row = run.info()
                told = (row["graph"], row["data"], row["model"], row["state"], row["started_at"])
                found.append(RunInfo(run_id, *told, run.counts()))
        except (UsageError, UnknownNameError) as error:  # damaged, or gone in the meantime
            unreadable(run_id, str(error))
    return sorted(found, key=lambda info: info.started_at, reverse=True)


def open_run(home: Path, run_id: str) -> RunReader:
    """Open a run for reading by its id or an unmistakable beginning of it; an older file is migrated first.

    Raises:
        UnknownNameError: there is no such run.
        UsageError: several begin like that, the file cannot be read, or comes from a newer whyrec.
    """
    folder = home / "runs" / _full_id(home, run_id)
    path = folder / FILE_NAME
    connection = connect(path, read_only=True)
    try:
        version = schema_version(connection)
    finally:
        connection.close()
    if version != len(MIGRATIONS):
        _upgrade(folder)
    run = RunReader(folder)
    try:
        run.info()
    except BaseException:
        run.close()
        raise
    return run


def remove_run(home: Path, run_id: str) -> None:
    """Delete a run's folder; its answers stay in the call cache.

    Raises:
        UnknownNameError: there is no such run.
        LockedError: a process is writing to it.
    """
    folder = home / "runs" / _full_id(home, run_id)
    lock = lock_run(folder)
    try:
        shutil.rmtree(folder)
    finally:
        lock.release()


def _full_id(home: Path, run_id: str) -> str:
    known = run_ids(home)
    if run_id in known:
        return run_id
    meant = [name for name in known if run_id and name.startswith(run_id)]
    if len(meant) > 1:
        raise UsageError(
            f"{run_id!r} is the beginning of {len(meant)} runs: {', '.join(meant[:10])}. Write more of it."
        )
    if not meant:
        raise UnknownNameError("run", run_id, known, hint="Start one with `whyrec run`.")
    return meant[0]


def _upgrade(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise UsageError(
            f"The run {folder} was written by an older whyrec and lies where nothing can be written, so its file "
            f"cannot be brought up to date. Copy its folder into a WHYREC_HOME that can be written, and read it there."
        )
    lock = lock_run(folder)
    try:
        connection = connect(folder / FILE_NAME, create=False)
        try:
            migrate(connection, folder / FILE_NAME, MIGRATIONS)
        finally:
            connection.close()
    finally:
        lock.release()
