"""Versions of a run's file: an older one is brought up to date, a newer one is refused."""

import sqlite3
from pathlib import Path

import pytest

from whyrec.errors import UsageError
from whyrec.runs import Identity, Result, Run, open_run
from whyrec.runs.schema import MIGRATIONS

IDENTITY = Identity("cot_rec.preference", "amazon14_beauty", "d1", "extractive", options={"batch": 10})


def test_a_run_from_a_newer_whyrec_is_refused(tmp_path: Path) -> None:
    run = Run.open(tmp_path, IDENTITY)
    run.close()
    connection = sqlite3.connect(run.folder / "run.sqlite")
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(UsageError, match="newer whyrec"):
        Run.open(tmp_path, IDENTITY)
    with pytest.raises(UsageError, match="newer whyrec"):
        open_run(tmp_path, run.id)


def test_an_older_run_is_brought_up_to_date_when_it_is_read(tmp_path: Path) -> None:
    run = Run.open(tmp_path, IDENTITY)
    run.record([Result("a", "user of a", "valid", "done", payload={"text": "kept"})])
    run.close()
    connection = sqlite3.connect(run.folder / "run.sqlite")
    connection.execute("DROP INDEX call_node")  # as version 1 had it
    connection.execute("PRAGMA user_version=1")
    connection.close()
    reader = open_run(tmp_path, run.id)
    kept = reader.result("a")
    reader.close()
    assert kept is not None and kept.payload == {"text": "kept"}
    connection = sqlite3.connect(run.folder / "run.sqlite")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM call WHERE node=? ORDER BY id DESC", ("n",)).fetchall()
    assert "call_node" in plan[0][-1] and len(plan) == 1, "found and ordered by the index, nothing sorted"
    connection.close()
