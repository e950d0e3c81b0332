"""One call: what was asked and answered, the state around it, and the same question again, changed, in place."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget
from whyrec.llm.model import LanguageModel
from whyrec.llm.model import Request as ModelRequest
from whyrec.llm.prices import Price, price_of
from whyrec.llm.sent import as_sent
from whyrec.llm.wrappers.budgeted import worst_cost
from whyrec.runs import RunReader
from whyrec.runs.reading import read_logprobs
from whyrec.trace.labels import Labels, whoami
from whyrec.trace.words import Piece, compare
from whyrec.ui.pages.known import around
from whyrec.ui.shapes import blocks
from whyrec.ui.site import Site, link, site_of
from whyrec.workbench import replay as bench
from whyrec.workbench.answer import parsed
from whyrec.workbench.asked import Asked, asked
from whyrec.workbench.difference import as_text

_MOST_TIMES = 20
_MOST_TOKENS_SHOWN = 400
_SETTINGS = ("temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True)
class Again:
    """A replay beside its original: itself, and what changed in messages and answers, word by word."""

    replayed: bench.Replayed
    messages: tuple[Piece, ...]
    answers: tuple[tuple[Piece, ...], ...]

    @property
    def same_messages(self) -> bool:
        """Whether the same was asked."""
        return all(piece.kind == "same" for piece in self.messages)


def call(request: Request) -> Response:
    """One call."""
    with site_of(request).run(request.path_params["run"]) as run:
        return _page(request, run, asked(run, int(request.path_params["call"])), {})


def _page(request: Request, run: RunReader, found: Asked, given: Mapping[str, str], said: str = "") -> Response:
    """The call; where a form cannot be used, why, and the form as it was filled in."""
    site, told, number = site_of(request), found.call, int(found.call["id"])
    read = parsed(found.request.format, told, found.prompt_text)
    logprobs = read_logprobs(json.loads(told["logprobs"])) if told["logprobs"] else ()
    scores = json.loads(told["answer"]) if told["kind"] == "score" and told["answer"] else []
    stop, differs = None, False
    if (state := "state" in request.query_params) and told["example"]:
        stop, differs = _stop(site, run.id, str(told["example"]), number)
    return site.page(
        request, "call.html", status=400 if said else 200, run=run.id, call=told, asked=found,
        fields=None if read.fields is None else blocks(read.fields, around(request, site)),
        page=link("runs", run.id, "calls", number), problem=read.problem, place=read.place, scores=scores,
        logprobs=logprobs[:_MOST_TOKENS_SHOWN], replays=_replays(run, found), state=state, stop=stop, differs=differs,
        neighbours=_neighbours(run, number), settings=_SETTINGS,
        models=_models(told["model"]), edit=bool(given) or "edit" in request.query_params, most=_MOST_TIMES,
        given=given, said=said, whoami=whoami(),
        label=Labels(site.settings.home).of_run(run.id).of(number, str(told["example"])),
    )  # fmt: skip


def again(request: Request, form: Mapping[str, str]) -> Response:
    """Send the call again as the form has it; where that costs money, say what it costs first."""
    with site_of(request).run(request.path_params["run"]) as run:
        found = asked(run, int(request.path_params["call"]))
        try:
            return _again(request, run, found, form)
        except (UsageError, UnknownNameError) as error:
            return _page(request, run, found, form, str(error))


def _again(request: Request, run: RunReader, found: Asked, form: Mapping[str, str]) -> Response:
    site, number = site_of(request), int(found.call["id"])
    change = read_form(found, form)
    request_then = bench.changed(found, change)
    model = change.llm or str(found.call["model"])
    price = price_of(model, home=site.settings.home)
    worst = asyncio.run(_worst(bench.open_model(run, model, site.settings), request_then, price))
    if not _agreed(price, worst, form.get("confirm", "")):
        return site.page(
            request, "confirm.html", status=402, run=run.id, call=number, model=model, price=price, worst=worst,
            times=change.times, given=list(form.items()),
            confirm="unknown" if price is None else f"{worst + 1e-6:.6f}",  # never rounded below
        )  # fmt: skip
    budget = Budget(calls=change.times * 3) if price is None else Budget(dollars=float(form.get("confirm") or 0.0))
    replayed = asyncio.run(bench.replay(run, number, change, settings=site.settings, budget=budget))
    return RedirectResponse(f"{link('runs', run.id, 'calls', number)}#replay-{replayed.id}", 303)


async def _worst(model: LanguageModel, request: ModelRequest, price: Price | None) -> float:
    """US dollars that a request can cost at most; a wrong name or a missing key says so now.

    Raises:
        UsageError: nothing caps an answer, so nobody can say.
    """
    try:
        if price is not None and not price.free:
            Budget(dollars=0.0).check(model, price)
        return worst_cost(request, price, sent=as_sent(model, request)).dollars
    finally:
        await model.close()


def read_form(found: Asked, form: Mapping[str, str]) -> bench.Change:
    """The change that a form asks for: every message as it now reads, the model, the sampling, how often.

    Raises:
        UsageError, UnknownNameError: something in it is not usable.
    """
    replaced = []
    for i, message in enumerate(found.request.messages):
        text = form.get(f"message{i}")
        text = message.content if text is None else text.replace("\r\n", "\n")
        if text.strip("\n") != message.content.strip("\n"):
            replaced.append((message.content, text))
    sampling = found.request.sampling
    pairs = []
    for name in _SETTINGS:
        text = form.get(name, "").strip()
        if text and text != _shown(getattr(sampling, name)):
            pairs.append(f"{name}={text}")
    times = form.get("times", "1")
    if not (re.fullmatch("[0-9]{1,4}", times) and 1 <= int(times) <= _MOST_TIMES):
        raise UsageError(f"A call is sent again 1 to {_MOST_TIMES} times, not {times!r}.")
    llm = form.get("llm", "").strip()
    llm = "" if llm == found.call["model"] else llm
    return bench.read_change(pairs, llm=llm, replaced=tuple(replaced), times=int(times))


def _agreed(price: Price | None, worst: float, confirm: str) -> bool:
    """Whether nothing is to be paid, or whoever asks has seen how much at most."""
    if price is None:
        return confirm == "unknown"
    if price.free:
        return True
    try:
        return float(confirm) >= worst - 1e-6
    except ValueError:
        return False


def _replays(run: RunReader, found: Asked) -> list[Again]:
    """The call's earlier replays, the latest first, each beside the original."""
    before = as_text(found.request.messages)
    said = str(found.call["error"] or found.call["answer"])
    shown = []
    for replayed in reversed(bench.Store(run).all(call=int(found.call["id"]))):
        answers = tuple(tuple(compare(said, one.error or one.text)) for one in replayed.said)
        shown.append(Again(replayed, tuple(compare(before, as_text(replayed.messages))), answers))
    return shown


def _stop(site: Site, run_id: str, key: str, number: int) -> tuple[Any, bool]:
    """The node's turn in which the call was made, and whether the run has stored something else."""
    with site.workplace(run_id) as place:
        path = place.path(place.key(key))
    return next((stop for stop in path.stops if number in stop.calls), None), path.differs


def _neighbours(run: RunReader, number: int) -> tuple[int | None, int | None]:
    """The calls before and after, where there are."""
    before, after = (run.call(n) is not None for n in (number - 1, number + 1))
    return (number - 1 if before else None), (number + 1 if after else None)


def _models(asked_of: str) -> Sequence[str]:
    """Models to choose from: that of the call and those without cost; any other can be typed."""
    return list(dict.fromkeys((asked_of, "extractive", "simulated:0.3", "simulated:0.8", "simulated:1")))


def _shown(setting: Any) -> str:
    return "" if setting is None else f"{setting:g}" if isinstance(setting, float) else str(setting)
