"""The list of runs: narrowed and sorted as the address says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from whyrec.errors import UnknownNameError, UsageError
from whyrec.ui.pages.runs import Seen, offset_of, seen
from whyrec.ui.pages.worth import worth_of
from whyrec.ui.site import Measure, Site, link, site_of
from whyrec.ui.tally import Sum

_PER_PAGE = 100
_MOST_SORTED = 400  # runs whose calls are added up to sort by them
_MOST_PICKED = 300
_BY_NAME = ("run", "state")  # sorted from a to z at first, all else from the largest down
_CHOICES = ("graph", "data", "model", "state")

Row = tuple[Seen, tuple[Measure, ...]]

_BY_INFO: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "started": lambda info: info["started_at"],
    "run": lambda info: (info["graph"], info["data"], info["model"]),
    "state": lambda info: info["state"],
    "took": lambda info: (info["ended_at"] or info["started_at"]) - info["started_at"],
}
_BY_CALLS: Mapping[str, Callable[[Row], Any]] = {
    "examples": lambda row: row[0].tally.done + row[0].tally.failed,
    "calls": lambda row: row[0].tally.all.calls,
    "tokens": lambda row: row[0].tally.all.tokens_in + row[0].tally.all.tokens_out,
    "cost": lambda row: row[0].tally.all.cost,
    "cached": lambda row: row[0].tally.all.cached / max(row[0].tally.all.calls, 1),
    "errors": lambda row: (row[0].tally.all.errors, row[0].tally.all.unreadable),
    "worth": lambda row: row[1][0].mean if row[1] else float("-inf"),
}
SORTS = (*_BY_INFO, *_BY_CALLS)


def runs(request: Request) -> Response:
    """The runs that meet the address, the latest first where it does not say otherwise.

    Raises:
        UnknownNameError: there is no such column to sort by.
    """
    site, given = site_of(request), request.query_params
    sort = given.get("sort", "") or "started"
    if sort not in SORTS:
        raise UnknownNameError("column to sort by", sort, SORTS)
    descending = given.get("desc", "0" if sort in _BY_NAME else "1") == "1"
    every, broken = _every(site)
    found = [info for info in every if _meets(info, given)]
    found.sort(key=_BY_INFO.get(sort, _BY_INFO["started"]), reverse=descending if sort in _BY_INFO else True)
    at = offset_of(request)
    if sort in _BY_CALLS:
        rows = _rows(site, found[:_MOST_SORTED], broken)
        rows.sort(key=_BY_CALLS[sort], reverse=descending)
        rows = rows[at : at + _PER_PAGE]
    else:
        rows = _rows(site, found[at : at + _PER_PAGE], broken)
    total = Sum()
    for one, _ in rows:
        total.add(one.tally.all)
    query = {name: value for name, value in given.items() if value and name != "offset"}
    return site.page(
        request, "runs.html", rows=rows, broken=broken, live=any(one.live for one, _ in rows), total=total,
        count=len(found), every=len(every), at=at, per=_PER_PAGE, given=given, sort=sort, desc=descending, sorts=SORTS,
        choices={name: sorted({str(info[name]) for info in every}) for name in _CHOICES},
        some=_MOST_SORTED if sort in _BY_CALLS and len(found) > _MOST_SORTED else 0,
        link_with=lambda **more: link("", **{**query, **more}),
        sorted_by=lambda name: link("", **{**query, "sort": name, "desc": _other(name, sort, descending=descending)}),
    )  # fmt: skip


def to_pick(site: Site) -> dict[str, list[dict[str, Any]]]:
    """The latest runs by what they are of: those of one group can be compared."""
    groups: dict[str, list[dict[str, Any]]] = {}
    every, _ = _every(site)
    for info in sorted(every, key=_BY_INFO["started"], reverse=True)[:_MOST_PICKED]:
        groups.setdefault(f"{info['graph']} · {info['data']}", []).append(info)
    return groups


def _every(site: Site) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of all runs that can be read, and a sentence for each that cannot."""
    found, broken = [], []
    for run_id in site.run_ids():
        try:
            with site.run(run_id) as run:
                found.append(run.info())
        except (UsageError, UnknownNameError) as error:
            broken.append(f"{run_id} is unreadable: {error}")
    return found, broken


def _meets(info: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    if any(given.get(name) and str(info[name]) != given[name] for name in _CHOICES):
        return False
    said = " ".join(str(info[name]) for name in ("id", *_CHOICES)).lower()
    return all(word in said for word in given.get("text", "").lower().split())


def _rows(site: Site, found: list[dict[str, Any]], broken: list[str]) -> list[Row]:
    """Runs with their calls added up; one that cannot be read further in, or was just removed, is told."""
    rows: list[Row] = []
    for info in found:
        try:
            with site.run(info["id"]) as run:
                rows.append((seen(site, run), worth_of(site, run, compute=False)[0]))
        except (UsageError, UnknownNameError) as error:
            broken.append(f"{info['id']} is unreadable: {error}")
    return rows


def _other(name: str, sort: str, *, descending: bool) -> str:
    """The way a column is sorted when its head is clicked: the largest first, then the other way around."""
    return ("0" if descending else "1") if name == sort else ("0" if name in _BY_NAME else "1")
