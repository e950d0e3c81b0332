"""Two calls, one user in two runs, or two runs, word by word and number by number."""

from __future__ import annotations

import json
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import Result, RunReader
from whyrec.trace.words import Piece, compare
from whyrec.ui.pages.run_list import to_pick
from whyrec.ui.pages.runs import seen
from whyrec.ui.shown import told
from whyrec.ui.site import Site, link, site_of
from whyrec.workbench.difference import calls_of, difference

if TYPE_CHECKING:
    from whyrec.workbench.compare import Comparison

_MOST = 30
_LOOKED_AT = 20_000


@dataclass(frozen=True)
class Differing:
    """An example that came to something else in two runs."""

    key: str
    pieces: tuple[Piece, ...]


def diff(request: Request) -> Response:
    """Compare what `a` and `b` name; two ticked boxes (`pick`) are such two."""
    site, given = site_of(request), request.query_params
    picked = given.getlist("pick")
    if picked:
        if len(picked) != 2:
            raise UsageError(f"Two are compared at a time; {len(picked)} were ticked. Go back and tick two.")
        return RedirectResponse(link("diff", a=picked[0], b=picked[1]), 303)
    a, b = given.get("a", "").strip(), given.get("b", "").strip()
    if not a or not b:
        return site.page(request, "diff.html", a=a, b=b, pairs=None, groups=to_pick(site))
    if _is_run(a) and _is_run(b):
        return _runs(request, a, b)
    pairs = difference(calls_of(site.settings.home, a), calls_of(site.settings.home, b))
    came = [tuple(compare(*map(_told, results))) for results in pairs[-1].came]
    return site.page(request, "diff.html", a=a, b=b, pairs=pairs, came=came, groups={})


def _is_run(address: str) -> bool:
    return "/" not in address and not address.rpartition(":")[2].isdecimal()


def _told(result: Result | None) -> str:
    return "" if result is None else told(result.payload) if result.payload is not None else result.reason


def _runs(request: Request, a: str, b: str) -> Response:
    """Two runs: settings, numbers, and the examples that came to something else."""
    site = site_of(request)
    with site.run(a) as one, site.run(b) as other:
        left, right = seen(site, one), seen(site, other)
        settings = [_flat(json.loads(side.info["settings"])) for side in (left, right)]
        names = dict.fromkeys((*settings[0], *settings[1]))
        rows = [(name, *(side.get(name, "") for side in settings)) for name in names]
        differing, same, alone = _examples(one, other)
        tested, refused = _tested(site, one, other) if request.query_params.get("test") else (None, "")
        return site.page(
            request, "diff_runs.html", a=a, b=b, left=left, right=right,
            settings=[row for row in rows if row[1] != row[2]], differing=differing[:_MOST], n_differing=len(differing),
            same=same, alone=alone, tested=tested, refused=refused,
        )  # fmt: skip


def _tested(site: Site, one: RunReader, other: RunReader) -> tuple[Comparison | None, str]:
    """Whether the runs differ, measure by measure, or why that cannot be said."""
    from whyrec.workbench.recorded import recorded_pair

    try:
        return recorded_pair(one, other, site.settings), ""
    except (UsageError, UnknownNameError) as error:
        return None, str(error)


def _flat(settings: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, given in settings.items():
        if isinstance(given, dict):
            found |= _flat(given, f"{before}{name} · ")
        else:
            found[before + name] = str(given)
    return found


def _examples(one: RunReader, other: RunReader) -> tuple[list[Differing], int, list[int]]:
    """Both runs in key order: those that differ, how many do not, how many are only in one."""
    first = ((result.key, 0, result) for result in one.results())
    second = ((result.key, 1, result) for result in other.results())
    differing: list[Differing] = []
    same, alone = 0, [0, 0]
    keys = groupby(merge(first, second, key=lambda row: row[:2]), key=lambda row: row[0])
    for key, group in islice(keys, _LOOKED_AT):
        found = {side: result for _, side, result in group}
        if len(found) == 1:
            alone[next(iter(found))] += 1
        elif (found[0].status, found[0].payload) == (found[1].status, found[1].payload):
            same += 1
        else:
            pieces = compare(_told(found[0]), _told(found[1])) if len(differing) < _MOST else []
            differing.append(Differing(key, tuple(pieces)))
    return differing, same, alone
