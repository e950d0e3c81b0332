"""rallrec.retrieve: which of the user's own earlier events are shown when an item is asked about (RALLRec+ 4.2).

    RETRIEVE -> END       no model call; recorded so that what was shown can be looked up and compared

Candidates are the user's events before the row, the target's vector is compared with theirs exactly, and the relevant
and the recent ones are merged (graphs/rallrec/shortlist.py). `rallrec.predict` uses the same `Retriever`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graphs.rallrec import shortlist
from graphs.rallrec.options import Mode, Options, number
from graphs.rallrec.rows import RowInputs, rows_of
from graphs.rallrec.shortlist import Floats, Places
from graphs.rallrec.vectors import ItemVectors
from graphs.services import Services
from graphs.shared.audited import FROM_DESCRIPTIONS, WHO
from graphs.workflow import Source, Workflow
from whyrec.data.ctr import CtrView
from whyrec.plugins.rules import Rule, Rules
from whyrec.records import Event, Split

__all__ = ["NAME", "WORKFLOW", "Options", "Retriever", "build"]

NAME = "rallrec.retrieve"
RESULTS = {
    **WHO,
    "item": Rule.QUESTION,
    "shown": Rule.HISTORY,
    **dict.fromkeys(("row", "places", "scores", "similarity"), Rule.NUMBERS),
}
EARLIER = {"descriptions": FROM_DESCRIPTIONS}


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of a history.

    Attributes:
        places: int64[K], in the order shown; 0 is the oldest event of the history.
        scores: float64[K], eq. 8 where that chose them, else falling with the rank.
        similarity: float64[K] of each to the target.
    """

    places: Places
    scores: Floats
    similarity: Floats


class Retriever:
    """Looks up what to show for a row.

    Args:
        view: nothing later than its split is seen.
        vectors: of the items.
        options: see `Options`.
    """

    def __init__(self, view: CtrView, vectors: ItemVectors, options: Options) -> None:
        self.view, self.vectors, self.options = view, vectors, options
        self._gamma = number("gamma", options.gamma, 0.0, 1.0)
        self._beta = number("beta", options.beta, 0.0, 10.0)

    def shown(self, row: int, mode: Mode | None = None) -> Shown:
        """The events to show for this row, by the options' way or another."""
        history, target, o = self.view.history(row), self.view.item(row), self.options
        mode = mode or o.retrieval
        similarity = self.vectors.similarity(o.vectors, history, target).astype(np.float64)
        by_time, by_relevance = shortlist.recent(len(history), 2 * o.k), shortlist.relevant(similarity, 2 * o.k)
        scores: Floats | None = None
        if mode == "rerank":
            places, scores = shortlist.reranked(
                by_relevance, by_time, o.k, gamma=self._gamma, beta=self._beta, twice=o.twice
            )
        elif mode == "hybrid":
            text, ids = (self.vectors.similarity(kind, history, target) for kind in ("text", "collaborative"))
            places = shortlist.hybrid(shortlist.relevant(text, o.k), shortlist.relevant(ids, 2 * o.k), o.k)
        elif mode in ("two_thirds", "official"):
            rule = shortlist.two_thirds if mode == "two_thirds" else shortlist.official
            places = rule(by_relevance, by_time, o.k)
        else:
            places = (by_relevance if mode == "relevant" else by_time)[: o.k]
        if scores is None:
            scores = 1.0 / np.arange(1, len(places) + 1)
        if o.order == "time":
            order = np.argsort(places)
            places, scores = places[order], scores[order]
        return Shown(places, scores, similarity[places])

    def events(self, row: int, shown: Shown) -> tuple[Event, ...]:
        """The shown events as records, in the order shown."""
        return self.view.events(self.view.span(row)[0] + shown.places)


def retriever(source: Source, options: Options, *, split: Split | None = None) -> Retriever:
    """What retrieves for a split's rows."""
    rows = rows_of(source, options)
    return Retriever(CtrView(rows, split or options.split), ItemVectors(rows, options, source.home), options)


@dataclass(frozen=True)
class State:
    """A row, and what is to be shown for it."""

    row: int
    shown: Shown | None = None
    found: dict[str, Any] | None = None


class Update(TypedDict, total=False):
    """What a node may change."""

    shown: Shown
    found: dict[str, Any]


async def retrieve(state: State, runtime: Runtime[Services]) -> Update:
    """Look the events up, and say what they are."""
    part = runtime.context.part(Retriever)
    shown = part.shown(state.row)
    return {"shown": shown, "found": told(part, state.row, shown)}


def told(part: Retriever, row: int, shown: Shown) -> dict[str, Any]:
    """What a result keeps of a retrieval: ids, places, scores, and the digest of the history they are from."""
    view, history = part.view, part.view.history(row)
    ids = [view.corpus.item(int(history[place])).id for place in shown.places]
    return {
        "row": row,
        "user": str(view.corpus.user_ids[view.user(row)]),
        "item": view.corpus.item(view.item(row)).id,
        "prefix": view.prefix_digest(row),
        "events": len(history),
        "shown": ids,
        "places": shown.places.tolist(),
        "scores": [round(float(s), 6) for s in shown.scores],
        "similarity": [round(float(s), 6) for s in shown.similarity],
    }


def build() -> Any:
    """START -> retrieve -> END."""
    graph = StateGraph(State, context_schema=Services)
    graph.add_node("retrieve", retrieve)
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", END)
    return graph.compile()


class Lookups(RowInputs[Options]):
    """One look-up per row."""

    def state(self, index: int) -> State:
        """The row, with nothing looked up."""
        return State(index)

    def calls(self) -> int:
        """No model is asked."""
        return 0


def result(state: State) -> dict[str, Any]:
    """See `told`."""
    assert state.found is not None
    return state.found


WORKFLOW = Workflow(
    name=NAME,
    about="the events of a user's own history that are shown when an item is asked about",
    options=Options,
    state=State,
    build=build,
    inputs=Lookups,
    result=result,
    steps=lambda state: 5,
    prompts=lambda options: (),
    equip=lambda source, options: (retriever(source, options),),
    audit=Rules(results=RESULTS, earlier=EARLIER),
)
