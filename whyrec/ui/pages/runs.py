"""One run: what it is of, how far it is, where its calls and seconds went, what came out."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from graphs.engine.drawing import Drawing, of_workflow
from whyrec.errors import UnknownNameError
from whyrec.runs import RunReader
from whyrec.sqlite import connect
from whyrec.ui.pages.worth import worth_of
from whyrec.ui.pictures.bars import by_node
from whyrec.ui.pictures.charts import Area, area
from whyrec.ui.shapes import headline
from whyrec.ui.site import Site, site_of
from whyrec.ui.tally import Tally

_SHOWN = 12
_MOST_FAILED = 20_000


@dataclass(frozen=True)
class Seen:
    """A run as the pages show it: its row, its tally, and how it stands."""

    info: dict[str, Any]
    tally: Tally

    @property
    def state(self) -> str:
        """The stored state; "left" where it says running and its process is gone."""
        state = str(self.info["state"])
        return "left" if state == "running" and not _alive(self.info) else state

    @property
    def live(self) -> bool:
        """Whether there will be more to see soon."""
        return self.state == "running" or not self.tally.complete

    @property
    def seconds(self) -> float | None:
        """From its first start to its last end; None while it is going on."""
        return self.info["ended_at"] - self.info["started_at"] if self.info["ended_at"] else None


def run(request: Request) -> Response:
    """One run."""
    site = site_of(request)
    with site.run(request.path_params["run"]) as found:
        one = seen(site, found)
        failed, more = _failures(found)
        at = offset_of(request, "results")
        results = [(key, headline(_payload(found, key))) for key in _done(found, at)]
        settings = json.loads(one.info["settings"])
        drawing, problem = _drawing(one.info["graph"])
        named = {box.name for box in drawing.boxes} if drawing else set()
        others = {node: total for node, total in one.tally.nodes.items() if node not in named}
        measures, unjudged = worth_of(site, found, compute="worth" in request.query_params)
        return site.page(
            request, "run.html", run=one, info=one.info, tally=one.tally, settings=settings, failed=failed, more=more,
            results=results, at=at, per=_SHOWN, drawing=drawing, problem=problem, others=others,
            chart=_chart(one.tally), bars=by_node(one.tally.nodes), measures=measures,
            unjudged=unjudged, live=one.live, metrics=found.metrics()[:40],
        )  # fmt: skip


def seen(site: Site, run: RunReader) -> Seen:
    """A run as the pages show it."""
    info = run.info()
    return Seen(info, site.tallies.of(run, info["started_at"]))


def _done(run: RunReader, at: int) -> list[str]:
    """The keys of some examples that are done, in order."""
    rows = run._read.execute(
        "SELECT key FROM example WHERE status='done' ORDER BY key LIMIT ? OFFSET ?", (_SHOWN, at)
    ).fetchall()
    return [str(key) for (key,) in rows]


def _payload(run: RunReader, key: str) -> Mapping[str, Any] | None:
    found = run.result(key)
    return found.payload if found else None


def offset_of(request: Request, name: str = "offset") -> int:
    """From which row on a list is shown; 0 for what is no number."""
    text = request.query_params.get(name, "0")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _failures(run: RunReader) -> tuple[list[tuple[str, int, str]], bool]:
    """(reason, how often, an example) from the most frequent on, and whether there were too many to count."""
    connection = connect(run.path, read_only=True)
    try:
        rows = connection.execute(
            "SELECT reason, key FROM example WHERE status='failed' LIMIT ?", (_MOST_FAILED,)
        ).fetchall()
    finally:
        connection.close()
    times = Counter(reason for reason, _ in rows)
    some = dict(reversed(rows))
    return [(reason, n, some[reason]) for reason, n in times.most_common(_SHOWN)], len(rows) == _MOST_FAILED


def _drawing(graph: str) -> tuple[Drawing | None, str]:
    try:
        return of_workflow(graph), ""
    except UnknownNameError as error:
        return None, str(error)


def _chart(tally: Tally) -> Area | None:
    """Calls per second over the run's time."""
    if len(tally.bins) < 2:
        return None
    first, last = min(tally.bins), max(tally.bins)
    rates = [tally.bins.get(when, 0) / tally.width for when in range(first, last + 1)]
    return area(rates, seconds=(last - first + 1) * tally.width)


def _alive(info: dict[str, Any]) -> bool:
    """Whether the process that wrote last is there; believed of other machines."""
    if info["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(info["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
