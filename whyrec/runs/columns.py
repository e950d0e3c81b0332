"""What each column of a run's file may hold, from the tables that whyrec itself makes.

SQLite lets any value into any column, and a file may be damaged or edited by hand; so whoever reads rows for people
asks here first, and what is no number where a number belongs is a sentence about the file and never a fault of ours.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from typing import Any

from whyrec.runs.schema import MIGRATIONS

_TYPES: Mapping[str, tuple[type, ...]] = {
    "TEXT": (str,),
    "INTEGER": (int,),
    "REAL": (float, int),
    "BLOB": (bytes,),
}
_LATEST = 253_402_300_799.0  # the last second of the year 9999
_TIMES = ("at", "started_at", "ended_at")


@cache
def columns(table: str) -> Mapping[str, tuple[type, ...]]:
    """Types by column of a table, `NoneType` among them where it may be empty."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in MIGRATIONS:
            migration(connection)
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return {name: _TYPES[kind] + (() if needed or key else (type(None),)) for _, name, kind, needed, _, key in rows}


def strange(table: str, row: Mapping[str, Any]) -> str:
    """What is wrong with the columns that a row has, or ""."""
    for name, kinds in columns(table).items():
        if name not in row:
            continue
        value = row[name]
        if not isinstance(value, kinds):
            return f"{name} of a {table} is {value!a:.80}"
        if name in _TIMES and isinstance(value, float | int) and not 0 <= value <= _LATEST:
            return f"{name} of a {table} is {value!a:.80}, which is no time"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} of a {table} is {value}"
    return ""


def missing(table: str, row: Mapping[str, Any]) -> str:
    """Which column a whole row lacks, or ""."""
    gone = next((name for name in columns(table) if name not in row), "")
    return f"a {table} has no {gone}" if gone else ""
