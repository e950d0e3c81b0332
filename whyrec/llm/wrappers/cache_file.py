"""The call cache's file: key -> text in `$WHYREC_HOME/cache.sqlite`, shared by all runs and processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from whyrec.redaction import KNOWN
from whyrec.runs.rows import unpack
from whyrec.sqlite import BatchedWriter, Migration, Row, connect, deflate, insert_rows, make_folder, migrate, readable

FILE_NAME = "cache.sqlite"


def create_tables(connection: sqlite3.Connection) -> None:
    """Version 1: answer(key, model, at, size, body); body is zlib, or plain where that is not shorter."""
    connection.execute(
        "CREATE TABLE answer (key BLOB NOT NULL UNIQUE, model TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL,"
        " body BLOB NOT NULL)"
    )


MIGRATIONS: Sequence[Migration] = (create_tables,)


class CacheFile:
    """Reads at once, writes in batches; what was put is found before it is written.

    Raises:
        UsageError: the file cannot be made, read or written, or there is no space.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self._path = path
        self._pending: dict[bytes, str] = {}
        self._read = connect(path)
        try:
            migrate(self._read, path, MIGRATIONS)
            self._writer: BatchedWriter[Row] = BatchedWriter(path, _write, self._written)
        except BaseException:
            self._read.close()
            raise
        self._closed = False

    def get(self, key: bytes) -> str | None:
        """The text of a key, or None."""
        pending = self._pending.get(key)
        if pending is not None:
            return pending
        try:
            row = self._read.execute("SELECT size,body FROM answer WHERE key=?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise readable(self._path, error) from error
        return None if row is None else unpack(*row)

    def put(self, key: bytes, model: str, text: str) -> None:
        """Keep a text; the first one of a key stays."""
        text = KNOWN.cut(text)
        self._pending[key] = text
        raw = text.encode("utf-8", "surrogatepass")
        packed = deflate(raw)
        self._writer.submit((key, model, time.time(), len(raw), packed if len(packed) < len(raw) else raw))

    def flush(self) -> None:
        """Wait until everything put is on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Write what is left and close. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        finally:
            self._read.close()

    def _written(self, rows: list[Row]) -> None:
        for row in rows:
            self._pending.pop(row[0], None)


def _write(connection: sqlite3.Connection, rows: list[Row]) -> None:
    insert_rows(connection, "INSERT OR IGNORE INTO answer(key,model,at,size,body)", rows)
