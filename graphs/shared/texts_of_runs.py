"""What a run's results say, as texts with ids: what can be searched of it.

    texts_of(run) -> RunTexts(what="reasons", ids=("test/u1 space,longest", ...), texts=(...))

Which texts they are, a graph says itself (`Workflow(texts=...)`), ours as a plug-in's. An id says whose text it is, and
where an example has several, which one.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphs.workflow import every, find
from whyrec.errors import UsageError
from whyrec.runs import RunReader


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
    graph = run.info()["graph"]
    flow = find(graph)
    if flow is None or flow.texts is None:
        known = sorted(one.name for one in every() if one.texts is not None)
        raise UsageError(
            f"Run {run.id} is a run of {graph}, whose results hold no texts to search. Texts are left by "
            f"{', '.join(known)}."
        )
    what, read = flow.texts
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
    for flow in every():
        if flow.texts is not None:
            found[flow.texts[0]] = (*found.get(flow.texts[0], ()), flow.name)
    return found
