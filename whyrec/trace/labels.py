"""Labels: what people said of calls and examples, good, bad or a note, with who and when.

They lie in `labels.sqlite` of the home, beside the runs and not in them, so a run's file stays what the run wrote. What
was said is never overwritten: the last label of a call or an example counts, and an empty one takes the others back.
A call that has no label of its own has that of its example.
"""

from __future__ import annotations

import getpass
import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.redaction import redact
from whyrec.sqlite import Migration, connect, migrate

FILE_NAME = "labels.sqlite"
VERDICTS = ("good", "bad")
FILTERS = ("good", "bad", "note", "any", "none")
MOST_NOTE = 4000
_MOST_WHO = 80
_COLUMNS = "run, call, example, verdict, note, who, at"


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody said.

    Attributes:
        run: id of the run.
        call: number of the call, 0 where it is of an example.
        example: key of the example, "" where it is of a call.
        verdict: "good", "bad" or "".
        note: in words.
        who: said it.
        at: unix seconds.
    """

    run: str
    call: int = 0
    example: str = ""
    verdict: str = ""
    note: str = ""
    who: str = ""
    at: float = 0.0

    @property
    def told(self) -> str:
        """For a list: the verdict, or that there is a note."""
        return self.verdict or "note"


@dataclass(frozen=True)
class Labelled:
    """The labels of one run, by call and by example."""

    calls: Mapping[int, Label] = field(default_factory=dict)
    examples: Mapping[str, Label] = field(default_factory=dict)

    def of(self, call: int, example: str) -> Label | None:
        """A call's own label, else that of its example."""
        return self.calls.get(call) or self.examples.get(example)

    def condition(self, wanted: str) -> tuple[str, tuple[Any, ...]]:
        """(SQL over the table `call c`, its values) for one of `FILTERS`."""
        own, by_example = f"c.id IN ({_LIST})", f"c.example IN ({_LIST})"
        listed = _json(list(self.calls))
        if wanted == "none":
            return f"NOT {own} AND NOT {by_example}", (listed, _json(list(self.examples)))
        met = [number for number, one in self.calls.items() if _meets(one, wanted)]
        met_by = [key for key, one in self.examples.items() if _meets(one, wanted)]
        return f"({own} OR (NOT {own} AND {by_example}))", (_json(met), listed, _json(met_by))


class Labels:
    """The labels of a home. The file is made by the first label.

    Args:
        home: `$WHYREC_HOME`.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME

    def mark(self, label: Label) -> Label:
        """Keep a label, with the time where it has none; returns it as kept.

        Raises:
            UsageError: no such verdict, too long a note, or it is of neither a call nor an example.
        """
        if label.verdict and label.verdict not in VERDICTS:
            raise UsageError(f"A label is {' or '.join(VERDICTS)}, or a note alone, not {label.verdict!r}.")
        if bool(label.call) == bool(label.example):
            raise UsageError("A label is of a call (its number) or of an example (its key).")
        if len(label.note) > MOST_NOTE:
            raise UsageError(f"A note has at most {MOST_NOTE:,} characters, not {len(label.note):,}.")
        who = (label.who.strip() or whoami())[:_MOST_WHO]
        row = (label.run, label.call, label.example, label.verdict, redact(label.note.strip()), redact(who))
        kept = Label(*row, label.at or time.time())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(connect(self._path)) as connection:
            migrate(connection, self._path, _MIGRATIONS)
            connection.execute(f"INSERT INTO label({_COLUMNS}) VALUES (?,?,?,?,?,?,?)", (*row, kept.at))
        return kept

    def of_run(self, run: str) -> Labelled:
        """The labels that count in a run."""
        calls, examples = dict[int, Label](), dict[str, Label]()
        for label in self.history(run):
            known: dict[Any, Label] = calls if label.call else examples
            key = label.call or label.example
            known.pop(key, None)
            if label.verdict or label.note:
                known[key] = label
        return Labelled(calls, examples)

    def history(self, run: str) -> list[Label]:
        """Everything that was ever said of a run, in that order."""
        if not self._path.exists():
            return []
        with closing(connect(self._path, read_only=True)) as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM label WHERE run=? ORDER BY id", (run,)).fetchall()
        return [Label(*row) for row in rows]


def whoami() -> str:
    """The login name, "somebody" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"


_LIST = "SELECT value FROM json_each(?)"


def _json(values: list[Any]) -> str:
    return json.dumps(values)


def _meets(label: Label, wanted: str) -> bool:
    return wanted == "any" or (bool(label.note) if wanted == "note" else label.verdict == wanted)


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE label(id INTEGER PRIMARY KEY, run TEXT NOT NULL, call INTEGER NOT NULL, example TEXT NOT NULL,"
        " verdict TEXT NOT NULL, note TEXT NOT NULL, who TEXT NOT NULL, at REAL NOT NULL)"
    )
    connection.execute("CREATE INDEX label_of_run ON label(run)")


_MIGRATIONS: tuple[Migration, ...] = (_first,)
