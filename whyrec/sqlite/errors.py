"""What SQLite and the operating system say of a file, as sentences: full, damaged, gone, locked, in a wrong place."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from whyrec.errors import UsageError

BUSY_SECONDS = 30.0
_DAMAGED = (
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
)
CLOSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
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


def is_damaged(error: BaseException) -> bool:
    """Whether an error of SQLite means that the file is not what was written: another file, or a changed byte."""
    text = str(error)  # neither a text that is no UTF-8 nor a header that promises another format has a code
    strange = text.startswith(("Could not decode", "unsupported file format"))
    return (code_of(error) in _DAMAGED and isinstance(error, sqlite3.Error)) or strange


def gone(path: Path) -> UsageError:
    """The sentence for a file that vanished under its writer."""
    return UsageError(
        f"{path} is gone: something removed or replaced it while it was being written. What it held is lost. Run the "
        f"same command again: what is in the call cache is not asked twice."
    )


def code_of(error: BaseException) -> int:
    """SQLite's primary code of an error; 0 where it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def readable(path: Path, error: Exception) -> Exception:
    """The same error as a sentence where a person can do something about it, else unchanged."""
    if is_full(error):
        return no_space(path, error)
    code = code_of(error)
    if is_damaged(error):
        return UsageError(f"{path} is not a readable SQLite file ({error}). Move it away and run the command again.")
    if code in CLOSED:
        return UsageError(f"{path} cannot be written ({error}). Check its owner and permissions, or set WHYREC_HOME.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UsageError(
            f"{path} has been locked by another process for {BUSY_SECONDS:.0f} s ({error}). End that process and "
            f"run the command again."
        )
    return error


def misfit(path: Path, error: sqlite3.Error) -> Exception:
    """A failed migration as a sentence: a file that is not what its version says, unless something else is wrong."""
    found = unread(path, error)
    if found is not error or code_of(error) != sqlite3.SQLITE_ERROR:
        return found
    return UsageError(
        f"{path} is damaged, or is no file of whyrec's: it is not what its version says ({error}). Take it from a copy,"
        f" or move it away and run the command again."
    )


_OF_A_STRANGE_FILE = ("no such", "attached databases must use the same text encoding", "unsupported file format")


def unread(path: Path, error: sqlite3.Error) -> Exception:
    """A failed read as a sentence, else unchanged."""
    told = str(error)
    strange = told.startswith(_OF_A_STRANGE_FILE) and not told.startswith("no such function")
    if is_damaged(error) or code_of(error) == sqlite3.SQLITE_IOERR or strange:
        return UsageError(
            f"{path} is damaged, or is no file of whyrec's ({error}). Something changed it after it was written: take "
            f"it from a copy, or move its folder away."
        )
    return readable(path, error)
