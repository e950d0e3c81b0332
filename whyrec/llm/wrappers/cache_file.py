"""The call cache's file: key -> text in `$WHYREC_HOME/cache.sqlite`, shared by all runs and processes.

An entry that is damaged is no entry: the question is asked again, and the new answer takes its place. It is only a
cache, so no run ends because of it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from whyrec.redaction import KNOWN
from whyrec.runs.rows import Damaged, unpack
from whyrec.sqlite import (
    BatchedWriter,
    Migration,
    Row,
    connect,
    deflate,
    insert_rows,
    make_folder,
    migrate,
)
from whyrec.sqlite.errors import is_damaged, readable

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
        self._distrusted: set[bytes] = set()
        self._read = connect(path)
        try:
            migrate(self._read, path, MIGRATIONS)
            self._writer: BatchedWriter[Row] = BatchedWriter(path, self._write, self._written)
        except BaseException:
            self._read.close()
            raise
        self._closed = False

    def get(self, key: bytes) -> str | None:
        """The text of a key; None where there is none that can be read."""
        pending = self._pending.get(key)
        if pending is not None:
            return pending
        try:
            row = self._read.execute("SELECT size,body FROM answer WHERE key=?", (key,)).fetchone()
            return None if row is None else unpack(*row)
        except sqlite3.Error as error:
            if not is_damaged(error):
                raise readable(self._path, error) from error
        except Damaged:
            pass
        self.distrust(key)
        return None

    def distrust(self, key: bytes) -> None:
        """Let the next text put under a key replace what is there."""
        self._distrusted.add(key)

    def put(self, key: bytes, model: str, text: str) -> None:
        """Keep a text; the first one of a key stays, unless it could not be read."""
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

    def _write(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        for row in rows if self._distrusted else ():
            if row[0] in self._distrusted:
                connection.execute("DELETE FROM answer WHERE key=?", (row[0],))
                self._distrusted.discard(row[0])
        insert_rows(connection, "INSERT OR IGNORE INTO answer(key,model,at,size,body)", rows)

    def _written(self, rows: list[Row]) -> None:
        for row in rows:
            self._pending.pop(row[0], None)
