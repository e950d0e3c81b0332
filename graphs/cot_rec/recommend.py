"""Retrieve ten items, then let a language model rank them: CRM-as-Retriever, LLM-as-Ranker (CoT-Rec 4.2.3, spec 2.b).

    PREFER (unless stored) -> PERCEIVE (unless stored) -> RANK -> END

The ten best items of a recommender are shuffled once and lettered; the probabilities of the letters rank them. What
the model is told is the mode: `titles` (the paper's LLM), `preference` (LLM+), `perception` (LLM++), or `none`, which
asks nobody and keeps the retriever's order. Preferences and perceptions are those of earlier runs, or are made on the
fly by cot_rec.preference's and cot_rec.perception's own graphs, so that the calls are the same and come from the cache.

No state knows the target. What depends on it is which users are asked about at all: with `only=hits` those whose
target was retrieved, as in the paper, because for all others every order is a miss; and in which orders the items are
shown where position bias is measured (spec 1.5, graphs/shared/placements.py): `placements=10` asks about all ten
rotations of the one shuffled order, `placing=swap` puts the target at each place as the paper does. Both are chosen
here, in `Ranked`, before any state exists.

Unusual: the ranker is not tuned here. The released LLM++ prompt promises impressions of history items that its
code never adds; ours shows them for the options and promises nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import cot_rec as agents
from agents.ranker import Chooser, letters
from graphs.cot_rec import histories as shared
from graphs.cot_rec import perception, written
from graphs.cot_rec import preference as fold
from graphs.cot_rec.histories import NO_HISTORY, Histories, Preference, Task
from graphs.cot_rec.ranked import AUDIT, outcomes
from graphs.services import Services
from graphs.shared import placements
from graphs.shared.earlier_run import open_earlier, payload_of
from graphs.shared.gather import gather
from graphs.shared.placements import Order, Placing
from graphs.shared.retriever import Name, Retriever, retriever
from graphs.workflow import ADDED, MissingInput, Source, Workflow
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.llm.labels import LabelReading, Way
from whyrec.records import Item

NAME = "cot_rec.recommend"
RANKER = "ranker"
WAYS: tuple[Way, ...] = ("logprobs", "score", "answer")


@dataclass(frozen=True)
class Options(shared.Options):
    """Options of cot_rec.recommend, beside those of every graph over histories.

    `candidates` is how many items are retrieved; `seed` is of the shuffle, of SASRec's weights and of frozen draws.

    Attributes:
        mode: what the ranker is told; "none" asks nobody.
        retriever: item-CF, SASRec with the preset, the same started from texts (the paper's CRM++), or the frozen 1 + N
            candidates with the target unmarked among them.
        only: all users, or only those whose target was retrieved (a choice of the evaluation; see the module).
        placements: 1, or as many as there are candidates: the orders position bias is measured by.
        placing: these orders are rotations, or the target's change of places with each of the others, or both.
        labels: how the letters are read: in the first way that the model can, or in this one.
        preferences: id of a cot_rec.preference run of the same split; "" to make preferences on the fly.
        perceptions: id of a cot_rec.recommend or cot_rec.perception run of the same split that has perceptions of the
            same candidates; "" to make them on the fly.
        item_texts, user_texts: ids of the runs that sasrec_texts starts from, of cot_rec.describe and, made from s[:-2]
            (split=valid), of cot_rec.preference.
        embedder: of these texts.
    """

    mode: Literal["none", "titles", "preference", "perception"] = "perception"
    retriever: Literal["item_cf", "sasrec", "sasrec_texts", "frozen"] = "item_cf"
    only: Literal["all", "hits"] = "all"
    placements: int = 1
    preferences: str = ""
    perceptions: str = ""
    item_texts: str = field(default="", metadata=ADDED)
    user_texts: str = field(default="", metadata=ADDED)
    embedder: str = field(default="lsa", metadata=ADDED)
    placing: Placing = field(default="rotate", metadata=ADDED)
    labels: Literal["any", "logprobs", "score", "answer"] = field(default="any", metadata=ADDED)


@dataclass(frozen=True)
class State:
    """Retrieved items on their way to a ranking.

    Attributes:
        task: the user; its candidates are in the order retrieved, best first.
        orders: rotations asked about, as places in `task.candidates`, the first order shown first.
        swapped: orders in which one candidate changes places with each, asked about after the rotations.
        ways: in which letters may be read.
        preference: None until it is made, or where the mode needs none.
        phrases: what the user sees in each candidate, in the order of `task.candidates`; () until then.
        readings: one per order, the rotations' first.
    """

    task: Task
    orders: tuple[Order, ...]
    swapped: tuple[Order, ...] = ()
    ways: tuple[Way, ...] = WAYS
    preference: Preference | None = None
    phrases: tuple[str, ...] = ()
    readings: tuple[LabelReading, ...] = ()


class Update(TypedDict, total=False):
    """What a node may change."""

    preference: Preference
    phrases: tuple[str, ...]
    readings: tuple[LabelReading, ...]


async def rank(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for the probabilities of the letters, once per order."""
    llm, about = runtime.context.llm(RANKER), state.task.about(NAME, "rank")
    labels, ask = letters(len(state.task.candidates)), replace(chooser(state), ways=state.ways)
    wanted = list(dict.fromkeys((*state.orders, *state.swapped)))
    asks = [ask(llm, labels, about=about, **told(state, order)) for order in wanted]
    found = dict(zip(wanted, await gather(asks), strict=True))
    return {"readings": tuple(found[order] for order in (*state.orders, *state.swapped))}


def chooser(state: State) -> Chooser:
    """The agent of the mode."""
    return {
        "titles": agents.rank_titles,
        "preference": agents.rank_preference,
        "perception": agents.rank_perception,
    }[state.task.mode]


def told(state: State, order: Order) -> dict[str, Any]:
    """The blanks of its prompt, with the options in this order: the same for asking and for tuning (`tuning.py`)."""
    known = {} if state.preference is None else {"preference": state.preference.blank}
    return {"history": state.task.latest, **known, "options": [_option(state, place) for place in order]}


def _option(state: State, place: int) -> Item | dict[str, Any]:
    item = state.task.candidates[place]
    return {"item": item, "note": state.phrases[place]} if state.phrases else item


def begin(state: State) -> str:
    """The first step that is not done yet."""
    if state.task.mode == "none":
        return END
    if state.task.mode == "titles":
        return "rank"
    return "prefer" if state.preference is None else preferred(state)


def preferred(state: State) -> str:
    """After the preference: what the user sees in the items, unless the mode leaves it out or it is known."""
    return "perceive" if state.task.mode == "perception" and not state.phrases else "rank"


def build() -> Any:
    """The ranking, and in front of it the graphs that make what it is told."""
    folding, perceiving = fold.build(), perception.build()

    async def prefer(state: State, runtime: Runtime[Services]) -> Update:
        """Make the preference on the fly, by the graph that makes it."""
        start = fold.State(replace(state.task, mode="loop"))
        final = await folding.ainvoke(start, _limit(fold.WORKFLOW, start), context=runtime.context)
        return {"preference": final["long"]}

    async def perceive(state: State, runtime: Runtime[Services]) -> Update:
        """Make the perceptions on the fly, in an order that does not tell how the retriever ranked."""
        task = replace(state.task, mode="batched", candidates=told_in_order(state.task))
        start = perception.State(task, preference=state.preference)
        final = await perceiving.ainvoke(start, _limit(perception.WORKFLOW, start), context=runtime.context)
        by_index = {item.index: phrase for item, phrase in zip(task.candidates, final["phrases"], strict=True)}
        return {"phrases": tuple(by_index[item.index] for item in state.task.candidates)}

    graph = StateGraph(State, context_schema=Services)
    for node in (prefer, perceive, rank):
        graph.add_node(node.__name__, node)
    graph.add_conditional_edges(START, begin, ["prefer", "perceive", "rank", END])
    graph.add_conditional_edges("prefer", preferred, ["perceive", "rank"])
    graph.add_edge("perceive", "rank")
    graph.add_edge("rank", END)
    return graph.compile()


def told_in_order(task: Task) -> tuple[Item, ...]:
    """Candidates by their number in the catalogue: the same for every seed and shuffle, so that calls are shared."""
    return tuple(sorted(task.candidates, key=lambda item: item.index))


def _limit(flow: Workflow[Any, Any], start: Any) -> dict[str, Any]:
    return {"recursion_limit": flow.steps(start)}


class Ranked(Histories[Options]):
    """One example per user of a split, or per user whose target was retrieved.

    Raises:
        UsageError: also for placements that are neither 1 nor all, and for earlier runs that are not what they should.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        placements.check(options.placements, options.candidates, options.placing)
        if options.retriever == "sasrec_texts":
            items, users = written.resolved(source, options.item_texts, options.user_texts)
            self.options = options = replace(self.options, item_texts=items, user_texts=users)
        elif options.item_texts or options.user_texts:
            raise UsageError("Options item_texts and user_texts are what retriever=sasrec_texts starts from: add that.")
        home = source.home
        self._preferences = open_earlier(home, options.preferences, fold.NAME) if options.preferences else None
        self._perceptions = (
            open_earlier(home, options.perceptions, NAME, perception.NAME) if options.perceptions else None
        )
        if self._preferences is not None:
            self.options = replace(self.options, preferences=self._preferences.id)
        if self._perceptions is not None:
            self.options = replace(self.options, perceptions=self._perceptions.id)
        if options.only == "hits":
            # the one place that looks at targets: it decides who is asked about, and nothing of it enters a state
            self.indices = self.indices[self._retrieved.hits[np.searchsorted(self.view.users, self.indices)]]

    @cached_property
    def _retrieved(self) -> Retriever:
        return lists(self.source, self.options, self.view)

    def state(self, index: int) -> State:
        """The retrieved items and the orders to show them in, with what earlier runs have.

        Raises:
            MissingInput: an earlier run lacks this user or an item.
            LeakageError: what it has was made from another history.
        """
        items = tuple(self.source.corpus.item(int(i)) for i in self._retrieved.of(index))
        task = self.task(index, self.options.mode, candidates=items)
        first = np.random.default_rng([self.options.seed, index]).permutation(len(items)).tolist()
        o = self.options
        start = State(
            task,
            placements.rotations(first, o.placements, o.placing),
            self._swaps(index, items, first),
            WAYS if o.labels == "any" else (o.labels,),
        )
        return replace(start, preference=self._preference(task), phrases=self._phrases(task))

    def _swaps(self, index: int, items: tuple[Item, ...], first: list[int]) -> tuple[Order, ...]:
        """Orders in which the target changes places, where it was retrieved; what they are made of enters no state."""
        if self.options.placing == "rotate":
            return ()
        target = self.view.target(index)
        at = next((i for i, item in enumerate(items) if item.index == target), -1)
        return placements.swaps(first, at, self.options.placing)

    def _preference(self, task: Task) -> Preference | None:
        if task.mode in ("none", "titles"):
            return None
        if not task.example.history:
            return NO_HISTORY
        if self._preferences is None:
            return None
        return fold.stored_preference(payload_of(self._preferences, task.example.key, prefix=task.prefix))

    def _phrases(self, task: Task) -> tuple[str, ...]:
        """Stored phrases in the order of the candidates."""
        if task.mode != "perception" or self._perceptions is None:
            return ()
        stored = payload_of(self._perceptions, task.example.key, prefix=task.prefix)
        phrases = {row["item"]: str(row["phrase"]) for row in stored["perceptions"]}
        missing = [item.id for item in task.candidates if item.id not in phrases]
        if missing:
            raise MissingInput(f"run {self._perceptions.id} has no perception of {', '.join(missing)}")
        return tuple(phrases[item.id] for item in task.candidates)

    def calls(self) -> int:
        """Of all examples; at most one more per item described and the folds made on the fly."""
        mode, users = self.options.mode, len(self.indices)
        if mode == "none":
            return 0
        ranking = users * placements.calls(self.options.placements, self.options.candidates, self.options.placing)
        if mode == "titles":
            return ranking
        folds = 0 if self._preferences is not None else self.fold_calls(self.lengths)
        if mode == "preference" or self._perceptions is not None:
            return ranking + folds
        return ranking + folds + 2 * users + self.description_calls(users * self.options.candidates)

    def shared(self) -> dict[str, tuple[int, int]]:
        """Every item is described once, however many users it is retrieved for."""
        if self.options.mode != "perception" or self._perceptions is not None or self.options.descriptions:
            return {}
        rows = [self._retrieved.of(int(user)) for user in self.indices]
        different = len(np.unique(np.concatenate(rows))) if rows else 0
        return {"describe": (self.description_calls(len(rows) * self.options.candidates), different)}


def lists(source: Source, options: Options, view: SplitView) -> Retriever:
    """What the retriever of these options gives every user of a split."""
    name: Name = options.retriever
    texts = written.table_texts(source, options.item_texts, options.user_texts, options.embedder)
    return retriever(source, view, name=name, n=options.candidates, seed=options.seed, texts=texts)


def equip(source: Source, options: Options) -> tuple[Retriever]:
    """Train and retrieve before the first example; examples read the lists this leaves."""
    return (lists(source, options, SplitView(source.corpus, options.split)),)


def prompt_names(options: Options) -> tuple[str, ...]:
    """Prompts of a mode."""
    if options.mode == "none":
        return ()
    ranking = (f"cot_rec/rank_{options.mode}",)
    if options.mode == "titles":
        return ranking
    folding = () if options.preferences else ("cot_rec/summarise_batch", "cot_rec/merge_preference")
    if options.mode == "preference" or options.perceptions:
        return (*folding, *ranking)
    describing = () if options.descriptions else ("shared/describe_item",)
    return (*folding, *describing, *perception.BATCHED, *ranking)


def result(state: State) -> dict[str, Any]:
    """What is kept: what was retrieved, what was shown, and the probability of every letter in every placement.

    `retrieved` and `shown` are item indices, `shown` in the order of the letters of the first placement; rotation r
    shows the same order rotated by r. `ranking` is ids by the first placement, equals in the retriever's order.
    """
    task = state.task
    first, readings = state.orders[0], state.readings
    ranking = list(task.candidates)
    if readings:
        likely = dict(zip(first, readings[0].probabilities.values(), strict=True))
        ranking = [task.candidates[i] for i in sorted(likely, key=lambda i: (-likely[i], i))]
    return {
        "user": task.example.user,
        "split": task.example.split,
        "prefix": task.prefix,
        "mode": task.mode,
        "retrieved": [item.index for item in task.candidates],
        "shown": [task.candidates[i].index for i in first],
        "ranking": [item.id for item in ranking],
        **placements.told(readings, len(state.orders)),
        "preference": "" if state.preference is None else state.preference.summary,
        "perceptions": [
            {"item": item.id, "index": item.index, "phrase": phrase}
            for item, phrase in zip(task.candidates, state.phrases, strict=False)
        ],
    }


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="a recommender's ten best items, ranked by a language model from the letters' probabilities",
    options=Options,
    state=State,
    build=build,
    inputs=Ranked,
    result=result,
    steps=lambda state: 10,
    prompts=prompt_names,
    roles=("writer", RANKER),
    equip=equip,
    audit=AUDIT,
    outcomes=outcomes,
)
