"""What a user likes, read the way an RNN reads: batch by batch, each summary merged into the preference so far.

    SUMMARISE(k) -> k == 0 ? INIT_LONG : MERGE -> more batches ? SUMMARISE(k + 1) : END     (CoT-Rec 4.1.1, spec 2.a G2)

The first summary is the first preference, without a call. An empty history has a constant preference, without a call.
A stored preference of a shorter prefix (`base`) is taken up where it ended: only the events after it are summarised
and merged, two calls for up to a batch of them.

Unusual: the released code has no loop. Its two one-shot prompts are kept as modes, `official_keywords` (keywords from
the last ten items) and `official_json` (preference and perceptions of candidates in one answer, shared with
cot_rec.perception through the call cache).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import cot_rec as agents
from graphs.cot_rec import fold
from graphs.cot_rec import histories as shared
from graphs.cot_rec.histories import NO_HISTORY, OFFICIAL_EVENTS, Histories, Preference, Task
from graphs.services import Services
from graphs.shared.audited import DESCRIBED, DOMAIN, FROM_DESCRIPTIONS, HISTORY, WHO
from graphs.shared.catalogue import describe_items, with_descriptions
from graphs.shared.earlier_run import open_earlier
from graphs.shared.worth_of_texts import of_user
from graphs.workflow import MissingInput, Source, Workflow
from whyrec.data.split import SplitView, prefix_digest
from whyrec.errors import LeakageError, UsageError
from whyrec.plugins.rules import Builds, Rule, Rules
from whyrec.records import Split

NAME = "cot_rec.preference"
FOLDING = {
    "cot_rec/summarise_batch": HISTORY,
    "cot_rec/merge_preference": {**DOMAIN, "long": Rule.SAID, "short": Rule.SAID},
}
OFFICIAL = {"cot_rec/official_preference_perception": {**HISTORY, "candidates": Rule.CANDIDATES}}


@dataclass(frozen=True)
class Options(shared.Options):
    """Options of cot_rec.preference, beside those of every graph over histories.

    Attributes:
        mode: the paper's loop, or one of the released code's one-shot prompts.
        base: id of a cot_rec.preference run with preferences of shorter prefixes to go on from; "" to begin anew.
    """

    mode: Literal["loop", "official_keywords", "official_json"] = "loop"
    base: str = ""


@dataclass(frozen=True)
class State:
    """A fold in progress: batches before `k` are in `long`; `short` is the summary of batch k."""

    task: Task
    k: int = 0
    merges: int = 0
    short: agents.ShortTermInterest | None = None
    long: Preference | None = None


class Update(TypedDict, total=False):
    """What a node may change."""

    k: int
    merges: int
    short: agents.ShortTermInterest
    long: Preference


async def summarise(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for the short-term interest behind batch k."""
    about, batch = state.task.about(NAME, "summarise"), state.task.batches[state.k]
    return {"short": await agents.summarise_batch(runtime.context.llm(), about=about, history=batch)}


async def init_long(state: State, runtime: Runtime[Services]) -> Update:
    """Take the first interest for the first preference: no call."""
    assert state.short is not None
    return {"long": Preference.from_answer(state.short), "k": state.k + 1}


async def merge(state: State, runtime: Runtime[Services]) -> Update:
    """Fold the interest of batch k into the preference."""
    assert state.long is not None
    about, long = state.task.about(NAME, "merge"), state.long.blank
    answer = await agents.merge_preference(runtime.context.llm(), about=about, long=long, short=state.short)
    return {"long": Preference.from_answer(answer), "k": state.k + 1, "merges": state.merges + 1}


