"""How a person names a run and a call: RUN is an id or an unmistakable beginning of one, "latest" the run begun last;
a call is RUN:NUMBER, or its number alone for one of the latest run.
"""

from __future__ import annotations

from pathlib import Path

from whyrec.errors import UsageError
from whyrec.runs import RunReader, open_run
from whyrec.runs.folders import run_ids

LATEST = "latest"
_DIGITS = 18  # SQLite numbers no further


def find_run(home: Path, name: str = LATEST) -> RunReader:
    """Open the run of this name for reading.

    Raises:
        UnknownNameError: there is none.
        UsageError: several begin like that, or there are no runs yet.
    """
    if name not in ("", LATEST):
        return open_run(home, name)
    found: tuple[float, str] | None = None
    damaged: UsageError | None = None
    for run_id in run_ids(home):
        try:
            run = open_run(home, run_id)
        except UsageError as error:  # a damaged file hides no other
            damaged = error
            continue
        try:
            started = float(run.info()["started_at"])
        finally:
            run.close()
        found = max(found, (started, run_id)) if found else (started, run_id)
    if found is None:
        raise damaged or UsageError(f"There are no runs in {home}. Start one with `whyrec run`.")
    return open_run(home, found[1])


def find_call(home: Path, address: str) -> tuple[RunReader, int]:
    """Open the run of a call; (run, number of the call).

    Raises:
        UnknownNameError, UsageError: as `find_run`; or this is no address of a call.
    """
    name, _, number = address.rpartition(":")
    if not number.isdecimal() or len(number) > _DIGITS:
        raise UsageError(
            f"{address!r} is not a call. Write RUN:NUMBER (`whyrec trace ls RUN` lists them), or a number alone for a "
            f"call of the latest run. A user's calls are RUN/USER; two whole runs are for `whyrec runs diff`."
        )
    return find_run(home, name), int(number)
