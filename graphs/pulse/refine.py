"""The best reason out of a tree of reasons: PULSE's phase II (4.2, eq. 2; spec 3.a).

    SIMILAR_USERS -> BASE_REASON -> EXPAND -> more levels? EXPAND : SCORE -> END

The base reason is made from the user's history and what similar users met. Each level refines every thought of the one
before it, all siblings as samples of one request: more specific, then with evidence, then without contradictions, and
so on. Nothing is pruned inside the tree, as in the paper. The leaves are weighed by every selector asked for, in one
pool, and a result keeps all thoughts, all scores and every selector's choice: one run serves all rows of a table.

No prompt sees the target or a candidate. Neither does the behaviour text that leaves are compared with, but in the
paper's oracle form, which has to be asked for by a value that says that it leaks, and marks every result.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import pulse as agents
from agents.agent import Agent, AnswerError
from graphs import thoughts as spaces
from graphs.behaviour import LEAK, Told, behaviour_text
from graphs.earlier import open_earlier, payload_of
from graphs.gather import gather
from graphs.pulse import tree
from graphs.pulse.neighbours import Neighbours, Shown, Similar, States, Time, neighbours
from graphs.pulse.tree import LIKELIHOOD, SPACE, Thought
from graphs.pulse.weigh import Weights, likelihoods, weigh
from graphs.services import Services
from graphs.users import Users, about_example
from graphs.workflow import Source, Workflow
from whyrec.data.text import captions
from whyrec.embed import open_embedder
from whyrec.errors import UsageError
from whyrec.llm.model import Refused, Request
from whyrec.records import Event, Example

NAME = "pulse.refine"
PREFERENCES = "cot_rec.preference"


@dataclass(frozen=True)
class Options:
    """Options of pulse.refine.

    Attributes:
        split: whose target is to be predicted; the history shown is everything before it.
        cap: latest events shown.
        widths: refinements per thought, level by level; "" for the base reason alone.
        selectors: what leaves are chosen by, of space, embedding, likelihood, random, longest, base.
        scored: whether only leaves can be chosen, or every thought.
        rationales: a pulse.rationale run the space is learnt from; "" for the one there is over this data, "none" for
            a space that learnt nothing.
        encoder: "head" over the embedder, or a text encoder's folder or hub name.
        learners: at most this many rationales.
        embedder: as whyrec.embed names them; lsa is fitted on the catalogue.
        behaviour: whether behaviour texts name the target: never, in training on the train split, or everywhere.
        preferences: a cot_rec.preference run of the same split whose texts join the behaviour text; "" for none.
        similar, shown: how many similar users, and how many events of each.
        states: what similarity is measured on.
        time: strict shows only what similar users had met by the time of the last event shown.
        neighbours: which of their events.
        seed: of the space and of the random selector.
    """

    split: Literal["train", "valid", "test"] = "test"
    cap: int = 12
    widths: str = "3,3"
    selectors: str = ",".join(tree.SELECTORS)
    scored: Literal["leaves", "all"] = "leaves"
    rationales: str = ""
    encoder: str = spaces.HEAD
    learners: int = 5000
    embedder: str = "lsa"
    behaviour: Told = "never"
    preferences: str = ""
    similar: int = 5
    shown: int = 3
    states: States = "svd"
    time: Time = "strict"
    neighbours: Shown = "train"
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """What does not change while the graph runs.

    Attributes:
        example: the history shown.
        prefix: digest of the whole history.
        behaviour: the text that leaves are compared with.
        widths, selectors, scored, seed: as in the options, read.
        leaks: what leaks, in words; () in every honest run.
    """

    example: Example
    prefix: str
    behaviour: str
    widths: tuple[int, ...]
    selectors: tuple[str, ...]
    scored: str
    seed: int
    leaks: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """A tree in growth.

    Attributes:
        task: see there.
        similar: events of similar users.
        thoughts: the tree so far; see graphs/pulse/tree.py.
        depth: levels grown.
        missing: refinements that could not be read; a thought may have fewer children than its level is wide, or none.
        pool: numbers of the candidates, once scored.
        scores: selector -> one score per candidate, for selectors that score.
        chosen: selector -> number of the thought chosen.
        unscored: selector -> why it could choose nothing.
    """

    task: Task
    similar: tuple[Event, ...] = ()
    thoughts: tuple[Thought, ...] = ()
    depth: int = 0
    missing: int = 0
    pool: tuple[int, ...] = ()
    scores: dict[str, list[float]] = field(default_factory=dict)
    chosen: dict[str, int] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)


class Update(TypedDict, total=False):
    """What a node may change."""

    similar: tuple[Event, ...]
    thoughts: tuple[Thought, ...]
    depth: int
    missing: int
    pool: tuple[int, ...]
    scores: dict[str, list[float]]
    chosen: dict[str, int]
    unscored: dict[str, str]


async def find_similar(state: State, runtime: Runtime[Services]) -> Update:
    """Look up what similar users met: no call."""
    return {"similar": runtime.context.part(Neighbours).events(state.task.example.user_index)}


async def reason(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for the base reason."""
    example = state.task.example
    about = about_example(example, NAME, "reason")
    found = await agents.base_reason(runtime.context.llm(), about=about, similar=state.similar, history=example.history)
    return {"thoughts": (Thought(found.text),)}


