"""Full text over a run's calls: blanks, repairs, answers, reasoning and errors, found by the words they hold.

The index is a file of its own beside the run's (`search.sqlite`), built at the first search and brought up to date at
every later one, so writing a run costs nothing for it; deleting it loses nothing. It is a contentless FTS5 table: it
knows which word stands where in which call, and no text. Between two texts of a call, and between two strings of one,
stands a mark, so that words follow one another only where somebody wrote them so. The static text of a prompt is not
in it: look for the prompt's name instead.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.runs.rows import unpack
from whyrec.sqlite import connect
from whyrec.sqlite_errors import readable

FILE_NAME = "search.sqlite"
_PIECE = 10_000  # calls per transaction: what an interrupted build loses at most
_TEXTS = ("blanks", "messages", "answer", "reasoning")
_WORD = re.compile(r"[^\W_]+")
_ASKED = re.compile(r'"([^"]*)"|(\S+)')
_MARK = " _ "  # between strings: a token that no word is
_VERSION = 2


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
        """Make the index visible to a connection as schema `x`. Once per index."""
        if self._attached is None:
            connection.execute("ATTACH ? AS x", (f"{self._path.absolute().as_uri()}?mode=ro",))
            self._attached = connection

    def close(self) -> None:
        """Forget the connection it was attached to."""
        self._attached = None

    def _grow(self, progress: Callable[[int, int], None] | None) -> int:
        index = connect(self._path)
        read = connect(self._run.path, read_only=True)
        try:
            _make(index)
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
                    size, body = read.execute("SELECT size, body FROM text WHERE digest=?", (digest,)).fetchone()
                    known[digest] = _MARK.join(" ".join(words(text)) for text in _strings([unpack(size, body)]))
                parts.append(known[digest])
            yield number, _MARK.join(parts)


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
                yield from _leaves(json.loads(text))
            except ValueError:
                yield text
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
