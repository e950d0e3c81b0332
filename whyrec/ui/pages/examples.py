"""One example: what it came to, its path on the drawn graph, every node's turn with its calls, the states in between.

Where its path cannot be made again (its graph is a plug-in's that is not here, its data are others now), what the run
has stored of it is shown all the same: the result and the calls.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graphs.engine.drawing import of_workflow
from whyrec.errors import UnknownNameError, UsageError
from whyrec.redaction import KNOWN
from whyrec.runs import Result, RunReader
from whyrec.trace.labels import Label, Labels, whoami
from whyrec.trace.words import Piece, compare
from whyrec.ui.pages.known import around
from whyrec.ui.shapes import blocks
from whyrec.ui.shown import told
from whyrec.ui.site import Site, link, site_of
from whyrec.workbench.labels import example_key
from whyrec.workbench.path import Path, Stop

_MOST_CALLS = 200


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
    """One example's way through the graph; without it what the run has stored, where the way cannot be made again."""
    run_id, name = request.path_params["run"], request.path_params["key"]
    try:
        return _way(request)
    except (UnknownNameError, UsageError) as error:
        with site_of(request).run(run_id) as run:
            try:
                stored = run.result(example_key(run, name))
            except UnknownNameError:
                raise error from None
            assert stored is not None
            return _kept(request, run, stored, str(error))


def download(request: Request) -> Response:
    """A stored result as a JSON file.

    Raises:
        UnknownNameError: the run has stored no result of this example.
    """
    key = request.query_params.get("key", "")
    with site_of(request).run(request.path_params["run"]) as run:
        stored = run.result(key)
        if stored is None or stored.payload is None:
            raise UnknownNameError("result", key, list(_keys(run, most=10)), hint="These are some of them.")
        text = KNOWN.cut(json.dumps(stored.payload, ensure_ascii=False, indent=1))
    name = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in key)[:80]
    headers = {"content-disposition": f'attachment; filename="{name}.json"'}
    return Response(text + "\n", media_type="application/json", headers=headers)


def _way(request: Request) -> Response:
    site = site_of(request)
    with site.workplace(request.path_params["run"]) as place:
        key = place.key(request.path_params["key"])
        path = place.path(key)
        run = place.run
        graph = run.info()["graph"]
        stops = [(stop, [run.call(number) for number in stop.calls], changes(stop)) for stop in path.stops]
        payload = path.stored.payload if path.stored else path.payload
        return site.page(
            request, "example.html", run=run.id, path=path, stops=stops, drawing=of_workflow(graph), graph_is=graph,
            visits=_visits(path), went=_went(path), start=_start(place, key), unlike=_unlike(path),
            other=_others(run, key), payload=payload, shown=blocks(payload or {}, around(request, site, place.data)),
            page=link("runs", run.id, "examples", key), download=_download(run, path.stored),
            label=_label(site, run, key), whoami=whoami(),
        )  # fmt: skip


def _kept(request: Request, run: RunReader, stored: Result, why: str) -> Response:
    """What the run has stored of an example whose path cannot be made again."""
    site, payload = site_of(request), stored.payload
    calls = list(islice(run.calls(example=stored.key), _MOST_CALLS))
    return site.page(
        request, "example_kept.html", run=run.id, key=stored.key, graph_is=run.info()["graph"], why=why, calls=calls,
        stored=stored, payload=payload, shown=blocks(payload or {}, around(request, site)), most=_MOST_CALLS,
        page=link("runs", run.id, "examples", stored.key), download=_download(run, stored),
        other=_others(run, stored.key), label=_label(site, run, stored.key), whoami=whoami(),
    )  # fmt: skip


def _label(site: Site, run: RunReader, key: str) -> Label | None:
    return Labels(site.settings.home).of_run(run.id).examples.get(key)


def _download(run: RunReader, stored: Result | None) -> str:
    """Where a stored result is downloaded, "" where there is none."""
    return link("runs", run.id, "result", key=stored.key) if stored and stored.payload is not None else ""


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


def _keys(run: RunReader, *, most: int = -1) -> Iterator[str]:
    for (key,) in run._read.execute("SELECT key FROM example ORDER BY key LIMIT ?", (most,)):
        yield key