async def expand(state: State, runtime: Runtime[Services]) -> Update:
    """Refine every thought of the deepest level, all children of one in one request.

    Raises:
        AnswerError: not one refinement of the level can be read.
    """
    example, width = state.task.example, state.task.widths[state.depth]
    about, llm = about_example(example, NAME, "expand"), runtime.context.llm()
    refine = _refinement(state.depth)
    parents = tree.level(state.thoughts, state.depth)
    asks = [
        refine.many(llm, width, about=about, least=0, history=example.history, reason=state.thoughts[n].text)
        for n in parents
    ]
    families = await gather(asks)
    born = [
        Thought(child.text, state.depth + 1, parent)
        for parent, children in zip(parents, families, strict=True)
        for child in children
    ]
    if not born:
        raise AnswerError(families[0].lost[0])
    missing = state.missing + sum(children.missing for children in families)
    return {"thoughts": (*state.thoughts, *born), "depth": state.depth + 1, "missing": missing}


async def score(state: State, runtime: Runtime[Services]) -> Update:
    """Weigh the candidates by every selector and choose."""
    task, thoughts, weights = state.task, state.thoughts, runtime.context.part(Weights)
    numbers = tree.level(thoughts, state.depth) if task.scored == "leaves" else tuple(range(len(thoughts)))
    compare = partial(weigh, weights, thoughts, numbers, behaviour=task.behaviour, selectors=task.selectors)
    pool, scores = await asyncio.to_thread(compare)
    unscored: dict[str, str] = {}
    if LIKELIHOOD in task.selectors:
        try:
            scores[LIKELIHOOD] = await likelihoods(
                runtime.context.llm(), thoughts, pool, drawn_from=partial(_drawn, state)
            )
        except Refused as error:
            unscored[LIKELIHOOD] = str(error)
    chosen = {
        name: tree.pick(name, pool, scores.get(name, ()), key=task.example.key, seed=task.seed)
        for name in task.selectors
        if name not in unscored
    }
    return {"pool": pool, "scores": scores, "chosen": chosen, "unscored": unscored}


def _drawn(state: State, parent: int) -> Request:
    """The prompt that the children of a thought were drawn from; -1 for the base reason's."""
    example = state.task.example
    about = about_example(example, NAME, "score")
    if parent < 0:
        return agents.base_reason.request(1, about, {"similar": state.similar, "history": example.history})
    thought = state.thoughts[parent]
    return _refinement(thought.depth).request(1, about, {"history": example.history, "reason": thought.text})


def _refinement(depth: int) -> Agent[agents.Reason]:
    """The agent that refines thoughts of this depth."""
    return agents.REFINEMENTS[depth % len(agents.REFINEMENTS)]


def grown(state: State) -> str:
    """After a level: the next one, or weigh."""
    return "expand" if state.depth < len(state.task.widths) else "score"


def build() -> Any:
    """The tree, level by level, then the choice."""
    graph = StateGraph(State, context_schema=Services)
    for node in (find_similar, reason, expand, score):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "find_similar")
    graph.add_edge("find_similar", "reason")
    graph.add_conditional_edges("reason", grown, ["expand", "score"])
    graph.add_conditional_edges("expand", grown, ["expand", "score"])
    graph.add_edge("score", END)
    return graph.compile()


