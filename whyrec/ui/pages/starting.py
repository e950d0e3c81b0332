"""A new run: its form, what it would take, starting it, watching it and stopping it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from whyrec.errors import UnknownNameError, UsageError
from whyrec.ui.site import Site, link, site_of
from whyrec.ui.started import Started, read_wish

_MODELS = ("extractive", "simulated:1", "simulated:0.5")
_USERS = "20"


def new(request: Request) -> Response:
    """The form, with what the address says filled in."""
    return _form(request, {"users": _USERS, **dict(request.query_params)})


def estimated(request: Request, form: Mapping[str, str]) -> Response:
    """What it would take; the form again, with a budget to agree to. Nothing is started."""
    from graphs.workflow import names

    site = site_of(request)
    try:
        wish = read_wish(form, names())
        found = site.processes.estimate(wish)
    except (UsageError, UnknownNameError) as error:
        return _form(request, form, said=str(error))
    return _form(request, {**_budget(found), **form}, found=found)


def start(request: Request, form: Mapping[str, str]) -> Response:
    """Start it, and show it."""
    from graphs.workflow import names

    try:
        one = site_of(request).processes.start(read_wish(form, names()))
    except (UsageError, UnknownNameError) as error:
        return _form(request, form, said=str(error))
    return RedirectResponse(link("started", one.name), 303)


def started(request: Request) -> Response:
    """One run that was started here: how it stands, what it says, and its page once it has one."""
    site = site_of(request)
    one = site.processes.one(request.path_params["name"])
    alive = site.processes.alive(one)
    return site.page(
        request, "started.html", one=one, alive=alive, live=alive, output=site.processes.output(one),
        run=_run_of(site, one),
    )  # fmt: skip


def stop(request: Request, form: Mapping[str, str]) -> Response:
    """Stop it in order; it can go on later."""
    site = site_of(request)
    one = site.processes.one(request.path_params["name"])
    site.processes.stop(one)
    return RedirectResponse(link("started", one.name), 303)


def _form(
    request: Request, form: Mapping[str, str], *, said: str = "", found: Mapping[str, Any] | None = None
) -> Response:
    from graphs.workflow import names, workflow
    from whyrec.data.lookup import names as data_sets

    site = site_of(request)
    graphs = names()
    return site.page(
        request, "new.html", status=400 if said else 200, given=form, said=said, found=found,
        graphs=[(name, workflow(name).about) for name in graphs], data_sets=data_sets(site.settings),
        models=dict.fromkeys((site.settings.llm, *_MODELS)), before=_before(site),
    )  # fmt: skip


def _before(site: Site) -> list[tuple[Started, bool]]:
    return [(one, site.processes.alive(one)) for one in site.processes.all()[:12]]


def _budget(found: Mapping[str, Any]) -> dict[str, str]:
    """As many calls as it can take at most, and half as much money again as it probably takes."""
    most, dollars = int(found["most"]), found.get("dollars")
    return {"budget_calls": str(2 * most), "budget_usd": f"{1.5 * dollars:.4f}" if dollars else ""}


def _run_of(site: Site, one: Started) -> str:
    """The run that the process writes or wrote, "" where it has not begun one."""
    for run_id in site.run_ids():
        try:
            with site.run(run_id) as run:
                info = run.info()
        except (UsageError, UnknownNameError):
            continue
        if info["pid"] == one.pid and info["host"] == socket.gethostname():
            return run_id
    return ""
