"""The experiments' tables with the published numbers beside ours, what the data says of each claim, and the figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from whyrec.errors import UnknownNameError
from whyrec.ui.site import Site, site_of


@dataclass(frozen=True)
class Listed:
    """A table in the list: its file's name, what it is, and how many of its claims' pairs the data supports."""

    slug: str
    title: str
    data: str
    rows: int
    verdicts: dict[str, int]


def results(request: Request) -> Response:
    """All tables and figures."""
    site = site_of(request)
    from evals import results as tables

    listed = []
    for path in _tables(site).values():
        one = tables.read(path)
        counts: dict[str, int] = {}
        for verdict in one.verdicts:
            counts[verdict.verdict] = counts.get(verdict.verdict, 0) + 1
        listed.append(Listed(path.stem, one.title, one.data.name, len(one.rows), counts))
    return site.page(request, "results.html", tables=listed, figures=list(_figures(site)), docs=str(site.docs))


def table(request: Request) -> Response:
    """One table."""
    site, slug = site_of(request), request.path_params["slug"]
    from evals import results as tables
    from evals.output.table import footing, grid
    from evals.statistics.verdicts import summary_of_claim

    found = _tables(site)
    if slug not in found:
        raise UnknownNameError("table", slug, found)
    one = tables.read(found[slug])
    judged = {claim: [v for v in one.verdicts if v.claim == claim] for claim in one.claims}
    claims = [
        (claim, says, summary_of_claim(judged[claim]), judged[claim])
        for claim, says in one.claims.items()
        if judged[claim]
    ]
    figures = [name for name in _figures(site) if name.startswith(one.experiment)]
    return site.page(
        request, "table.html", table=one, grid=grid(one), footing=footing(one), claims=claims, figures=figures
    )


def figure(request: Request) -> Response:
    """A figure by its name in docs/img; names of other files are unknown."""
    site, name = site_of(request), request.path_params["name"]
    found = _figures(site)
    if name not in found:
        raise UnknownNameError("figure", name, found)
    return Response(found[name].read_bytes(), media_type="image/png")


def _tables(site: Site) -> dict[str, Path]:
    return {path.stem: path for path in sorted((site.docs / "results").glob("*.json"))}


def _figures(site: Site) -> dict[str, Path]:
    found = sorted((site.docs / "img").glob("*.png"))
    return {path.stem: path for path in found if not path.stem.startswith("ui-")}
