"""The list of runs, and one run: what it is of, how far it is, where its calls and seconds went, what came out."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from graphs.engine.drawing import Drawing, of_workflow
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import RunReader
from whyrec.sqlite import connect
from whyrec.ui.charts import Area, area
from whyrec.ui.site import Site, site_of
from whyrec.ui.tally import Sum, Tally

_SHOWN = 12
_MOST_FAILED = 20_000
_PER_PAGE = 100


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


def runs(request: Request) -> Response:
    """All runs, the latest first."""
    site = site_of(request)
    found, broken = [], []
    for run_id in site.run_ids():
        try:
            found.append(_started(site, run_id))
        except (UsageError, UnknownNameError) as error:
            broken.append(f"{run_id} is unreadable: {error}")
    found.sort(reverse=True)
    at = _offset(request)
    shown = []
    for _, run_id in found[at : at + _PER_PAGE]:
        try:
            with site.run(run_id) as run:
                shown.append(seen(site, run))
        except (UsageError, UnknownNameError) as error:  # damaged further in, or just removed
            broken.append(f"{run_id} is unreadable: {error}")
    total = Sum()
    for one in shown:
        total.add(one.tally.all)
    live = any(one.live for one in shown)
    return site.page(
        request, "runs.html", runs=shown, broken=broken, live=live, total=total, count=len(found), at=at, per=_PER_PAGE
    )


def run(request: Request) -> Response:
    """One run."""
    site = site_of(request)
    with site.run(request.path_params["run"]) as found:
        one = seen(site, found)
        failed, more = _failures(found)
        results = list(islice(found.results("done"), _SHOWN))
        settings = json.loads(one.info["settings"])
        drawing, problem = _drawing(one.info["graph"])
        named = {box.name for box in drawing.boxes} if drawing else set()
        others = {node: total for node, total in one.tally.nodes.items() if node not in named}
        return site.page(
            request, "run.html", run=one, info=one.info, tally=one.tally, settings=settings, failed=failed, more=more,
            results=results, drawing=drawing, problem=problem, others=others, chart=_chart(one.tally), live=one.live,
            metrics=found.metrics()[:40],
        )  # fmt: skip


def seen(site: Site, run: RunReader) -> Seen:
    """A run as the pages show it."""
    info = run.info()
    return Seen(info, site.tallies.of(run, info["started_at"]))


def _started(site: Site, run_id: str) -> tuple[float, str]:
    with site.run(run_id) as run:
        return float(run.info()["started_at"]), run_id


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
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
