"""Labels given on a page, and what can be taken away: labels and conversations as files of JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import chain

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import RunReader
from whyrec.trace.labels import Label, Labels
from whyrec.ui.pages.calls import read_wanted
from whyrec.ui.site import link, site_of
from whyrec.workbench import labels as bench


def mark(request: Request, form: Mapping[str, str]) -> Response:
    """Keep a label of a call or an example, and go back to it.

    Raises:
        UsageError, UnknownNameError: there is no such call or example, or the label is none.
    """
    site, call, example = site_of(request), form.get("call", ""), form.get("example", "")
    if call and not (call.isdecimal() and len(call) < 18):
        raise UsageError(f"A call is named by its number, not by {call!r}.")
    with site.run(request.path_params["run"]) as run:
        if call and run.call(int(call)) is None:
            raise UnknownNameError("call", call, [], hint="The run's list of calls has them all.")
        key = bench.example_key(run, example) if example else ""
        label = Label(run.id, int(call or 0), key, form.get("verdict", ""), form.get("note", ""), form.get("who", ""))
        Labels(site.settings.home).mark(label)
        back = link("runs", run.id, "examples", key) if key else link("runs", run.id, "calls", int(call))
    return RedirectResponse(f"{back}#label", 303)


def labels(request: Request) -> Response:
    """Every label of a run, as `whyrec trace labels RUN --out FILE` writes them."""
    with site_of(request).run(request.path_params["run"]) as run:
        return _file(f"labels-{run.id}", _then_closed(run, bench.exported))


def conversations(request: Request) -> Response:
    """The calls that meet the conditions of the address, as `whyrec trace save RUN --out FILE` writes them."""
    wanted = read_wanted(request.query_params)
    with site_of(request).run(request.path_params["run"]) as run:
        lines = _then_closed(run, lambda again: bench.conversations(again, wanted, bench.Saved()))
        first = next(lines, "")  # what is wrong with the conditions is said before a file begins
        return _file(f"calls-{run.id}", chain([first], lines))


def _then_closed(run: RunReader, lines: Callable[[RunReader], Iterator[str]]) -> Iterator[str]:
    """Lines from a reader of their own: a file is being sent for longer than its page's reader is open."""
    with closing(RunReader(run.folder)) as again:
        yield from lines(again)


def _file(name: str, lines: Iterator[str]) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.jsonl"'}
    return StreamingResponse(lines, media_type="application/jsonl", headers=headers)
