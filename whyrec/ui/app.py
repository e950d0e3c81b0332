"""The application: addresses to pages, forms with their token, and errors as sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib.resources import files

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings
from whyrec.ui.safety import Door, Guard
from whyrec.ui.site import Site, site_of

Acting = Callable[[Request, Mapping[str, str]], Response]
_STATIC = {"ui.css": "text/css", "ui.js": "text/javascript"}


def build(settings: Settings, door: Door | None = None) -> ASGIApp:
    """The pages of a home, behind a door."""
    site = Site(settings, door or Door())
    handlers = {UnknownNameError: _unknown, UsageError: _unusable, HTTPException: _missing, Exception: _broken}
    app = Starlette(routes=routes(), exception_handlers=handlers)
    app.state.site = site
    return Guard(app, site.door)


def routes() -> list[Route]:
    """Every address. What acts is a POST through `_acting`, and there is no other."""
    from whyrec.ui.pages import (
        call,
        calls,
        differences,
        examples,
        labels,
        prompts,
        results,
        run_list,
        runs,
        starting,
        vectors,
    )

    return [
        Route("/", run_list.runs),
        Route("/new", starting.new),
        Route("/new", _acting(starting.estimated), methods=["POST"]),
        Route("/started", _acting(starting.start), methods=["POST"]),
        Route("/started/{name}", starting.started),
        Route("/started/{name}/stop", _acting(starting.stop), methods=["POST"]),
        Route("/runs/{run}", runs.run),
        Route("/runs/{run}/calls", calls.calls),
        Route("/runs/{run}/calls.jsonl", labels.conversations),
        Route("/runs/{run}/labels.jsonl", labels.labels),
        Route("/runs/{run}/label", _acting(labels.mark), methods=["POST"]),
        Route("/runs/{run}/calls/{call:int}", call.call),
        Route("/runs/{run}/calls/{call:int}/replay", _acting(call.again), methods=["POST"]),
        Route("/runs/{run}/result", examples.download),
        Route("/runs/{run}/examples", examples.opened),
        Route("/runs/{run}/examples/{key:path}", examples.example),
        Route("/diff", differences.diff),
        Route("/prompts", prompts.prompts),
        Route("/prompts/{name:path}", prompts.prompt),
        Route("/results", results.results),
        Route("/results/project/{slug}", results.projects),
        Route("/results/{slug}", results.own),
        Route("/figures/project/{name}", results.projects_figure),
        Route("/figures/{table}/{name}", results.own_figure),
        Route("/vectors", vectors.vectors),
        Route("/static/{name}", _static),
    ]


def warm() -> None:
    """Import what the second page will need while the first one is read."""
    import importlib

    threading.Thread(target=lambda: importlib.import_module("graphs.workflow"), daemon=True).start()


def _acting(act: Acting) -> Callable[[Request], object]:
    """A handler of a form: its token is looked at before anything else of it."""

    async def handle(request: Request) -> Response:
        site = site_of(request)
        async with request.form(max_files=0, max_fields=200) as form:
            given = {name: text for name, text in form.items() if isinstance(text, str)}
        if not site.door.acts(given.pop("acting", "")):
            said = "This form comes from a page that was opened before `whyrec ui` was started. Open the page again."
            return _said(request, 403, "Nothing was done", said)
        return await run_in_threadpool(act, request, given)

    return handle


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404)
    content = (files("whyrec.ui") / "static" / name).read_bytes()
    return Response(content, media_type=_STATIC[name], headers={"cache-control": "no-cache"})


def _said(request: Request, status: int, title: str, said: str) -> Response:
    sent = request.method == "POST"
    return site_of(request).page(request, "error.html", status=status, title=title, said=said, sent=sent)


def _unknown(request: Request, error: Exception) -> Response:
    return _said(request, 404, "Not found", str(error))


def _unusable(request: Request, error: Exception) -> Response:
    return _said(request, 400, "This cannot be shown", str(error))


def _missing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    said = "There is no page at this address." if status == 404 else str(getattr(error, "detail", ""))
    return _said(request, status, "Not found" if status == 404 else "This cannot be done", said)


def _broken(request: Request, error: Exception) -> Response:
    said = f"{type(error).__name__}; the terminal in which `whyrec ui` runs says more. This is a fault of ours."
    return _said(request, 500, "Something broke", said)
