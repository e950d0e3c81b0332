"""The best reason out of a tree of reasons: PULSE's phase II (4.2, eq. 2; spec 3.a).

    SIMILAR_USERS -> BASE_REASON -> EXPAND -> (pruned? JUDGE) -> more levels? EXPAND : SCORE -> END

The base reason is made from the user's history and what similar users met. Each level refines every thought of the one
before it, all siblings as samples of one request: more specific, then with evidence, then without contradictions, and
so on. Nothing is pruned inside the tree, as in the paper; `prune=value|vote` is the deliberate search of Tree of
Thoughts instead (deliberate.py). The leaves are weighed by every selector asked for, in one pool, and a result keeps
all thoughts, all scores and every selector's choice: one run serves all rows of a table.

No prompt sees the target or a candidate; what a tree is about is made in trees.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import pulse as agents
from agents.agent import Agent, AnswerError
from agents.domain import domain_of
from graphs.pulse import audited, deliberate, tree
from graphs.pulse.neighbours import Neighbours
from graphs.pulse.tree import JUDGED, LIKELIHOOD, Thought
from graphs.pulse.trees import Options, Task, Trees, equip, search_of
from graphs.pulse.weigh import Weights, likelihoods, weigh
from graphs.services import JUDGE, WRITER, Services
from graphs.shared.audited import WHO
from graphs.shared.gather import gather
from graphs.shared.users import about_example
from graphs.shared.worth_of_texts import of_user
from graphs.workflow import Sample, Workflow
from whyrec.llm.model import Refused, Request
from whyrec.plugins.rules import Rule, Rules
from whyrec.records import Domain, Event
from whyrec.runs import Result

__all__ = ["NAME", "WORKFLOW", "State", "build"]

NAME = "pulse.refine"


@dataclass(frozen=True)
class State:
    """A tree in growth.

    Attributes:
        task: see there.
        similar: events of similar users.
        thoughts: the tree so far; see graphs/pulse/tree.py.
        depth: levels grown.
        kept: numbers of the deepest thoughts that are refined further; () for all of them.
        judged: number -> what the model held a thought to be worth, where it was asked.
        missing: refinements that could not be read; a thought may have fewer children than its level is wide, or none.
        unjudged: judgements that could not be read.
        pool: numbers of the candidates, once scored.
        scores: selector -> one score per candidate, for selectors that score.
        chosen: selector -> number of the thought chosen.
        unscored: selector -> why it could choose nothing.
    """

    task: Task
    similar: tuple[Event, ...] = ()
    thoughts: tuple[Thought, ...] = ()
    depth: int = 0
    kept: tuple[int, ...] = ()
    judged: dict[int, float] = field(default_factory=dict)
    missing: int = 0
    unjudged: int = 0
    pool: tuple[int, ...] = ()
    scores: dict[str, list[float]] = field(default_factory=dict)
    chosen: dict[str, int] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)


class Update(TypedDict, total=False):
    """What a node may change."""

    similar: tuple[Event, ...]
    thoughts: tuple[Thought, ...]
    depth: int
    kept: tuple[int, ...]
    judged: dict[int, float]
    missing: int
    unjudged: int
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
    """Refine the thoughts of the deepest level that are kept, all children of one in one request.

    Raises:
        AnswerError: not one refinement of the level can be read.
    """
    example, width = state.task.example, state.task.search.widths[state.depth]
    about, llm = about_example(example, NAME, "expand"), runtime.context.llm()
    refine = _refinement(state.depth)
    parents = state.kept or tree.level(state.thoughts, state.depth)
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
    return {"thoughts": (*state.thoughts, *born), "depth": state.depth + 1, "kept": (), "missing": missing}


async def judge(state: State, runtime: Runtime[Services]) -> Update:
    """Have the deepest thoughts judged, and keep the best."""
    example, search = state.task.example, state.task.search
    about, numbers = about_example(example, NAME, "judge"), tree.level(state.thoughts, state.depth)
    told: dict[str, Any] = {"about": about, "history": example.history}
    found = await deliberate.judge(runtime.context.llm(JUDGE), search, state.thoughts, numbers, **told)
    return {
        "judged": {**state.judged, **found.worth},
        "kept": deliberate.best(found, state.thoughts, search.beam),
        "unjudged": state.unjudged + found.missing,
    }


async def score(state: State, runtime: Runtime[Services]) -> Update:
    """Weigh the candidates by every selector and choose."""
    task, thoughts, weights = state.task, state.thoughts, runtime.context.part(Weights)
    numbers = tree.level(thoughts, state.depth) if task.scored == "leaves" else tuple(range(len(thoughts)))
    compare = partial(weigh, weights, thoughts, numbers, behaviour=task.behaviour, selectors=task.selectors)
    pool, scores = await asyncio.to_thread(compare)
    if JUDGED in task.selectors:
        scores[JUDGED] = [state.judged.get(number, 0.0) for number in pool]  # nobody judges a leaf that is alone
    unscored: dict[str, str] = {}
    if LIKELIHOOD in task.selectors:
        llm = runtime.context.llm()
        try:
            scores[LIKELIHOOD] = await likelihoods(
                llm, thoughts, pool, drawn_from=partial(_drawn, state, domain_of(llm))
            )
        except Refused as error:
            unscored[LIKELIHOOD] = str(error)
    chosen = {
        name: tree.pick(name, pool, scores.get(name, ()), key=task.example.key, seed=task.seed)
        for name in task.selectors
        if name not in unscored
    }
    return {"pool": pool, "scores": scores, "chosen": chosen, "unscored": unscored}


def _drawn(state: State, domain: Domain, parent: int) -> Request:
    """The prompt that the children of a thought were drawn from; -1 for the base reason's."""
    example = state.task.example
    about = about_example(example, NAME, "score")
    if parent < 0:
        shown = {"similar": state.similar, "history": example.history}
        return agents.base_reason.request(1, about, shown, domain)
    thought = state.thoughts[parent]
    return _refinement(thought.depth).request(1, about, {"history": example.history, "reason": thought.text}, domain)


