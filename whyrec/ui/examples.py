"""One example: its path on the drawn graph, every node's turn with its calls, and the states in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graphs.engine.drawing import of_workflow
from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.trace.words import Piece, compare
from whyrec.ui.shown import told
from whyrec.ui.site import link, site_of
from whyrec.workbench.path import Path, Stop


@dataclass(frozen=True)
class Change:
    """A field of the state that a node changed."""

    name: str
    before: Any
    after: Any


def opened(request: Request) -> Response:
    """The address of the example that a form asks for by user, item or key."""
    run, given = request.path_params["run"], request.query_params.get("key", "").strip()
    if not given:
        raise UsageError("Say whose example: a user, an item, or the key of an example such as test/u17.")
    return RedirectResponse(link("runs", run, "examples", given), 303)


def example(request: Request) -> Response:
    """One example's way through the graph."""
    site = site_of(request)
    with site.workplace(request.path_params["run"]) as place:
        key = place.key(request.path_params["key"])
        path = place.path(key)
        run = place.run
        graph = run.info()["graph"]
        stops = [(stop, [run.call(number) for number in stop.calls], changes(stop)) for stop in path.stops]
        return site.page(
            request, "example.html", run=run.id, path=path, stops=stops, drawing=of_workflow(graph), graph_is=graph,
            visits=_visits(path), went=_went(path), start=_start(place, key), unlike=_unlike(path),
            other=_others(run, key),
        )  # fmt: skip


def changes(stop: Stop) -> list[Change]:
    """What a node changed, field by field."""
    before = stop.step.before
    known = (
        {one.name: getattr(before, one.name) for one in dataclasses.fields(before)}
        if dataclasses.is_dataclass(before) and not isinstance(before, type)
        else {}
    )
    after = stop.step.after
    return [Change(name, known.get(name), getattr(after, name, value)) for name, value in stop.step.update.items()]


def _visits(path: Path) -> dict[str, list[int]]:
    """The steps in which each node had its turn."""
    found: dict[str, list[int]] = {}
    for stop in path.stops:
        found.setdefault(stop.step.node, []).append(stop.step.number)
    return found


def _went(path: Path) -> set[tuple[str, str]]:
    """Which way it went, from node to node."""
    by_step: dict[int, list[str]] = {}
    for stop in path.stops:
        by_step.setdefault(stop.step.number, []).append(stop.step.node)
    layers = [["__start__"], *(by_step[number] for number in sorted(by_step)), *([] if path.ended else [["__end__"]])]
    return {(a, b) for one, other in pairwise(layers) for a in one for b in other}


def _start(place: Any, key: str) -> Any:
    """The state it starts from; what kept it from being made is part of the path."""
    from graphs.workflow import MissingInput

    try:
        return place.state(key)
    except MissingInput:
        return None


def _unlike(path: Path) -> tuple[Piece, ...]:
    """What is stored and what comes out now, where the two differ."""
    if not path.differs or path.stored is None:
        return ()
    return tuple(compare(told(path.stored.payload or path.stored.reason), told(path.payload or path.ended)))


def _others(run: RunReader, key: str) -> tuple[str, str]:
    """The keys before and after, "" where there is none."""
    rows = iter(_keys(run))
    before = ""
    for one in rows:
        if one == key:
            return before, next(rows, "")
        before = one
    return "", ""


def _keys(run: RunReader) -> Iterator[str]:
    for (key,) in run._read.execute("SELECT key FROM example ORDER BY key"):
        yield key
