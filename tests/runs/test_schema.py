"""Versions of a run's file: an older one is brought up to date, a newer one is refused."""

import sqlite3
from pathlib import Path

import pytest

from whyrec.errors import UsageError
from whyrec.runs import Identity, Result, Run, open_run
from whyrec.runs.schema import MIGRATIONS, allow_unknown, create_tables, index_nodes

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
    connection.execute("DROP TABLE call")
    (kept_table,) = (sql for sql in _old_tables() if sql.startswith("CREATE TABLE call "))
    connection.execute("ALTER TABLE run DROP COLUMN data_path")
    connection.execute(kept_table)  # as version 1 had it, without an index over nodes
    connection.execute("PRAGMA user_version=1")
    connection.commit()
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


def test_calls_of_older_runs_keep_what_they_say_and_lose_counts_that_nobody_made(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "run.sqlite")
    create_tables(connection)
    index_nodes(connection)
    row = dict.fromkeys(_columns(connection), "") | {"tokens_cached": 0, "cost": 0.0, "request": b"x"}
    numbers = ("at", "turn", "retry", "sample", "settings", "attempts", "queue_s", "service_s")
    row |= dict.fromkeys(numbers, 1)
    for cache, error, tokens in (
        ("miss", "", (7, 5)),
        ("miss", "", (0, 0)),
        ("hit", "", (0, 0)),
        ("miss", "x", (0, 0)),
    ):
        called = row | {"cache": cache, "error_kind": error, "tokens_in": tokens[0], "tokens_out": tokens[1]}
        del called["id"]
        marks = ",".join("?" * len(called))
        connection.execute(f"INSERT INTO call({','.join(called)}) VALUES ({marks})", tuple(called.values()))
    indexes = "SELECT count(*) FROM sqlite_schema WHERE type='index' AND tbl_name='call'"
    before = connection.execute(indexes).fetchone()
    allow_unknown(connection)
    found = connection.execute("SELECT tokens_in,tokens_out,unreadable,made_in FROM call ORDER BY id").fetchall()
    assert found == [(7, 5, "", None), (None, None, "", None), (0, 0, "", None), (0, 0, "", None)]
    assert connection.execute(indexes).fetchone() == before
    connection.close()


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_info(call)")]


def _old_tables() -> list[str]:
    connection = sqlite3.connect(":memory:")
    create_tables(connection)
    return [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
