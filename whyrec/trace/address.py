"""How a person names a run and a call: RUN is an id or an unmistakable beginning of one, "latest" the run begun last;
a call is RUN:NUMBER, or its number alone for one of the latest run.
"""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

from whyrec.errors import UsageError
from whyrec.runs import RunReader, open_run
from whyrec.runs.folders import run_ids

LATEST = "latest"
_DIGITS = 18  # SQLite numbers no further
_READ_THROUGH = 50_000  # calls; some hundredths of a second


def find_run(home: Path, name: str = LATEST) -> RunReader:
    """Open the run of this name for reading; "latest" passes over a run that is damaged, and says so.

    Raises:
        UnknownNameError: there is none.
        UsageError: several begin like that, or there are no runs yet.
    """
    if name not in ("", LATEST):
        return open_run(home, name)
    starts: list[tuple[float, str]] = []
    damaged: list[UsageError] = []
    for run_id in run_ids(home):
        try:
            with closing(open_run(home, run_id)) as run:
                starts.append((float(run.info()["started_at"]), run_id))
        except UsageError as error:  # a damaged file hides no other
            damaged.append(error)
    for _, run_id in sorted(starts, reverse=True):
        run = open_run(home, run_id)
        try:
            _read_through(run)
        except UsageError as error:
            run.close()
            damaged.append(error)
            continue
        for why in damaged:
            logging.getLogger("whyrec").warning("Left out: %s", why)
        return run
    raise damaged[-1] if damaged else UsageError(f"There are no runs in {home}. Start one with `whyrec run`.")


def _read_through(run: RunReader) -> None:
    """Meet the damage that `runs ls` would meet; of a very long run only its end is looked at, so that it is quick.

    Raises:
        UsageError: there is some.
    """
    last = run._read.execute("SELECT coalesce(max(id), 0) FROM call").fetchone()[0]
    if last <= _READ_THROUGH:
        run.counts()


def find_call(home: Path, address: str) -> tuple[RunReader, int]:
    """Open the run of a call; (run, number of the call).

    Raises:
        UnknownNameError, UsageError: as `find_run`; or this is no address of a call.
    """
    name, _, number = address.rpartition(":")
    if not number.isdecimal() or len(number) > _DIGITS:
        raise UsageError(
            f"{address!r} is not a call. Write RUN:NUMBER (`whyrec trace ls RUN` lists them), or a number alone for a "
            f"call of the latest run. `whyrec trace example RUN USER` shows all calls of a user."
        )
    return find_run(home, name), int(number)