async def official_keywords(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for keywords from the described last ten items, as the released code does."""
    task, about = state.task, state.task.about(NAME, "official_keywords")
    items = [event.item for event in task.latest]
    texts = await describe_items(items, task.descriptions, runtime, about=about)
    shown = with_descriptions(items, texts)
    history = tuple(replace(event, item=item) for event, item in zip(task.latest, shown, strict=True))
    answer = await agents.official_keywords(runtime.context.llm(), about=about, history=history)
    return {"long": Preference(", ".join(answer.keywords), answer.keywords)}


async def official_json(state: State, runtime: Runtime[Services]) -> Update:
    """Take the preference part of the released code's single JSON answer."""
    task, about = state.task, state.task.about(NAME, "official_json")
    answer = await agents.official_preference_perception(
        runtime.context.llm(), about=about, history=task.latest, candidates=task.candidates
    )
    return {"long": Preference(answer.user_preferences)}


def begin(state: State) -> str:
    """Which way to read this history."""
    task = state.task
    return task.mode if task.mode != "loop" and task.example.history else more(state)


def fold_in(state: State) -> str:
    """After a summary: begin with it, or merge it."""
    return "init_long" if state.long is None else "merge"


def more(state: State) -> str:
    """Before batch k: read it, or done."""
    return "summarise" if state.k < len(state.task.batches) else END


def build() -> Any:
    """The fold, and the one-shot modes beside it."""
    graph = StateGraph(State, context_schema=Services)
    for node in (summarise, init_long, merge, official_keywords, official_json):
        graph.add_node(node.__name__, node)
    graph.add_conditional_edges(START, begin, ["summarise", "official_keywords", "official_json", END])
    graph.add_conditional_edges("summarise", fold_in, ["init_long", "merge"])
    graph.add_conditional_edges("init_long", more, ["summarise", END])
    graph.add_conditional_edges("merge", more, ["summarise", END])
    graph.add_edge("official_keywords", END)
    graph.add_edge("official_json", END)
    return graph.compile()


class Folds(Histories[Options]):
    """One fold per user of a split.

    Raises:
        UsageError: also for a base run that is not there, is of another graph or of a split that is not earlier, or
            goes with a one-shot mode.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        if options.base and options.mode != "loop":
            raise UsageError(f"Option base goes on with the fold, so it needs mode=loop, not mode={options.mode}.")
        self._base = open_earlier(source.home, options.base, NAME) if options.base else None
        if self._base is not None:
            self.options = replace(self.options, base=self._base.id)
            self._base_split: Split = json.loads(self._base.info()["settings"])["options"]["split"]

    def state(self, index: int) -> State:
        """The fold before its first batch, or as the stored preference left it.

        Raises:
            MissingInput: the base run, or the run of descriptions, lacks this user or an item.
            LeakageError: the stored preference was not made from a prefix of this history.
        """
        mode = self.options.mode
        task = self.task(index, mode, with_candidates=mode == "official_json")
        if not task.example.history:
            return State(task, long=NO_HISTORY)
        return State(task) if self._base is None else self._go_on(index, task)

    def calls(self) -> int:
        """Of all folds; where items are described on the fly, at most one more per item."""
        mode, shown = self.options.mode, int((self.lengths > 0).sum())
        if mode == "official_json":
            return shown
        if mode == "official_keywords":
            return shown + self.description_calls(int(np.minimum(self.lengths, OFFICIAL_EVENTS).sum()))
        if self._base is None:
            return self.fold_calls(self.lengths)
        before = SplitView(self.source.corpus, self._base_split)
        known = np.array([len(before.history(int(u))) for u in self.indices], dtype=np.int64)
        return self.fold_calls(self.lengths - known, more=True)

    def _go_on(self, index: int, task: Task) -> State:
        """Take up the stored preference: only the events after its prefix are batched."""
        assert self._base is not None
        user = task.example.user
        stored = self._base.result(f"{self._base_split}/{user}")
        if stored is None or stored.payload is None:
            raise MissingInput(f"run {self._base.id} has no preference of user {user}")
        prefix, before = self.view.history(index), int(stored.payload["events"])
        if before > len(prefix) or prefix_digest(prefix[:before]) != stored.payload["prefix"]:
            raise LeakageError(
                f"The preference of user {user} in run {self._base.id} was made from {before} events that are not "
                f"the first events of the {self.view.split} history. Name a base run of an earlier split."
            )
        new = min(len(prefix) - before, len(task.example.history))
        events = task.example.history[len(task.example.history) - new :]
        batches = fold.batches(events, self.options.batch, self.options.overlap)
        return State(replace(task, batches=batches), long=stored_preference(stored.payload) if before else None)


def stored_preference(payload: Mapping[str, Any]) -> Preference:
    """The preference in a stored result of this graph."""
    lists = (tuple(payload[name]) for name in ("keywords", "kept", "dropped", "added"))
    return Preference(payload["text"], *lists)


def prompt_names(options: Options) -> tuple[str, ...]:
    """Prompts of a mode."""
    return {
        "loop": ("cot_rec/summarise_batch", "cot_rec/merge_preference"),
        "official_keywords": ("shared/describe_item", "cot_rec/official_keywords"),
        "official_json": ("cot_rec/official_preference_perception",),
    }[options.mode]


def result(state: State) -> dict[str, Any]:
    """What is kept: the preference, what it was made from, and how many batches and merges it took."""
    long, task = state.long, state.task
    assert long is not None
    return {
        "user": task.example.user,
        "split": task.example.split,
        "prefix": task.prefix,
        "events": task.events,
        "text": long.summary,
        "keywords": list(long.keywords),
        "kept": list(long.kept),
        "dropped": list(long.dropped),
        "added": list(long.added),
        "batches": len(task.batches) if task.mode == "loop" else 0,
        "merges": state.merges,
    }


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="long-term preference of every user, folded over batches of the history",
    options=Options,
    state=State,
    build=build,
    inputs=Folds,
    result=result,
    steps=lambda state: 4 * len(state.task.batches) + 10,  # spec 7.8
    prompts=prompt_names,
    audit=Rules(
        blanks={**FOLDING, **DESCRIBED, "cot_rec/official_keywords": HISTORY, **OFFICIAL},
        numbered=tuple(OFFICIAL),
        results={
            **WHO, "text": Rule.SAID, "keywords": Rule.SAID, "kept": Rule.SAID, "dropped": Rule.SAID,
            "added": Rule.SAID, "batches": Rule.NUMBERS, "merges": Rule.NUMBERS,
        },
        earlier={
            "descriptions": FROM_DESCRIPTIONS,
            "base": Builds(("same", "earlier"), "a fold goes on from a prefix, never from something longer"),
        },
    ),
    outcomes=of_user(lambda payload: str(payload["text"])),
    texts=("preferences", lambda result, payload: [(result.user or result.key, str(payload["text"]))]),
)  # fmt: skip