def _refinement(depth: int) -> Agent[agents.Reason]:
    """The agent that refines thoughts of this depth."""
    return agents.REFINEMENTS[depth % len(agents.REFINEMENTS)]


def grown(state: State) -> str:
    """After a level: judge it if that is wanted and not done, then the next one, or weigh."""
    search, born = state.task.search, tree.level(state.thoughts, state.depth)
    if search.is_judged(state.depth, len(born)) and born[-1] not in state.judged:
        return "judge"
    return "expand" if state.depth < len(search.widths) else "score"


def build() -> Any:
    """The tree, level by level, then the choice."""
    graph = StateGraph(State, context_schema=Services)
    for node in (find_similar, reason, expand, judge, score):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "find_similar")
    graph.add_edge("find_similar", "reason")
    graph.add_conditional_edges("reason", grown, ["expand", "score"])
    graph.add_conditional_edges("expand", grown, ["expand", "judge", "score"])
    graph.add_conditional_edges("judge", grown, ["expand", "score"])
    graph.add_edge("score", END)
    return graph.compile()


class Grown(Trees):
    """One tree per user of a split, to be grown; errors as `Trees`."""

    def state(self, index: int) -> State:
        """The base of a tree; errors as `Trees.task`."""
        return State(self.task(index))


def prompt_names(options: Options) -> tuple[str, ...]:
    """The base reason, the refinements of each level and what judges them."""
    search = search_of(options)
    refined = dict.fromkeys(_refinement(depth).prompt_name for depth in range(len(search.widths)))
    return ("pulse/base_reason", *refined, *((deliberate.PROMPTS[search.how],) if search.judging else ()))


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
        "judged": {str(number): round(worth, 6) for number, worth in sorted(state.judged.items())},
        "missing": state.missing,
        "unjudged": state.unjudged,
        "leaves": list(state.pool),
        "scores": {name: [round(s, 6) for s in found] for name, found in state.scores.items()},
        "chosen": dict(state.chosen),
        "unscored": dict(state.unscored),
        "leaks": list(task.leaks),
    }


def texts(result: Result, payload: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Each thought that a selector chose, named after its selectors."""
    selectors: dict[int, list[str]] = {}
    for selector, number in payload["chosen"].items():
        selectors.setdefault(int(number), []).append(selector)
    for number, names in selectors.items():
        yield f"{result.user} {','.join(names)}", str(payload["thoughts"][number]["text"])


def _chosen(payload: Mapping[str, Any]) -> str:
    """The reason that the first selector chose."""
    number = next(iter(payload["chosen"].values()), 0)
    return str(payload["thoughts"][number]["text"])


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="the best reason out of a tree of reasons for every user, by several selectors at once",
    options=Options,
    state=State,
    build=build,
    inputs=Grown,
    result=result,
    steps=lambda state: 2 * len(state.task.search.widths) + 10,
    prompts=prompt_names,
    roles=(WRITER, JUDGE),
    equip=equip,
    audit=Rules(
        blanks=audited.BLANKS,
        results={
            **WHO, "similar": Rule.NEIGHBOURS, "behaviour": Rule.BEHAVIOUR, "thoughts": Rule.SAID,
            **dict.fromkeys(("judged", "unjudged", "leaves", "scores", "chosen", "unscored"), Rule.NUMBERS),
        },
        earlier=audited.EARLIER,
        switches=audited.SWITCHES,
    ),
    outcomes=of_user(_chosen),
    texts=("reasons", texts),
    sample=Sample(options={"rationales": "none"}),
)  # fmt: skip
