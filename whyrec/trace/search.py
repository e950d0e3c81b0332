"""Full text over a run's calls: blanks, repairs, answers, reasoning and errors, found by the words they hold.

The index is a file of its own beside the run's (`search.sqlite`), built at the first search and brought up to date at
every later one, so writing a run costs nothing for it; deleting it loses nothing, and a damaged one is made anew. It is
a contentless FTS5 table: it knows which word stands where in which call, and no text. Between two texts of a call, and
between two strings of one, stands a mark, so that words follow one another only where somebody wrote them so. The
static text of a prompt is not in it: look for the prompt's name instead.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.sqlite import connect
from whyrec.sqlite.errors import readable

FILE_NAME = "search.sqlite"
_PIECE = 10_000  # calls per transaction: what an interrupted build loses at most
_TEXTS = ("blanks", "messages", "answer", "reasoning")
_WORD = re.compile(r"[^\W_]+")
_ASKED = re.compile(r'"([^"]*)"|(\S+)')
_MARK = " _ "  # between strings: a token that no word is
_VERSION = 2
_ODD = (sqlite3.Error, OverflowError, TypeError, ValueError)  # what an index that is damaged raises
_NOT_DAMAGED = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Attributes:
        match: for FTS5: every word, quoted; words that must follow one another in the same quotes.
    """

    match: str = ""

    @classmethod
    def of(cls, text: str) -> Query:
        """Read what a person typed.

        Raises:
            UsageError: it has no word in it.
        """
        if not text.strip():
            return cls()
        asked: list[str] = []
        for quoted, bare in _ASKED.findall(text):
            found = words(quoted or bare)
            if found:
                asked.append(f'"{" ".join(found)}"' + ("*" if not quoted and bare.endswith("*") else ""))
        if not asked:
            raise UsageError(f"There is no word in the search text {text!r}. Words are letters and digits.")
        return cls(" ".join(dict.fromkeys(asked)))


class TextIndex:
    """The full-text index of one run.

    Args:
        run: the run.
    """

    def __init__(self, run: RunReader) -> None:
        self._run, self._path = run, run.folder / FILE_NAME
        self._attached: sqlite3.Connection | None = None

    def update(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Index the calls that came since; returns how many.

        Raises:
            UsageError: the folder cannot be written, or there is no space.
        """
        try:
            from filelock import FileLock  # searching needs none

            with FileLock(f"{self._path}.lock"):
                try:
                    return self._grow(progress)
                except _ODD as error:
                    if not self._throw_away(error):
                        raise
                return self._grow(progress)
        except OSError as error:
            raise UsageError(f"The search index {self._path} cannot be written ({error}).") from None
        except sqlite3.Error as error:
            raise readable(self._path, error) from error

    def missing(self) -> int:
        """How many calls the next update has to index."""
        read = connect(self._run.path, read_only=True)
        try:
            last = int(read.execute("SELECT coalesce(max(id), 0) FROM call").fetchone()[0])
        finally:
            read.close()
        if not self._path.exists():
            return last
        index = connect(self._path, read_only=True)
        try:
            return last - _upto(index)
        except UsageError:  # its tables are just being made, or it is damaged and is made again
            return last
        finally:
            index.close()

    def attach(self, connection: sqlite3.Connection) -> None:
        """Make the index visible to a connection as schema `x`. Once per index; one that does not fit is made again."""
        if self._attached is not None:
            return
        how = ("ATTACH ? AS x", (f"{self._path.absolute().as_uri()}?mode=ro",))
        try:
            connection.execute(*how)
        except (sqlite3.Error, UsageError) as error:
            if not self._throw_away(error):
                raise
            self.update()
            connection.execute(*how)
        self._attached = connection

    def close(self) -> None:
        """Forget the connection it was attached to."""
        self._attached = None

    def _throw_away(self, error: Exception) -> bool:
        """Delete the index where an error may come from its being damaged; whether it was deleted.

        Where it was the run's own file that is damaged, that costs time, and the second try says so.
        """
        cause = error.__context__ if isinstance(error, UsageError) else error
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if not isinstance(cause, _ODD) or code in _NOT_DAMAGED or not self._path.is_file():
            return False
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        return True

    def _grow(self, progress: Callable[[int, int], None] | None) -> int:
        index = connect(self._path)
        read = connect(self._run.path, read_only=True)
        try:
            _make(index)
            index.execute(
                "SELECT 1 FROM call_text WHERE call_text MATCH '\"a\"' LIMIT 1"
            ).fetchone()  # can it be asked?
            start = done = _upto(index)
            last = int(read.execute("SELECT coalesce(max(id), 0) FROM call").fetchone()[0])
            while done < last:
                until = min(done + _PIECE, last)
                index.execute("BEGIN IMMEDIATE")
                index.executemany(
                    "INSERT INTO call_text(rowid, body) VALUES (?, ?)", self._bodies(read, after=done, until=until)
                )
                index.execute("DELETE FROM upto")
                index.execute("INSERT INTO upto VALUES (?)", (until,))
                index.execute("COMMIT")
                done = until
                if progress is not None:
                    progress(done - start, last - start)
            return last - start
        finally:
            read.close()
            index.close()

    def _bodies(self, read: sqlite3.Connection, *, after: int, until: int) -> Iterator[tuple[int, str]]:
        """(number, all words) of each call; a text that many calls share is unpacked once in a while, not each time."""
        known: dict[int, str] = {}
        for number, error, *digests in read.execute(
            f"SELECT id, error, {','.join(_TEXTS)} FROM call WHERE id > ? AND id <= ? ORDER BY id", (after, until)
        ):
            parts = [" ".join(words(error))] if error else []
            for digest in digests:
                if digest is None:
                    continue
                if digest not in known:
                    known[digest] = _MARK.join(" ".join(words(text)) for text in _strings([self._text(digest)]))
                parts.append(known[digest])
            yield number, _MARK.join(parts)

    def _text(self, digest: int) -> str:
        """A text of the run; one that is lost or damaged holds no word, and hides no other."""
        try:
            return self._run.text(digest)
        except UsageError:
            return ""


def _make(index: sqlite3.Connection) -> None:
    """The tables, where they are not there; those of an older form are thrown away."""
    if index.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    index.execute("BEGIN IMMEDIATE")
    index.execute("DROP TABLE IF EXISTS call_text")
    index.execute("DROP TABLE IF EXISTS upto")
    index.execute(
        "CREATE VIRTUAL TABLE call_text USING fts5"
        "(body, content='', columnsize=0, tokenize=\"unicode61 remove_diacritics 2 tokenchars '_'\")"
    )
    index.execute("CREATE TABLE upto (id INTEGER NOT NULL)")
    index.execute(f"PRAGMA user_version={_VERSION}")
    index.execute("COMMIT")


def _upto(index: sqlite3.Connection) -> int:
    """The last call in the index; 0 where it is of an older form."""
    if index.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        return 0
    return int(index.execute("SELECT coalesce(max(id), 0) FROM upto").fetchone()[0])


def words(text: str) -> list[str]:
    """The words of a text as the index sees them: lower case, without accents, letters and digits only."""
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text)
        text = "".join([c for c in plain if not unicodedata.combining(c)])
    return _WORD.findall(text.lower())


def _strings(texts: list[str]) -> Iterator[str]:
    """Every string in texts that may be JSON; numbers and names of fields are left out."""
    for text in texts:
        if text[:1] in '{["':
            try:
                leaves = list(_leaves(json.loads(text)))
            except (ValueError, RecursionError):
                leaves = [text]
            yield from leaves
        elif text:
            yield text


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
