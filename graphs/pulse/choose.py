"""Pick the next item among frozen candidates, given the history and a reason (PULSE 4.2, eq. 3, with an untuned model).

    REASON (unless stored or not wanted) -> CHOOSE -> END

The reason is one that a selector chose: in a pulse.refine run, or made on the fly by pulse.refine's own graph, so that
the calls are the same and come from the cache. The candidates are the frozen 1 + 9 with the target unmarked among
them; the probabilities of their letters rank them. No state knows which of them is the target.

Unusual: position bias is measured by `placements=10` in two ways (graphs/shared/placements.py): rotations of the order,
and the target changing places with each of the others, for which `Choices` looks at the target before there is a state.
And `whose=another` shows the reason of another user: a placebo, which must not win.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import pulse as agents
from agents.ranker import letters
from graphs.outcomes import Judged, Scored, Worth, scored
from graphs.pulse import audited, refine, tree, trees
from graphs.pulse.tree import chosen_text
from graphs.services import JUDGE, WRITER, Services
from graphs.shared import placements
from graphs.shared.audited import HISTORY, WHO
from graphs.shared.earlier_run import open_earlier, payload_of
from graphs.shared.gather import gather
from graphs.shared.placements import Order, Placing
from graphs.shared.users import Users, about_example
from graphs.workflow import ADDED, MissingInput, Sample, Source, Workflow
from whyrec.data.some import Drawn, in_turn
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.llm.labels import LabelReading, Way
from whyrec.plugins.rules import Builds, Rule, Rules
from whyrec.records import Failure, Item, Outcome, Ranking
from whyrec.runs import Result

NAME = "pulse.choose"
RANKER = "ranker"
NONE = "none"
WAYS: tuple[Way, ...] = ("logprobs", "score", "answer")
_MOST = 20


@dataclass(frozen=True)
class Options(trees.Options):
    """Options of pulse.choose, beside those of the tree that reasons are made with on the fly.

    Attributes:
        selector: whose choice of reason is shown; "none" for the history alone.
        reasons: a pulse.refine run of the same split; "" to make reasons on the fly.
        whose: the user's own reason, or as a placebo that of another (needs `reasons`).
        latest: latest events shown beside the reason.
        candidates, draw: how many candidates, and the seed of their draw.
        placements: 1, or as many as there are candidates: the orders position bias is measured by.
        placing: these orders are rotations, or the target's change of places with each of the others, or both.
        labels: how the letters are read: in the first way that the model can, or in this one.
    """

    selector: Literal["space", "embedding", "likelihood", "random", "longest", "base", "judged", "none"] = "space"
    reasons: str = ""
    whose: Literal["own", "another"] = "own"
    latest: int = 10
    candidates: int = 10
    draw: int = 0
    placements: int = 1
    placing: Placing = field(default="rotate", metadata=ADDED)
    labels: Literal["any", "logprobs", "score", "answer"] = field(default="any", metadata=ADDED)


@dataclass(frozen=True)
class State:
    """A choice in the making.

    Attributes:
        tree: the task of the tree that makes the reason; its example is the history.
        selector: as in the options.
        latest: events shown.
        candidates: in the order drawn.
        orders: rotations asked about, as places in `candidates`, the order drawn first.
        reason: None until it is there; "" where none is wanted.
        swapped: orders in which one candidate changes places with each, asked about after the rotations.
        ways: in which letters may be read.
        readings: one per order, the rotations' first.
    """

    tree: trees.Task
    selector: str
    latest: int
    candidates: tuple[Item, ...]
    orders: tuple[Order, ...]
    swapped: tuple[Order, ...] = ()
    ways: tuple[Way, ...] = WAYS
    reason: str | None = None
    readings: tuple[LabelReading, ...] = ()


class Update(TypedDict, total=False):
    """What a node may change."""

    reason: str
    readings: tuple[LabelReading, ...]


async def choose(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for the probabilities of the letters, once per order."""
    example, llm = state.tree.example, runtime.context.llm(RANKER)
    about, labels = about_example(example, NAME, "choose"), letters(len(state.candidates))
    ask = replace(agents.choose_with_reason if state.reason else agents.choose, ways=state.ways)
    told: dict[str, Any] = {"history": example.history[-state.latest :]}
    if state.reason:
        told["reason"] = state.reason
    wanted = list(dict.fromkeys((*state.orders, *state.swapped)))
    asks = [ask(llm, labels, about=about, options=[state.candidates[i] for i in order], **told) for order in wanted]
    found = dict(zip(wanted, await gather(asks), strict=True))
    return {"readings": tuple(found[order] for order in (*state.orders, *state.swapped))}


