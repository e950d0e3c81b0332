"""Calls of a run, found by whom they were for, who asked, how they went, and what their texts hold.

Every condition is one of `Wanted`'s fields and all of them hold together. User, item, example and node are look-ups in
an index of the run's file; what has none (slow, costly) reads the calls in order until enough are found. The texts of
a call are read only when one call is opened (`Calls.one`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, Literal

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import REASONS
from whyrec.runs import RunReader
from whyrec.sqlite import connect
from whyrec.trace.labels import FILTERS as LABELS
from whyrec.trace.labels import Labelled, Labels
from whyrec.trace.search import Query, TextIndex

Progress = Callable[[int, int], None]

ORDERS: Mapping[str, str] = {
    "call": "c.id",
    "time": "c.at",
    "seconds": "c.service_s",
    "waiting": "c.queue_s",
    "tokens": "c.tokens_in + c.tokens_out",
    "cost": "c.cost",
    "attempts": "c.attempts",
}
_STATUS: Mapping[str, str] = {
    "ok": "c.error_kind='' AND c.unreadable=''",
    "unusable": "c.unreadable<>''",
    "error": "c.error_kind<>''",
    **{reason: f"c.verdict='{reason}'" for reason in REASONS},
}
STATUSES = tuple(_STATUS)
_INDEXED = ("example", "user", "item")
_NAMED = ("node", "prompt")
_FEW = ("graph", "model")
_NEAR = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls. Empty fields ask for nothing.

    Attributes:
        user, item, example: for whom: original ids, and the example's key ("valid/A1").
        graph, node, prompt, model: who asked, and whom.
        version: beginning of the prompt's digest.
        status: "ok" answered with something of use, "unusable" with something of none, or one of the reasons for that
            (`whyrec.llm.model.REASONS`); "error" not answered.
        repaired: True: only repairs (turn > 0); False: only first questions.
        cached: True: answered by the cache or by the flight of an identical call; False: by the model.
        slower: at least so many seconds on the wire.
        dearer: at least so many US dollars.
        label: what people said of it (`whyrec.trace.labels.FILTERS`): "good", "bad", "note", "any" or "none".
        text: words that all stand in the call's texts; "quoted words" stand there one after the other, word* begins
            a word.
    """

    user: str = ""
    item: str = ""
    example: str = ""
    graph: str = ""
    node: str = ""
    prompt: str = ""
    version: str = ""
    model: str = ""
    status: str = ""
    repaired: bool | None = None
    cached: bool | None = None
    slower: float | None = None
    dearer: float | None = None
    label: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A call without its texts; the columns are those of docs/runs.md."""

    id: int
    at: float
    kind: str
    example: str
    user: str
    item: str
    split: str
    graph: str
    node: str
    prompt: str
    prompt_digest: str
    turn: int
    retry: int
    sample: int
    model: str
    finish: str
    attempts: int
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    cost: float | None
    queue_s: float
    service_s: float
    cache: str
    error_kind: str
    error: str
    unreadable: str
    verdict: str | None

    @property
    def status(self) -> str:
        """ "ok", "repair", "cached", why the answer is of no use, or the kind of the error, for a list."""
        if self.error_kind or self.unreadable:
            return self.error_kind or self.verdict or "unusable"
        return "repair" if self.turn else "ok" if self.cache == "miss" else "cached"


_NAMES = tuple(f.name for f in fields(Line))
_COLUMNS = ",".join(f"c.{name}" for name in _NAMES)


class Calls:
    """The calls of one run. A context manager; opened read-only, so a run may be looked at while it is written.

    Args:
        run: the run.
        progress: told (done, all) while a full-text index is being built, which the first search does.

    Attributes:
        labels: what people said of the run's calls and examples.
    """

    def __init__(self, run: RunReader, *, progress: Progress | None = None) -> None:
        self.run = run
        self.labels: Labelled = Labels(run.folder.parents[1]).of_run(run.id)
        self._read = connect(run.path, read_only=True)
        self._index = TextIndex(run)
        self._progress = progress

    def find(
        self, wanted: Wanted, *, order: str = "call", descending: bool = False, limit: int = 50, offset: int = 0
    ) -> list[Line]:
        """The calls wanted, in an order of `ORDERS`, `limit` of them after the first `offset`.

        Raises:
            UnknownNameError: no such order or status; or the run knows no node or prompt of that name.
            UsageError: a search text without a word.
        """
        if order not in ORDERS:
            raise UnknownNameError("order", order, ORDERS)
        tables, where, values = self._sql(wanted)
        by = f"{ORDERS[order]} {'DESC' if descending else 'ASC'}"
        sql = f"SELECT {_COLUMNS} FROM {tables} WHERE {where} ORDER BY {by} LIMIT ? OFFSET ?"
        found = self._read.execute(sql, (*values, limit, offset)).fetchall()
        for row in found:
            self.run.check("call", dict(zip(_NAMES, row, strict=True)))
        return [Line(*row) for row in found]

    def count(self, wanted: Wanted, *, cap: int = 100_000) -> int:
        """How many calls are wanted; `cap` where there are at least so many, which is as far as is counted."""
        if wanted == Wanted():
            return int(self._read.execute("SELECT count(*) FROM call").fetchone()[0])
        tables, where, values = self._sql(wanted)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {tables} WHERE {where} LIMIT ?)"
        return int(self._read.execute(sql, (*values, cap)).fetchone()[0])

    def one(self, call: int) -> dict[str, Any]:
        """A call by its number, with its texts, as `RunReader.calls` gives it.

        Raises:
            UsageError: the run has no such call.
        """
        found = self.run.call(call)
        if found is None:
            last = self._read.execute("SELECT max(id) FROM call").fetchone()[0] or 0
            raise UsageError(f"The run {self.run.id} has no call {call}; its calls are numbered 1 to {last:,}.")
        return found

    def values(self, column: Literal["node", "prompt"]) -> list[str]:
        """Every node, or every prompt, of the run, sorted."""
        if column == "prompt":
            rows = self._read.execute("SELECT DISTINCT name FROM prompt ORDER BY name").fetchall()
            return [name for (name,) in rows]
        # a leap through the index from name to name, however many calls there are
        leap = (
            "WITH RECURSIVE t(v) AS (SELECT min(node) FROM call UNION ALL"
            " SELECT (SELECT min(node) FROM call WHERE node > t.v) FROM t WHERE t.v IS NOT NULL)"
            " SELECT v FROM t WHERE v IS NOT NULL"
        )
        return [name for (name,) in self._read.execute(leap).fetchall()]

    def near(self, wanted: Wanted) -> tuple[str, list[str]]:
        """Where nothing was found: the condition that is probably why, and what there is like it.

        Of a user, an item or an example those beside it in the index, the likest spelling first; of a graph or model
        those that the run has, where it does not have this one; ("", []) where every condition names something.
        """
        for column in _INDEXED:
            if given := getattr(wanted, column):
                return column, self._beside(column, given)
        for column in _FEW:
            given = getattr(wanted, column)
            if given and given not in (known := self._distinct(column)):
                return column, known
        return "", []

    def _beside(self, column: str, given: str) -> list[str]:
        sql = f"SELECT DISTINCT {column} FROM call WHERE {column}<>'' AND {column}"
        after = [row[0] for row in self._read.execute(f"{sql}>=? ORDER BY {column} LIMIT ?", (given, 200))]
        before = [row[0] for row in self._read.execute(f"{sql}<? ORDER BY {column} DESC LIMIT ?", (given, 200))]
        first = [name for name in after if name.startswith(given)]
        alike = difflib.get_close_matches(given, (*after, *before), n=_NEAR)
        return list(dict.fromkeys((*first, *alike, *after, *before)))[:_NEAR]

    def _distinct(self, column: str) -> list[str]:
        return [row[0] for row in self._read.execute(f"SELECT DISTINCT {column} FROM call ORDER BY {column}")]

    def close(self) -> None:
        """Close the files; the run stays open. Idempotent."""
        self._index.close()
        self._read.close()

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sql(self, wanted: Wanted) -> tuple[str, str, tuple[Any, ...]]:
        """(tables, condition, values); the search index is brought up to date and attached where text is wanted."""
        self._known(wanted)
        conditions = list(_conditions(wanted))
        if wanted.label:
            conditions.append(self.labels.condition(wanted.label))
        tables = "call c"
        if match := Query.of(wanted.text).match:
            self._index.update(self._progress)
            self._index.attach(self._read)
            conditions.append(("t.call_text MATCH ?", (match,)))
            one_of_few = any(getattr(wanted, column) for column in _INDEXED)
            first, second = ("call c", "x.call_text t") if one_of_few else ("x.call_text t", "call c")
            tables = f"{first} CROSS JOIN {second} ON c.id = t.rowid"
        where = " AND ".join(sql for sql, _ in conditions) or "1"
        return tables, where, tuple(value for _, values in conditions for value in values)

    def _known(self, wanted: Wanted) -> None:
        """A node or prompt that the run does not know is a typo, not an empty list."""
        for what, chosen, choices in (("status", wanted.status, STATUSES), ("label", wanted.label, LABELS)):
            if chosen and chosen not in choices:
                raise UnknownNameError(what, chosen, choices)
        for column in _NAMED:
            given = getattr(wanted, column)
            if given and given not in (known := self.values(column)):  # type: ignore[arg-type]
                raise UnknownNameError(f"{column} in the run {self.run.id}", given, known)


def _conditions(wanted: Wanted) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """(SQL, its values) for every field that asks for something, text aside."""
    for column in (*_INDEXED, "graph", "node", "prompt", "model"):
        given = getattr(wanted, column)
        if given:
            # the <> '' lets SQLite use the partial indexes
            yield f"c.{column}=?" + (f" AND c.{column}<>''" if column in _INDEXED else ""), (given,)
    if wanted.version:
        yield "substr(c.prompt_digest, 1, ?)=?", (len(wanted.version), wanted.version)
    if wanted.status:
        yield _STATUS[wanted.status], ()
    if wanted.repaired is not None:
        yield ("c.turn>0" if wanted.repaired else "c.turn=0"), ()
    if wanted.cached is not None:
        yield ("c.cache<>'miss'" if wanted.cached else "c.cache='miss'"), ()
    if wanted.slower is not None:
        yield "c.service_s>=?", (wanted.slower,)
    if wanted.dearer is not None:
        yield "c.cost>=?", (wanted.dearer,)
