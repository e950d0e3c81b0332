"""SQLite as whyrec uses it: one file, WAL, rows written in batches by a thread.

A commit costs some hundred microseconds whatever is in it, so rows wait for company: one transaction per 64 rows or
80 ms. A process that is killed loses at most what was submitted in the last 100 ms; what is committed survives it
(`synchronous=NORMAL`: the death of the process, not of the power supply).

Unusual: sqlite3 lets go of the interpreter lock at every step of a statement, and beside a busy event loop each step
then waits its turn, so `insert_rows` writes a batch as one statement of many rows, not as many steps. And zlib spends
50 microseconds on clearing its default window, ten times what our texts take in a small one.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from whyrec.errors import UsageError
from whyrec.redaction import KNOWN

Row: TypeAlias = tuple[Any, ...]
Migration: TypeAlias = Callable[[sqlite3.Connection], None]
T = TypeVar("T")

BATCH_ROWS = 64
BATCH_SECONDS = 0.08  # with the commit itself a row is on disk within 100 ms
_BUSY_SECONDS = 30.0
_FULL_ERRNO = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def no_space(path: Path, error: BaseException) -> UsageError:
    """The sentence for a full disk, a file size limit or a failing disk."""
    return UsageError(
        f"There is no space left to write {path} ({error}). Nothing already done is lost: free space (or raise the "
        f"limit on file sizes) and run the same command again."
    )


def is_full(error: BaseException) -> bool:
    """Whether an error of the operating system or of SQLite means that the file cannot grow."""
    if isinstance(error, sqlite3.Error):
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, OSError) and error.errno in _FULL_ERRNO


def readable(path: Path, error: Exception) -> Exception:
    """The same error as a sentence where a person can do something about it, else unchanged."""
    if is_full(error):
        return no_space(path, error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return UsageError(f"{path} is not a readable SQLite file ({error}). Move it away and run the command again.")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return UsageError(f"{path} cannot be written ({error}). Check its owner and permissions, or set WHYREC_HOME.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UsageError(
            f"{path} has been locked by another process for {_BUSY_SECONDS:.0f} s ({error}). End that process and "
            f"run the command again."
        )
    return error


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        UsageError: a file is in the way, the place is not writable, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        wrong = next(p for p in (folder, *folder.parents) if p.exists() and not p.is_dir())
        raise UsageError(f"{wrong} is a file, but a folder is needed there. Move it away or set WHYREC_HOME.") from None
    except OSError as error:
        if is_full(error):
            raise no_space(folder, error) from None
        raise UsageError(f"The folder {folder} cannot be made ({error}). Choose another with WHYREC_HOME.") from None


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a SQLite file for any thread, in autocommit (transactions are written out), WAL where it may be written.

    Raises:
        UsageError: the path is a folder, cannot be opened, is no SQLite file, or there is no space.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but a SQLite file is needed there. Move it away.")
    if read_only and not path.exists():
        raise UsageError(f"There is no file {path}.")
    connection: sqlite3.Connection | None = None
    try:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        if not read_only:
            _use_wal(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise readable(path, error) from None
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; the switch ignores the busy timeout, so two processes that create one file try by turns."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> int:
    """Bring a file to the newest schema; `PRAGMA user_version` counts the migrations it has seen.

    Each migration runs in a transaction of its own and must not commit. Returns how many ran.

    Raises:
        UsageError: the file comes from a newer whyrec.
    """
    ran = 0
    try:
        while (version := schema_version(connection)) != len(migrations):
            if version > len(migrations):
                raise UsageError(
                    f"{path} was written by a newer whyrec (its schema is version {version}, this one knows "
                    f"{len(migrations)}). Update whyrec."
                )
            connection.execute("BEGIN IMMEDIATE")
            try:
                if schema_version(connection) == version:  # nobody else was faster
                    migrations[version](connection)
                    connection.execute(f"PRAGMA user_version={version + 1}")
                    ran += 1
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    except sqlite3.Error as error:
        raise readable(path, error) from error
    return ran


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def insert_rows(connection: sqlite3.Connection, head: str, rows: Sequence[Row], *, tail: str = "") -> None:
    """Insert many rows with few statements, keys cut out of every text in them.

    Args:
        connection: in a transaction.
        head: "INSERT INTO table(columns)".
        rows: all of the same width.
        tail: what follows the values ("ON CONFLICT ...").
    """
    start, size = 0, BATCH_ROWS
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2  # powers of two only, so that few statements are ever prepared
        one = "(" + ",".join("?" * len(rows[0])) + ")"
        values = _without_keys([value for row in rows[start : start + size] for value in row])
        connection.execute(f"{head} VALUES {','.join([one] * size)} {tail}", values)
        start += size


def _without_keys(values: list[Any]) -> list[Any]:
    """The texts are looked at as one, since there is hardly ever a key in them."""
    texts = "\n".join([value for value in values if type(value) is str])
    if KNOWN.cut(texts) == texts:
        return values
    return [KNOWN.cut(value) if type(value) is str else value for value in values]


def deflate(data: bytes) -> bytes:
    """zlib, level 1, in a small window: 5 microseconds for a kilobyte. Any zlib reads it."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 13, 5)
    return packer.compress(data) + packer.flush()


class BatchedWriter(Generic[T]):
    """A thread that writes submitted items in transactions of about 64, at the latest 80 ms after the first.

    The first failure stops the writer: its transaction is rolled back, and it is raised to everybody who submits,
    flushes or closes afterwards.

    Args:
        path: the file.
        write: called with a connection in a transaction and some items, on the thread.
        written: called with the same items after the commit, on the thread.
    """

    def __init__(
        self,
        path: Path,
        write: Callable[[sqlite3.Connection, list[T]], None],
        written: Callable[[list[T]], None] | None = None,
    ) -> None:
        self._path, self._write, self._after = path, write, written
        self._connection = connect(path)
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._submitted = self._written = 0
        self._hurry = self._closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"whyrec writer of {path.name}", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        """Hand over one item. Thread-safe, never waits for the disk."""
        with self._changed:
            self._check()
            assert not self._closing, "submitted to a closed writer"
            self._items.append(item)
            self._submitted += 1
            waiting = len(self._items)
            if waiting == 1 or waiting == BATCH_ROWS:
                self._changed.notify_all()

    def flush(self) -> None:
        """Return when everything submitted so far is committed."""
        with self._changed:
            goal = self._submitted
            while self._written < goal and self._failure is None:
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait()
            self._check()

    def close(self) -> None:
        """Write what is left and end the thread. Idempotent; raises the failure that stopped the writer, if any."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._connection.close()
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._write(self._connection, batch)
                self._connection.execute("COMMIT")
                if self._after is not None:
                    self._after(batch)
            except Exception as error:
                self._give_up(error)
                return
            with self._changed:
                self._written += len(batch)
                self._changed.notify_all()

    def _next_batch(self) -> list[T]:
        """Wait for a batch; empty when closing and nothing is left."""
        with self._changed:
            while not self._items and not self._closing:
                self._changed.wait()
            deadline = time.monotonic() + BATCH_SECONDS
            while len(self._items) < BATCH_ROWS and not self._hurry and not self._closing:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._hurry = False
            batch, self._items = self._items, []
            return batch

    def _give_up(self, error: Exception) -> None:
        with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
            self._connection.execute("ROLLBACK")
        with self._changed:
            self._failure = readable(self._path, error)
            self._items.clear()
            self._changed.notify_all()