def begin(state: State) -> str:
    """Whether a reason has to be made first."""
    return "make_reason" if state.reason is None else "choose"


def build() -> Any:
    """The choice, and in front of it the graph that makes the reason."""
    growing = refine.build()

    async def make_reason(state: State, runtime: Runtime[Services]) -> Update:
        """Make the reason on the fly, by the graph that makes it."""
        start = refine.State(state.tree)
        limit = {"recursion_limit": refine.WORKFLOW.steps(start)}
        final = refine.State(**await growing.ainvoke(start, limit, context=runtime.context))
        if state.selector in final.unscored:
            raise MissingInput(final.unscored[state.selector])
        return {"reason": final.thoughts[final.chosen[state.selector]].text}

    graph = StateGraph(State, context_schema=Services)
    graph.add_node("make_reason", make_reason)
    graph.add_node("choose", choose)
    graph.add_conditional_edges(START, begin, ["make_reason", "choose"])
    graph.add_edge("make_reason", "choose")
    graph.add_edge("choose", END)
    return graph.compile()


class Choices(Users):
    """One choice per user of a split. `options` are as given, with runs resolved.

    Raises:
        UsageError: sizes that make no choice, a placebo without a run of reasons, a run that is not one of reasons.
    """

    def __init__(self, source: Source, options: Options) -> None:
        if not 2 <= options.candidates <= _MOST:
            raise UsageError(f"Option candidates is between 2 and {_MOST}, not {options.candidates}.")
        placements.check(options.placements, options.candidates, options.placing)
        if options.latest < 1:
            raise UsageError(f"Option latest is at least 1, not {options.latest}.")
        if options.whose == "another" and not (options.reasons and options.selector != NONE):
            raise UsageError("Another user's reason is read from a pulse.refine run: name it (option reasons).")
        self._reasons = open_earlier(source.home, options.reasons, refine.NAME) if options.reasons else None
        made = replace(options, selectors=_wanted(options), reasons="" if self._reasons is None else self._reasons.id)
        self._trees = trees.Trees(source, made)
        resolved = self._trees.options
        assert isinstance(resolved, Options)
        self.options = resolved
        super().__init__(source, options.split)

    def state(self, index: int) -> State:
        """The candidates, with the stored reason if there is one.

        Raises:
            MissingInput: the run of reasons lacks this user, or its selector could not choose.
            LeakageError: the stored reason was made from another history.
        """
        options = self.options
        task = self._trees.task(index)
        items = self.candidates(index, options.candidates, options.draw)
        ways = WAYS if options.labels == "any" else (options.labels,)
        orders = placements.rotations(range(len(items)), options.placements, options.placing)
        start = State(task, options.selector, options.latest, items, orders, self._swaps(index, items), ways)
        if options.selector == NONE:
            return replace(start, reason="")
        if self._reasons is None:
            return start
        whose = index if options.whose == "own" else self._another(index)
        payload = payload_of(self._reasons, self.key(whose), prefix=self.view.prefix_digest(whose))
        reason = chosen_text(payload, options.selector)
        if reason is None:
            why = payload["unscored"].get(options.selector, "it was not among the run's selectors")
            raise MissingInput(f"run {self._reasons.id} has no reason chosen by {options.selector}: {why}")
        return replace(start, reason=reason, tree=replace(task, leaks=tuple(payload["leaks"])))

    def calls(self) -> int:
        """One per placement, and the tree where it is made on the fly."""
        o = self.options
        made = o.selector == NONE or self._reasons is not None
        asked = placements.calls(o.placements, o.candidates, o.placing)
        return len(self.indices) * (asked + (0 if made else self._trees.calls_each()))

    def _swaps(self, index: int, items: tuple[Item, ...]) -> tuple[Order, ...]:
        """Orders in which the target changes places: only those look at it, and none enters a state by its name."""
        if self.options.placing == "rotate":
            return ()
        places = [item.index for item in items]
        return placements.swaps(range(len(items)), places.index(self.view.target(index)), self.options.placing)

    def _another(self, index: int) -> int:
        """Who is drawn before this user, or stands before them in the file where the run of reasons lacks the former.

        For the first, the second. Where a run of reasons over the first users grew since, it may be another.
        """
        assert self._reasons is not None
        drawn, listed = (turn[index] for turn in self._before)
        return drawn if self._reasons.statuses([self.key(drawn)]) else listed

    @cached_property
    def _before(self) -> tuple[dict[int, int], dict[int, int]]:
        turns = [in_turn(self.view.users, wanted).tolist() for wanted in (Drawn(len(self.view.users)), None)]
        drawn, listed = (dict(zip(turn, (*turn[1:2], *turn), strict=False)) for turn in turns)
        return drawn, listed


