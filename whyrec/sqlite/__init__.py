"""SQLite as whyrec uses it: one file, WAL, rows written in batches by a thread.

A commit costs some hundred microseconds whatever is in it, so rows wait for company: one transaction per 64 rows or
80 ms. A process that is killed loses at most what was submitted in the last 100 ms; what is committed survives it
(`synchronous=NORMAL`: the death of the process, not of the power supply).

Unusual: sqlite3 lets go of the interpreter lock at every step of a statement, and beside a busy event loop each step
then waits its turn, so `insert_rows` writes a batch as one statement of many rows, not as many steps. And zlib spends
50 microseconds on clearing its default window, ten times what our texts take in a small one.

Files are read as they are found: one that is damaged is told in a sentence by whatever read meets the damage, and one
on a medium that cannot be written is read all the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeAlias, TypeVar

from whyrec.errors import UsageError
from whyrec.redaction import KNOWN
from whyrec.sqlite.errors import BUSY_SECONDS, CLOSED, code_of, gone, is_full, misfit, no_space, readable, unread

Row: TypeAlias = tuple[Any, ...]
Migration: TypeAlias = Callable[[sqlite3.Connection], None]
T = TypeVar("T")

BATCH_ROWS = 64
BATCH_SECONDS = 0.08  # with the commit itself a row is on disk within 100 ms


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


class _Cursor(sqlite3.Cursor):
    """Rows of a file that may be damaged anywhere."""

    def execute(self, *given: Any) -> Self:
        return self._told(super().execute, *given)

    def fetchone(self) -> Any:
        return self._told(super().fetchone)

    def fetchall(self) -> list[Any]:
        return self._told(super().fetchall)

    def __next__(self) -> Any:
        return self._told(super().__next__)

    def _told(self, read: Callable[..., T], *given: Any) -> T:
        try:
            return read(*given)
        except UnicodeDecodeError as error:  # in what SQLite itself says of the file
            raise self._unread(sqlite3.DatabaseError(f"Could not decode: {error.reason}")) from None
        except sqlite3.Error as error:
            raise self._unread(error) from None

    def _unread(self, error: sqlite3.Error) -> Exception:
        connection = self.connection
        assert isinstance(connection, Reading), "only such a connection makes cursors of this kind"
        return unread(connection.path, error)


class Reading(sqlite3.Connection):
    """A connection that only reads, and whose reads fail with sentences."""

    path: Path = Path()
    _copy: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def of(cls, path: Path) -> Reading:
        """Open a file.

        Reading a file in WAL mode takes a file beside it, which a medium that is read-only does not let one make:
        there the file is read as it is, and where a write-ahead log lies beside it (its writer was killed), a copy of
        both is.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        try:
            return cls._open(path, path, "")
        except sqlite3.OperationalError as error:
            if code_of(error) not in CLOSED or not os.access(path, os.R_OK):
                raise
        log = Path(f"{path}-wal")
        if not log.exists() or not log.stat().st_size:
            return cls._open(path, path, "&immutable=1")
        copy = tempfile.TemporaryDirectory(prefix="whyrec-read-")
        for file in (path, log):
            shutil.copyfile(file, Path(copy.name) / file.name)
        made = cls._open(path, Path(copy.name) / path.name, "")
        made._copy = copy
        return made

    @classmethod
    def _open(cls, path: Path, file: Path, more: str) -> Reading:
        uri = f"{file.absolute().as_uri()}?mode=ro{more}"
        made = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=cls
        )
        made.path = path
        try:
            sqlite3.Connection.execute(made, "PRAGMA user_version").fetchone()
        except sqlite3.Error:
            made.close()
            raise
        return made

    def execute(self, *given: Any) -> sqlite3.Cursor:
        """As of any connection."""
        return self.cursor(_Cursor).execute(*given)

    def close(self) -> None:
        """As of any connection."""
        super().close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None


def connect(path: Path, *, read_only: bool = False, create: bool = True) -> sqlite3.Connection:
    """Open a SQLite file for any thread, in autocommit (transactions are written out), WAL where it may be written.

    Args:
        path: the file.
        read_only: a `Reading`.
        create: whether to make it where it is not there.

    Raises:
        UsageError: the path is a folder, cannot be opened, is no SQLite file, or there is no space; or it is not there
            and is not to be made.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but a SQLite file is needed there. Move it away.")
    if not path.exists():
        if read_only:
            raise UsageError(f"There is no file {path}.")
        if not create:
            raise gone(path)
    connection: sqlite3.Connection | None = None
    try:
        if read_only:
            return Reading.of(path)
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise readable(path, error) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error}).") from None
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; the switch ignores the busy timeout, so two processes that create one file try by turns."""
    deadline = time.monotonic() + BUSY_SECONDS
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
        UsageError: the file comes from a newer whyrec, or from nobody.
    """
    ran = 0
    try:
        while (version := schema_version(connection)) != len(migrations):
            if version > len(migrations):
                raise UsageError(
                    f"{path} was written by a newer whyrec (its schema is version {version}, this one knows "
                    f"{len(migrations)}). Update whyrec."
                )
            if version < 0:
                raise UsageError(f"{path} is damaged (its schema is version {version}): take it from a copy.")
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
        raise misfit(path, error) from error
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
        self._file = _identity(path)
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
                if _identity(self._path) != self._file:
                    raise gone(self._path)  # SQLite would go on writing into a file that nobody can open
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to; None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
