"""Tables with the published numbers beside ours, what the data says of each claim, and figures.

First what was computed in this home, then the project's own: the same page, other addresses, and said so on each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from whyrec.errors import UnknownNameError, UsageError
from whyrec.ui.site import Site, link, site_of

Whose = Literal["own", "project"]


@dataclass(frozen=True)
class Listed:
    """A table in the list: where its page is, what it is, and what the data says of its claims' pairs.

    `trouble` says why one cannot be read; its row then has nothing else.
    """

    address: str
    title: str
    data: str = ""
    rows: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Told:
    """A dial or a mechanism of this home in the list: its name, what it shows in sentences, and its page's file."""

    name: str
    says: tuple[str, ...]
    page: Path


@dataclass(frozen=True)
class Figure:
    """A picture: its name, its address here and its file."""

    name: str
    address: str
    path: Path


def results(request: Request) -> Response:
    """All tables and figures, those of this home first, the newest of them at the top."""
    site = site_of(request)
    own, projects = _tables(site, "own"), _tables(site, "project")
    return site.page(
        request,
        "results.html",
        own=[_listed(name, path, "own") for name, path in own.items()],
        others=list(_dials_and_mechanisms(site)),
        own_figures=_figures(site, "own"),
        projects=[_listed(name, path, "project") for name, path in projects.items()],
        projects_figures=_figures(site, "project"),
        folder=str(site.settings.home / "results"),
    )


def own(request: Request) -> Response:
    """One table of this home."""
    return _table(request, "own")


def projects(request: Request) -> Response:
    """One of the project's own tables."""
    return _table(request, "project")


def own_figure(request: Request) -> Response:
    """A figure beside a table of this home; names of other files are unknown."""
    return _figure(request, "own")


def projects_figure(request: Request) -> Response:
    """A figure in docs/img; names of other files are unknown."""
    return _figure(request, "project")


def _table(request: Request, whose: Whose) -> Response:
    site, name = site_of(request), request.path_params["slug"]
    from evals import results as tables
    from evals.output.table import footing, grid
    from evals.statistics.verdicts import summary_of_claim

    found = _tables(site, whose)
    if name not in found:
        raise UnknownNameError("table", name, found)
    one, tested = tables.read(found[name]), found[name].parent.name != tables.PLUMBING
    judged = {claim: [v for v in one.verdicts if v.claim == claim] for claim in one.claims}
    claims = [
        (claim, says, summary_of_claim(judged[claim]), judged[claim])
        for claim, says in one.claims.items()
        if judged[claim]
    ]
    beside = f"/{name}/" if whose == "own" else f"/{found[name].stem}."
    figures = [figure for figure in _figures(site, whose) if beside in str(figure.path)]
    return site.page(
        request,
        "table.html",
        table=one,
        grid=grid(one, tested=tested),
        footing=footing(one, tested=tested),
        claims=claims,
        figures=figures,
        own=whose == "own",
        file=str(found[name]),
    )


def _figure(request: Request, whose: Whose) -> Response:
    found = {figure.address: figure.path for figure in _figures(site_of(request), whose)}
    parts = request.path_params
    address = link("figures", parts.get("table", "project"), parts["name"])
    if address not in found:
        raise UnknownNameError("figure", parts["name"], [path.stem for path in found.values()])
    return Response(found[address].read_bytes(), media_type="image/png")


def _tables(site: Site, whose: Whose) -> dict[str, Path]:
    """Files of tables by the last part of their address: the folder's name in a home, else the file's.

    Of the project's tables, those of evidence come first and the plumbing last, both named so.
    """
    from evals.results import EVIDENCE, PLUMBING, own_tables

    if whose == "project":
        found: dict[str, Path] = {}
        for inside in (EVIDENCE, "", PLUMBING):
            mark = f"{inside}." if inside else ""
            found |= {f"{mark}{path.stem}": path for path in sorted((site.projects / inside).glob("*.json"))}
        return found
    newest = sorted(own_tables(site.settings.home), key=lambda path: path.stat().st_mtime, reverse=True)
    return {path.parent.name: path for path in newest}


def _listed(name: str, path: Path, whose: Whose) -> Listed:
    from evals import results as tables

    address = link("results", name) if whose == "own" else link("results", "project", name)
    try:
        one = tables.read(path)
    except UsageError as error:
        return Listed(address, name, trouble=str(error))
    counts: dict[str, int] = dict(Counter(str(verdict.verdict) for verdict in one.verdicts))
    return Listed(address, one.title, one.data.name, len(one.rows), counts)


def _dials_and_mechanisms(site: Site) -> Iterator[Told]:
    """What dials and mechanisms of this home show; one that cannot be read says so in its place."""
    from evals.dials import page as dials_page
    from evals.dials import run as dials
    from evals.mechanisms import page as mechanisms_page
    from evals.mechanisms import run as mechanisms

    home = site.settings.home
    for folder in (*dials.own_folders(home), *mechanisms.own_folders(home)):
        for file in sorted(folder.glob("*.json")):
            try:
                if folder in dials.own_folders(home):
                    says = [dials_page.verdict(dials.read(file))]
                else:
                    found = mechanisms.read(file)
                    says = [mechanisms_page.told(found, block, pair) for block in found.blocks for pair in block.pairs]
            except UsageError as error:
                says = [str(error)]
            yield Told(folder.name, tuple(said.replace("**", "") for said in says), folder / f"{folder.name}.md")


def _figures(site: Site, whose: Whose) -> list[Figure]:
    if whose == "own":
        found = sorted((site.settings.home / "results").glob("*/*.png"))
        return [Figure(path.stem, link("figures", path.parent.name, path.stem), path) for path in found]
    found = sorted((site.projects.parent / "img").glob("*.png"))
    return [Figure(p.stem, link("figures", "project", p.stem), p) for p in found if not p.stem.startswith("ui-")]
