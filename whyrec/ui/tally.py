"""A run in numbers, kept up to date: calls are added up once, by node and by time, later only those that came since.

A million calls are added up in a second or two. A page does not wait for that: it adds what it can in a quarter of a
second, shows what it has, and asks again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from whyrec.llm.model import USABLE
from whyrec.runs import RunReader
from whyrec.runs.reading import UNMETERED
from whyrec.sqlite import connect

_SLICE = 20_000  # calls per query
_PATIENCE_S = 0.25
_MOST_BINS = 240

_SUMS = (
    f"count(*), total(error_kind<>''), total(verdict='{USABLE}'), total(unreadable<>''), total(turn>0),"
    f" total(error_kind='' AND cache<>'miss'), total(tokens_in), total(tokens_out), total({UNMETERED}), total(cost),"
    " total(cost IS NULL), total(service_s), max(CAST(service_s AS REAL))"
)
_WHY = "SELECT coalesce(verdict, 'unreadable'), count(*) FROM call WHERE id>? AND id<=? AND unreadable<>'' GROUP BY 1"


@dataclass
class Sum:
    """Calls added up. Seconds are on the wire; `longest` is the longest call.

    Tokens and cost are of the calls of which they are known: not of the `unmetered` and the `unpriced` ones.
    """

    calls: int = 0
    errors: int = 0
    usable: int = 0
    unreadable: int = 0
    repairs: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unmetered: int = 0
    cost: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def add(self, other: Sum) -> None:
        """Add another sum to this one."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, max(mine, theirs) if one.name == "longest" else mine + theirs)

    @property
    def sent(self) -> int:
        """Calls that reached a model."""
        return self.calls - self.cached

    @property
    def mean(self) -> float:
        """Seconds on the wire of a call that was sent."""
        return self.seconds / self.sent if self.sent else 0.0


@dataclass
class Tally:
    """What is known of a run.

    Attributes:
        done, failed: examples.
        wanted: how many examples the last start was to do, those done before among them; 0 where it did not say.
        nodes: by the node that asked.
        reasons: why answers were of no use -> how many.
        bins: calls by time; each bin is `width` seconds long, its key times `width` is when it begins.
        upto, last: the last call added up, and the last there is.
    """

    done: int = 0
    failed: int = 0
    wanted: int = 0
    nodes: dict[str, Sum] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    bins: dict[int, int] = field(default_factory=dict)
    width: float = 0.125
    upto: int = 0
    last: int = 0

    @property
    def all(self) -> Sum:
        """All nodes together."""
        total = Sum()
        for one in self.nodes.values():
            total.add(one)
        return total

    @property
    def why(self) -> list[tuple[str, int]]:
        """Why answers were of no use, the commonest first."""
        return sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))

    @property
    def share(self) -> float | None:
        """Which part of the examples asked for is settled; None where all are, or nothing was said of them."""
        settled = self.done + self.failed
        return settled / self.wanted if settled < self.wanted else None

    @property
    def complete(self) -> bool:
        """Whether every call is added up."""
        return self.upto >= self.last


class Tallies:
    """The tallies of a home's runs."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, float], Tally] = {}
        self._lock = threading.Lock()

    def of(self, run: RunReader, started_at: float, *, patience: float = _PATIENCE_S) -> Tally:
        """The run's tally, brought up to date as far as patience reaches."""
        with self._lock:
            tally = self._known.setdefault((run.id, started_at), Tally())
            connection = connect(run.path, read_only=True)
            try:
                statuses = dict(connection.execute("SELECT status,count(*) FROM example GROUP BY status").fetchall())
                tally.done, tally.failed = statuses.get("done", 0), statuses.get("failed", 0)
                asked = connection.execute("SELECT value FROM metric WHERE name='examples' AND labels='{}'").fetchone()
                run.check("metric", {"value": asked[0]} if asked else {})
                tally.wanted = int(asked[0]) if asked else 0
                tally.last = int(connection.execute("SELECT coalesce(max(id), 0) FROM call").fetchone()[0])
                end = time.monotonic() + patience
                while not tally.complete:
                    until = min(tally.upto + _SLICE, tally.last)
                    sql = f"SELECT node, CAST(at/? AS INTEGER), {_SUMS} FROM call WHERE id>? AND id<=? GROUP BY 1,2"
                    for node, when, *sums in connection.execute(sql, (tally.width, tally.upto, until)).fetchall():
                        found = _sum(sums)
                        tally.nodes.setdefault(node, Sum()).add(found)
                        tally.bins[when] = tally.bins.get(when, 0) + found.calls
                    for reason, times in connection.execute(_WHY, (tally.upto, until)).fetchall():
                        tally.reasons[reason] = tally.reasons.get(reason, 0) + times
                    tally.upto = until
                    _widen(tally)
                    if time.monotonic() > end:
                        break
            except OverflowError:
                raise run.damaged("its calls add up to no number") from None
            finally:
                connection.close()
            return tally


def _sum(row: Sequence[Any]) -> Sum:
    found = Sum()
    for one, value in zip(fields(Sum), row, strict=True):  # `_SUMS` has their order
        setattr(found, one.name, type(getattr(found, one.name))(value))
    return found


def _widen(tally: Tally) -> None:
    """Make bins twice as wide while there would be too many from the first to the last."""
    while tally.bins and max(tally.bins) - min(tally.bins) >= _MOST_BINS:
        wider: dict[int, int] = {}
        for when, calls in tally.bins.items():
            wider[when // 2] = wider.get(when // 2, 0) + calls
        tally.bins, tally.width = wider, tally.width * 2
