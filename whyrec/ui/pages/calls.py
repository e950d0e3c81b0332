"""The calls of a run: searched as `whyrec trace ls` searches, with the filters as the address's query, paged."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.trace import ORDERS, STATUSES, Calls, Line, TextIndex, Wanted
from whyrec.trace.labels import FILTERS as LABELS
from whyrec.ui.site import Site, link, site_of

PER_PAGE = 50
_AT_ONCE = 20_000  # so many calls are indexed while the page waits
_COUNTED = 10_000
_TEXTS = ("text", "user", "item", "example", "graph", "node", "prompt", "version", "model")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "status": STATUSES,
    "label": LABELS,
    "repaired": ("yes", "no"),
    "cached": ("yes", "no"),
}
_ORDER = ("sort", "desc")
_NUMBERS = ("slower", "dearer")


def calls(request: Request) -> Response:
    """The calls that meet all conditions of the address."""
    site, given = site_of(request), request.query_params
    began = time.perf_counter()
    with site.run(request.path_params["run"]) as run:
        wanted = read_wanted(given)
        order, descending = given.get("sort", "call"), given.get("desc", "") == "1"
        offset = _whole(given.get("offset", "0"))
        if wanted.text and _build(site, run):
            return site.page(
                request, "building.html", run=run.id, progress=site.building.get(run.id, (0, 0)), live=True
            )
        with Calls(run) as found:
            lines = found.find(wanted, order=order, descending=descending, limit=PER_PAGE, offset=offset)
            total = found.count(wanted, cap=_COUNTED)
            column, near = ("", []) if lines else found.near(wanted)
            labelled = found.labels
            known = {"node": found.values("node"), "prompt": found.values("prompt")}
        rows = [(line, _answer(run, line), labelled.of(line.id, line.example)) for line in lines]
        query = {name: value for name, value in given.items() if value and name != "offset"}
        return site.page(
            request, "calls.html", run=run.id, rows=rows, total=total, capped=total == _COUNTED, offset=offset,
            per=PER_PAGE, wanted=wanted, given=given, query=query, orders=list(ORDERS), sort=order, desc=descending,
            known=known, near=near, column=column, seconds=time.perf_counter() - began, choices=_CHOICES,
            saved=link("runs", run.id, "calls.jsonl", **{name: query[name] for name in query if name not in _ORDER}),
            any_label=bool(labelled.calls or labelled.examples),
            narrowed=wanted != Wanted(), link_with=lambda **more: link("runs", run.id, "calls", **{**query, **more}),
        )  # fmt: skip


def read_wanted(given: Mapping[str, str]) -> Wanted:
    """The conditions of an address.

    Raises:
        UsageError: a choice there is not, or a number that is none.
    """
    told: dict[str, Any] = {name: given.get(name, "").strip() for name in _TEXTS}
    for name, choices in _CHOICES.items():
        value = given.get(name, "")
        if value and value not in choices:
            raise UsageError(f"{name}={value!r} is none of {', '.join(choices)}.")
        told[name] = value if name in ("status", "label") else {"yes": True, "no": False}.get(value)
    for name in _NUMBERS:
        told[name] = _number(name, given.get(name, ""))
    return Wanted(**told)


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{name} is a number, not {text!r}.") from None
    if not 0 <= value < float("inf"):
        raise UsageError(f"{name} is 0 or more, not {text}.")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise UsageError(f"offset is a whole number, not {text!r}.")
    return int(text)


def _answer(run: RunReader, line: Line) -> str:
    call = run.call(line.id)
    assert call is not None
    return str(call["error"] or call["answer"])


def _build(site: Site, run: RunReader) -> bool:
    """Whether the search index is being built, which a thread does where there is much to do."""
    if run.id in site.building:
        return True
    if TextIndex(run).missing() <= _AT_ONCE:
        return False
    site.building[run.id] = (0, 0)

    def build() -> None:
        def progress(done: int, whole: int) -> None:
            site.building[run.id] = (done, whole)

        try:
            with site.run(run.id) as again:
                TextIndex(again).update(progress)
        finally:
            site.building.pop(run.id, None)

    threading.Thread(target=build, name=f"whyrec index of {run.id}", daemon=True).start()
    return True