def _wanted(options: Options) -> str:
    """The selectors that a tree made on the fly has to run: the one whose choice is shown."""
    needed = options.selector != NONE and not options.reasons
    return options.selector if needed else tree.BASE


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """What a tree needs, where one is made on the fly."""
    if options.selector == NONE or options.reasons:
        return ()
    return trees.equip(source, replace(options, selectors=_wanted(options)))


def prompt_names(options: Options) -> tuple[str, ...]:
    """The choice, and the tree where it is made on the fly."""
    if options.selector == NONE:
        return ("pulse/choose",)
    made = () if options.reasons else refine.prompt_names(options)
    return (*made, "pulse/choose_with_reason")


def result(state: State) -> dict[str, Any]:
    """What is kept: the reason, the candidates shown (item indices) and the probability of each letter per order.

    Rotation r shows the same order rotated by r: its letter at place p is the item `shown[(p + r) % len(shown)]`.
    """
    task, first = state.tree, state.readings[0]
    return {
        "user": task.example.user,
        "split": task.example.split,
        "prefix": task.prefix,
        "selector": state.selector,
        "reason": state.reason,
        "shown": [item.index for item in state.candidates],
        **placements.told(state.readings, len(state.orders)),
        "mass": None if np.isnan(first.mass) else round(first.mass, 6),
        "leaks": list(task.leaks),
    }


def outcomes(judged: Judged) -> list[Worth | Scored]:
    """Where each result has the target."""
    view = judged.view
    return scored({result.key: outcome(view, result) for result in judged.results}, "mrr@10", "hr@1")


def outcome(view: SplitView, result: Result) -> Outcome:
    """Where the target came among the candidates in the first order shown."""
    user = int(view.corpus.user_index[result.user])
    if result.payload is None:
        return Failure(user, result.reason)
    shown, told = result.payload["shown"], result.payload["probabilities"][0]
    better, ties = _above(told, shown.index(view.target(user)))
    return Ranking(user, better, ties, len(shown))


def _above(probabilities: Sequence[float], at: int) -> tuple[int, int]:
    """(options likelier than this one, others equally likely)."""
    ours = probabilities[at]
    return sum(p > ours for p in probabilities), sum(p == ours for p in probabilities) - 1


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="which of ten frozen candidates comes next, given the history and a reason",
    options=Options,
    state=State,
    build=build,
    inputs=Choices,
    result=result,
    steps=lambda state: 10,
    prompts=prompt_names,
    roles=(WRITER, JUDGE, RANKER),
    equip=equip,
    audit=Rules(
        blanks={
            **audited.BLANKS,
            "pulse/choose": {**HISTORY, "options": Rule.CANDIDATES},
            "pulse/choose_with_reason": {**HISTORY, "reason": Rule.SAID, "options": Rule.CANDIDATES},
        },
        results={
            **WHO,
            "reason": Rule.SAID,
            **dict.fromkeys(("shown", "probabilities", "mass"), Rule.NUMBERS),
        },
        order="shown",
        earlier={
            **audited.EARLIER,
            "reasons": Builds(("same",), "a reason made for a later split has read this split's target"),
        },
        switches=audited.SWITCHES,
    ),
    outcomes=outcomes,
    sample=Sample(options={"rationales": "none"}),
)