class Trees(Users):
    """One tree per user of a split. `options` are as given, with runs resolved.

    Raises:
        UsageError: options that make no tree, or runs that are not what they should be.
        UnknownNameError: a selector nobody knows.
    """

    def __init__(self, source: Source, options: Options) -> None:
        self.widths = tree.read_widths(options.widths)
        self.selectors = tree.read_selectors(options.selectors)
        for name, least in (("cap", 1), ("similar", 0), ("shown", 1), ("learners", 1)):
            if getattr(options, name) < least:
                raise UsageError(f"Option {name} is at least {least}, not {getattr(options, name)}.")
        needed = SPACE in self.selectors
        rationales = spaces.resolved(source, options.rationales) if needed else ""
        self._preferences = open_earlier(source.home, options.preferences, PREFERENCES) if options.preferences else None
        preferences = "" if self._preferences is None else self._preferences.id
        self.options = replace(options, rationales=rationales, preferences=preferences)
        self.leaks = tuple(leaks_of(source, self.options))
        super().__init__(source, options.split)

    def state(self, index: int) -> State:
        """The history, and the behaviour text leaves are compared with.

        Raises:
            MissingInput: the run of preferences lacks this user.
            LeakageError: the stored preference was made from another history.
        """
        return State(self.task(index))

    def task(self, index: int) -> Task:
        """What a tree is about; errors as in `state`."""
        options = self.options
        example = self.view.example(index, last=options.cap)
        prefix = self.view.prefix_digest(index)
        preference = ""
        if self._preferences is not None:
            preference = str(payload_of(self._preferences, example.key, prefix=prefix)["text"])
        # the oracle form of the paper, which its option's value calls a leak
        told = self.source.corpus.item(self.view.target(index)) if options.behaviour.endswith(LEAK) else None
        text = behaviour_text(example.history, preference=preference, target=told)
        return Task(example, prefix, text, self.widths, self.selectors, options.scored, options.seed, self.leaks)

    def calls(self) -> int:
        """The thoughts of every tree, and one scoring call per parent of candidates where likelihood is a selector."""
        return len(self.indices) * self.calls_each()

    def calls_each(self) -> int:
        """Calls of one tree."""
        grown = tree.sizes(self.widths)
        if LIKELIHOOD not in self.selectors:
            return sum(grown)
        before = (1, *grown[:-1])  # prompts that the thoughts of each level were drawn from
        return sum(grown) + (before[-1] if self.options.scored == "leaves" else sum(before))


def leaks_of(source: Source, options: Options) -> list[str]:
    """What leaks under resolved options, in words."""
    found = list(spaces.leaks_of(source, options.rationales)) if options.rationales else []
    if options.behaviour.endswith(LEAK):
        found.append(f"behaviour texts name the target ({LEAK})")
    if options.neighbours.endswith(LEAK):
        found.append(f"similar users' validation and test items are shown ({LEAK})")
    return found


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """Neighbours, the embedder and, where a selector asks for it, the thought space."""
    from whyrec.data.split import SplitView

    similar = Similar(options.states, options.similar, options.shown, options.time, options.neighbours)
    near = neighbours(source, SplitView(source.corpus, options.split), similar)
    embedder = open_embedder(options.embedder, fit_on=captions(source.corpus), cache=source.home / "embedders")
    space = None
    if SPACE in tree.read_selectors(options.selectors):
        how = spaces.Learning(
            spaces.resolved(source, options.rationales),
            told=options.behaviour,
            encoder=options.encoder,
            learners=options.learners,
            seed=options.seed,
        )
        space = spaces.learnt(source, how, embedder)
    return near, Weights(embedder, space)


def prompt_names(options: Options) -> tuple[str, ...]:
    """The base reason and the refinements of each level."""
    levels = range(len(tree.read_widths(options.widths)))
    return ("pulse/base_reason", *dict.fromkeys(_refinement(depth).prompt_name for depth in levels))


def result(state: State) -> dict[str, Any]:
    """What is kept: the whole tree, the candidates (`leaves`), every score and every selector's choice."""
    task = state.task
    return {
        "user": task.example.user,
        "split": task.example.split,
        "prefix": task.prefix,
        "similar": [event.item.id for event in state.similar],
        "behaviour": task.behaviour,
        "thoughts": [{"text": t.text, "depth": t.depth, "parent": t.parent} for t in state.thoughts],
        "missing": state.missing,
        "leaves": list(state.pool),
        "scores": {name: [round(s, 6) for s in found] for name, found in state.scores.items()},
        "chosen": dict(state.chosen),
        "unscored": dict(state.unscored),
        "leaks": list(task.leaks),
    }


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="the best reason out of a tree of reasons for every user, by several selectors at once",
    options=Options,
    state=State,
    build=build,
    inputs=Trees,
    result=result,
    steps=lambda state: len(state.task.widths) + 10,
    prompts=prompt_names,
    equip=equip,
)
