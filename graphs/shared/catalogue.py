"""What each item of the catalogue is, objectively: one call per item, the same for every paper that wants it.

CoT-Rec (4.1.2, first step; spec 2.a G1) and RALLRec+ (spec 5.a G1) each have this graph under a name of their own. A
description is made from the catalogue alone, never from interactions, so it may describe anybody's next item. Other
graphs read descriptions from a run of this graph or make the missing ones on the fly with `describe_items`; the call is
the same to the letter, so whoever comes second is served from the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents.catalogue import ItemDescription, describe_item
from graphs.services import Services
from graphs.shared.audited import DESCRIBED
from graphs.shared.earlier_run import open_earlier
from graphs.shared.gather import gather
from graphs.shared.worth_of_texts import of_item
from graphs.workflow import MissingInput, Source, Workflow
from whyrec.data.some import some
from whyrec.data.split import SplitView
from whyrec.llm.model import About
from whyrec.plugins.rules import Rule, Rules
from whyrec.records import Item

NAMES = ("cot_rec.describe", "rallrec.describe")


@dataclass(frozen=True)
class Options:
    """Describing a catalogue has no options: what it holds is said by its data set's domain (`?domain=`)."""


@dataclass(frozen=True)
class State:
    """One item on its way to a description."""

    item: Item
    graph: str = NAMES[0]
    description: ItemDescription | None = None


class Update(TypedDict, total=False):
    """What a node may change."""

    description: ItemDescription


NOTHING_KNOWN = ItemDescription(
    type="unknown", topics=("unknown",), audience="unknown", text="Nothing is known of this item."
)
"""Of an item without title, text, brand and category: a model could only make something up, so none is asked."""


async def describe(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for the item's description, where the catalogue says anything of it."""
    if not is_known(state.item):
        return {"description": NOTHING_KNOWN}
    about = About(graph=state.graph, node="describe", example=item_key(state.item), item=state.item.id)
    found = await describe_item(runtime.context.llm(), about=about, item=state.item)
    return {"description": found}


def build() -> Any:
    """START -> describe -> END."""
    graph = StateGraph(State, context_schema=Services)
    graph.add_node("describe", describe)
    graph.add_edge(START, "describe")
    graph.add_edge("describe", END)
    return graph.compile()


def item_key(item: Item) -> str:
    """Key of an item's example."""
    return f"item/{item.id}"


def is_known(item: Item) -> bool:
    """Whether the catalogue says anything of an item."""
    return any(text.strip() for text in (item.title, item.description, item.brand, *item.categories))


async def describe_items(
    items: Iterable[Item], known: Mapping[str, str], runtime: Runtime[Services], *, about: About
) -> dict[str, str]:
    """Descriptions by item id: the known ones, and the others asked for at once.

    Raises:
        AnswerError, ModelError: an item could not be described.
    """
    missing = [item for item in dict.fromkeys(items) if item.id not in known]
    wanted = [item for item in missing if is_known(item)]
    known = {**known, **{item.id: NOTHING_KNOWN.text for item in missing if not is_known(item)}}
    llm = runtime.context.llm()
    asks = [describe_item(llm, about=replace(about, item=i.id), item=i) for i in wanted]
    found = await gather(asks)
    return {**known, **{item.id: one.text for item, one in zip(wanted, found, strict=True)}}


def with_descriptions(items: Iterable[Item], descriptions: Mapping[str, str]) -> tuple[Item, ...]:
    """The same items, each with its made description in place of the catalogue's."""
    return tuple(replace(item, description=descriptions[item.id]) for item in items)


class StoredDescriptions:
    """Descriptions of an earlier describing run; "" for none, then every look-up finds nothing.

    Raises:
        UsageError: no such run, or a run of another graph.
    """

    def __init__(self, home: Path, run: str) -> None:
        self._run = open_earlier(home, run, *NAMES) if run else None

    @property
    def id(self) -> str:
        """The run's full id, "" for none."""
        return "" if self._run is None else self._run.id

    def of(self, items: Iterable[Item]) -> dict[str, str]:
        """Descriptions by item id.

        Raises:
            MissingInput: the run has none for one of the items.
        """
        return {} if self._run is None else {item.id: self._one(item) for item in items}

    def _one(self, item: Item) -> str:
        assert self._run is not None
        found = self._run.result(item_key(item))
        if found is None or found.payload is None:
            raise MissingInput(f"run {self._run.id} has no description of item {item.id}")
        return str(found.payload["text"])


class Items:
    """The catalogue, or what some of the users had met before their test targets."""

    def __init__(self, source: Source, options: Options, *, graph: str = NAMES[0]) -> None:
        self._source, self._graph = source, graph
        self.options = options
        self.indices: npt.NDArray[np.int64] = _wanted(source)

    def key(self, index: int) -> str:
        """Key of an item's example."""
        return item_key(self._source.corpus.item(index))

    def place(self, index: int) -> tuple[str, str]:
        """An item belongs to no user and no split."""
        return "", ""

    def state(self, index: int) -> State:
        """The item, not yet described."""
        return State(self._source.corpus.item(index), self._graph)

    def calls(self) -> int:
        """One per item of which the catalogue says anything."""
        return int(_known(self._source.corpus.catalogue)[self.indices - 1].sum())


def _known(catalogue: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """`is_known` of every item, by row."""
    told = [pl.col(name).str.strip_chars() != "" for name in ("title", "description", "brand")]
    told.append(pl.col("categories").list.eval(pl.element().str.strip_chars() != "").list.any())
    return catalogue.select(pl.any_horizontal(*told).fill_null(False)).to_series().to_numpy()


def _wanted(source: Source) -> npt.NDArray[np.int64]:
    """Item indices, ascending."""
    if source.users is None:
        return np.arange(1, source.corpus.n_items + 1, dtype=np.int64)
    view = SplitView(source.corpus, "test")
    seen = [view.history(int(u)) for u in some(view.users, source.users)]
    return np.unique(np.concatenate(seen)).astype(np.int64) if seen else np.empty(0, np.int64)


def result(state: State) -> dict[str, Any]:
    """What is kept: the item's id and index, the description's text and its parts."""
    assert state.description is not None
    d = state.description
    return {
        "item": state.item.id,
        "index": state.item.index,
        "text": d.text,
        "type": d.type,
        "topics": list(d.topics),
        "audience": d.audience,
    }


def describing(name: str) -> Workflow[State, Options]:
    """The workflow under a paper's name."""
    assert name in NAMES
    return Workflow(
        name=name,
        about="objective description of every item of the catalogue",
        options=Options,
        state=State,
        build=build,
        inputs=partial(Items, graph=name),
        result=result,
        steps=lambda state: 5,
        prompts=lambda options: ("shared/describe_item",),
        audit=Rules(
            blanks=DESCRIBED,
            results=dict.fromkeys(("item", "index", "text", "type", "topics", "audience"), Rule.CATALOGUE),
        ),
        outcomes=of_item,
        texts=("descriptions", lambda result, payload: [(str(payload["item"]), str(payload["text"]))]),
    )
