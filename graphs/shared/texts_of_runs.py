"""What a run's results say, as texts with ids: what can be searched of it.

    texts_of(run) -> RunTexts(what="reasons", ids=("test/u1 space,longest", ...), texts=(...))

One table for all graphs whose results hold texts, by the names of their graphs alone: no paper's room is needed to read
what it left. An id says whose text it is, and where an example has several, which one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphs.workflow import guests
from whyrec.errors import UsageError
from whyrec.runs import Result, RunReader

Texts = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class RunTexts:
    """Texts of a run.

    Attributes:
        what: they are, in the plural: "reasons", "steps".
        ids: distinct.
        texts: one per id.
    """

    what: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def texts_of(run: RunReader) -> RunTexts:
    """Every text of a run's finished examples.

    Raises:
        UsageError: its graph leaves no texts, or none is finished.
    """
    graph, known = run.info()["graph"], _known()
    if graph not in known:
        raise UsageError(
            f"Run {run.id} is a run of {graph}, whose results hold no texts to search. Texts are left by "
            f"{', '.join(sorted(known))}."
        )
    what, read = known[graph]
    found: dict[str, str] = {}
    for result in run.results("done"):
        for id_, text in read(result, result.payload or {}):
            if text:
                found.setdefault(id_, text)
    if not found:
        raise UsageError(f"Run {run.id} holds no {what} yet: the same `whyrec run` command goes on with it.")
    return RunTexts(what, tuple(found), tuple(found.values()))


def kinds() -> dict[str, tuple[str, ...]]:
    """What can be searched -> the graphs whose runs hold it."""
    found: dict[str, tuple[str, ...]] = {}
    for graph, (what, _) in _known().items():
        found[what] = (*found.get(what, ()), graph)
    return found


def _text(result: Result, payload: Mapping[str, Any]) -> Texts:
    yield result.user or result.key, str(payload["text"])


def _description(result: Result, payload: Mapping[str, Any]) -> Texts:
    yield str(payload["item"]), str(payload["text"])


def _chosen(result: Result, payload: Mapping[str, Any]) -> Texts:
    """Each thought that a selector chose, named after its selectors."""
    selectors: dict[int, list[str]] = {}
    for selector, number in payload["chosen"].items():
        selectors.setdefault(int(number), []).append(selector)
    for number, names in selectors.items():
        yield f"{result.user} {','.join(names)}", str(payload["thoughts"][number]["text"])


def _chains(result: Result, payload: Mapping[str, Any]) -> Texts:
    """What the steps of each chain find; the number of the chain where there are several."""
    several = len(payload["chains"]) > 1
    for place, chain in enumerate(payload["chains"], 1):
        yield f"{result.user}#{place}" if several else result.user, " ".join(chain["reason"])


def _steps(result: Result, payload: Mapping[str, Any]) -> Texts:
    """ "PREFIX/STEP": equal prefixes have equal steps."""
    for place, section in enumerate(payload["sections"], 1):
        yield f"{payload['prefix']}/{place}", section


_WHAT: dict[str, tuple[str, Callable[[Result, Mapping[str, Any]], Texts]]] = {
    "cot_rec.describe": ("descriptions", _description),
    "rallrec.describe": ("descriptions", _description),
    "cot_rec.preference": ("preferences", _text),
    "pulse.rationale": ("rationales", _text),
    "pulse.refine": ("reasons", _chosen),
    "scoter.generate": ("chains", _chains),
    "scoter.validate": ("chains", _chains),
    "scoter.distil": ("steps", _steps),
}


def _known() -> dict[str, tuple[str, Callable[[Result, Mapping[str, Any]], Texts]]]:
    """Ours, and what plug-ins declare of their graphs."""
    return {**{flow.name: flow.texts for flow in guests() if flow.texts is not None}, **_WHAT}
