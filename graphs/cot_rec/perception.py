"""What a user would see in each candidate: describe the items, review them in the user's voice, keep the key terms.

    PREFER (unless stored) -> DESCRIBE (unless stored) -> REVIEW -> KEYWORDS -> END         (CoT-Rec 4.1.2, spec 2.a G3)

`batched` (the default) reviews all candidates in one call and extracts all phrases in another; `three_step` makes two
calls per candidate; `official_json` is the released code's single call for everything. The target is among the
candidates, unmarked and at a place that does not depend on it. Where the answer to a batched question stays unusable,
the question is asked for each candidate alone before the example is lost; the result names the node (`singly`).

Unusual: results are keyed by item id, not by title as in the released code, where equal titles collide. A preference
made on the fly is made by cot_rec.preference's own graph, so the calls are the same and come from the cache if that
graph ran before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import cot_rec as agents
from agents.agent import AnswerError
from graphs.cot_rec import histories as shared
from graphs.cot_rec import preference as fold
from graphs.cot_rec.histories import NO_HISTORY, Histories, Preference, Task
from graphs.outcomes import Judged, Scored, Worth
from graphs.services import Services
from graphs.shared.audited import DESCRIBED, DOMAIN, FROM_DESCRIPTIONS, FROM_PREFERENCES, WHO
from graphs.shared.catalogue import describe_items, with_descriptions
from graphs.shared.earlier_run import open_earlier, payload_of
from graphs.shared.gather import gather
from graphs.shared.worth_of_texts import words
from graphs.workflow import Source, Workflow
from whyrec.llm.model import About
from whyrec.plugins.rules import Rule, Rules
from whyrec.records import Item, Outcome, Ranking

NAME = "cot_rec.perception"
BATCHED = (
    *("cot_rec/write_reviews", "cot_rec/extract_perceptions"),
    *("cot_rec/write_review", "cot_rec/extract_perception"),  # where a batched question fails
)
PERCEIVING = {
    **DESCRIBED,
    "cot_rec/write_review": {**DOMAIN, "preference": Rule.SAID, "item": Rule.CANDIDATES},
    "cot_rec/write_reviews": {**DOMAIN, "preference": Rule.SAID, "candidates": Rule.CANDIDATES},
    "cot_rec/extract_perception": {**DOMAIN, "review": Rule.OF_CANDIDATES},
    "cot_rec/extract_perceptions": {**DOMAIN, "reviews": Rule.OF_CANDIDATES},
}
NUMBERED = ("cot_rec/write_reviews", "cot_rec/extract_perceptions")


@dataclass(frozen=True)
class Options(shared.Options):
    """Options of cot_rec.perception, beside those of every graph over histories.

    Attributes:
        mode: two calls per user, two per candidate, or the released code's one.
        preferences: id of a cot_rec.preference run of the same split; "" to make preferences on the fly.
    """

    mode: Literal["batched", "three_step", "official_json"] = "batched"
    preferences: str = ""


@dataclass(frozen=True)
class Opinion:
    """A role-played review of one item; `stance` is -2..2, None where the mode gives none."""

    id: int
    text: str
    stance: int | None = None


@dataclass(frozen=True)
class State:
    """Candidates on their way to perceptions. `described` are the candidates with their descriptions.

    `singly` are the nodes whose batched question got no usable answer, so that they asked for each candidate alone.
    """

    task: Task
    preference: Preference | None = None
    described: tuple[Item, ...] = ()
    reviews: tuple[Opinion, ...] = ()
    phrases: tuple[str, ...] = ()
    singly: tuple[str, ...] = ()


class Update(TypedDict, total=False):
    """What a node may change. Reviews and phrases are in the order of the task's candidates."""

    preference: Preference
    described: tuple[Item, ...]
    reviews: tuple[Opinion, ...]
    phrases: tuple[str, ...]
    singly: tuple[str, ...]


async def describe(state: State, runtime: Runtime[Services]) -> Update:
    """Give every candidate its objective description."""
    task = state.task
    about = task.about(NAME, "describe")
    texts = await describe_items(task.candidates, task.descriptions, runtime, about=about)
    return {"described": with_descriptions(task.candidates, texts)}


async def review(state: State, runtime: Runtime[Services]) -> Update:
    """Review every candidate in the user's voice."""
    assert state.preference is not None
    llm, about, preference = runtime.context.llm(), state.task.about(NAME, "review"), state.preference.blank
    singly = state.singly
    if state.task.mode == "batched":
        try:
            answer = await agents.write_reviews(llm, about=about, preference=preference, candidates=state.described)
        except AnswerError:
            singly = (*singly, "review")
        else:
            by_id = {r.id: Opinion(r.id, r.text, r.stance) for r in answer.items}
            return {"reviews": tuple(by_id[item.index] for item in state.described)}
    asks = [
        agents.write_review(llm, about=_of(about, item), preference=preference, item=item) for item in state.described
    ]
    found = [Opinion(item.index, r.text, r.stance) for item, r in zip(state.described, await gather(asks), strict=True)]
    return {"reviews": tuple(found), "singly": singly}


async def keywords(state: State, runtime: Runtime[Services]) -> Update:
    """Reduce every review to its key terms."""
    llm, about, singly = runtime.context.llm(), state.task.about(NAME, "keywords"), state.singly
    if state.task.mode == "batched":
        reviews = [agents.ItemReview(id=r.id, text=r.text, stance=r.stance or 0) for r in state.reviews]
        try:
            answer = await agents.extract_perceptions(llm, about=about, reviews=reviews)
        except AnswerError:
            singly = (*singly, "keywords")
        else:
            by_id = {p.id: p.phrase for p in answer.items}
            return {"phrases": tuple(by_id[r.id] for r in state.reviews)}
    asks = [
        agents.extract_perception(llm, about=_of(about, item), review=r.text)
        for item, r in zip(state.task.candidates, state.reviews, strict=True)
    ]
    return {"phrases": tuple(p.phrase for p in await gather(asks)), "singly": singly}


async def official(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for preference and perceptions in one answer, as the released code does; else for one candidate at a time."""
    task, about = state.task, state.task.about(NAME, "official")
    ask = partial(agents.official_preference_perception, runtime.context.llm(), history=task.latest)
    try:
        answers, singly = [await ask(about=about, candidates=task.candidates)], state.singly
    except AnswerError:
        if len(task.candidates) < 2:
            raise
        answers = await gather(ask(about=_of(about, item), candidates=(item,)) for item in task.candidates)
        singly = (*state.singly, "official")
    notes = {note.id: note.text for answer in answers for note in answer.candidate_temp_perception}
    phrases = {p.id: p.phrase for answer in answers for p in answer.candidate_perception}
    order = [item.index for item in task.candidates]
    return {
        "preference": Preference(answers[0].user_preferences),
        "reviews": tuple(Opinion(i, notes[i].rpartition("Comment:")[2].strip()) for i in order),
        "phrases": tuple(phrases[i] for i in order),
        "singly": singly,
    }


def begin(state: State) -> str:
    """Which way to go."""
    if state.task.mode == "official_json":
        return "official"
    return "prefer" if state.preference is None else "describe"


def build() -> Any:
    """The three steps, the fold in front of them, and the single call beside them."""
    inner = fold.build()

    async def prefer(state: State, runtime: Runtime[Services]) -> Update:
        """Make the preference on the fly, by the graph that makes it."""
        start = fold.State(replace(state.task, mode="loop"))
        limit = {"recursion_limit": fold.WORKFLOW.steps(start)}
        final = await inner.ainvoke(start, limit, context=runtime.context)
        return {"preference": final["long"]}

    graph = StateGraph(State, context_schema=Services)
    for node in (prefer, describe, review, keywords, official):
        graph.add_node(node.__name__, node)
    graph.add_conditional_edges(START, begin, ["prefer", "describe", "official"])
    for first, then in (("prefer", "describe"), ("describe", "review"), ("review", "keywords")):
        graph.add_edge(first, then)
    graph.add_edge("keywords", END)
    graph.add_edge("official", END)
    return graph.compile()


class Pairs(Histories[Options]):
    """One example per user of a split: the user and the candidates.

    Raises:
        UsageError: also for a run of preferences that is not one.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self._preferences = open_earlier(source.home, options.preferences, fold.NAME) if options.preferences else None
        if self._preferences is not None:
            self.options = replace(self.options, preferences=self._preferences.id)

    def state(self, index: int) -> State:
        """The candidates, with the stored preference if there is one.

        Raises:
            MissingInput: the run of preferences, or of descriptions, lacks this user or an item.
            LeakageError: the stored preference was made from another history.
        """
        task = self.task(index, self.options.mode, with_candidates=True)
        if not task.example.history:
            return State(task, preference=NO_HISTORY)
        if self._preferences is None:
            return State(task)
        stored = payload_of(self._preferences, task.example.key, prefix=task.prefix)
        return State(task, preference=fold.stored_preference(stored))

    def calls(self) -> int:
        """Of all examples; at most one more per item described and the folds made on the fly.

        Batched questions that are asked again for each candidate are left aside, as repairs are.
        """
        users, shown = len(self.indices), len(self.indices) * self.options.candidates
        if self.options.mode == "official_json":
            return users
        folds = 0 if self._preferences is not None else self.fold_calls(self.lengths)
        pairs = 2 * (users if self.options.mode == "batched" else shown)
        return pairs + folds + self.description_calls(shown)

    def shared(self) -> dict[str, tuple[int, int]]:
        """Every item is described once, however many users it is shown to."""
        if self.options.mode == "official_json" or self.options.descriptions:
            return {}
        shown = len(self.indices) * self.options.candidates
        return {"describe": (self.description_calls(shown), self.distinct_candidates())}


def prompt_names(options: Options) -> tuple[str, ...]:
    """Prompts of a mode."""
    if options.mode == "official_json":
        return ("cot_rec/official_preference_perception",)
    folding = () if options.preferences else ("cot_rec/summarise_batch", "cot_rec/merge_preference")
    describing = () if options.descriptions else ("shared/describe_item",)
    steps = {
        "batched": BATCHED,
        "three_step": ("cot_rec/write_review", "cot_rec/extract_perception"),
    }[options.mode]
    return (*folding, *describing, *steps)


def result(state: State) -> dict[str, Any]:
    """What is kept: per candidate, by item id and in the order shown, the review, the stance and the phrase."""
    task, rows = state.task, zip(state.task.candidates, state.reviews, state.phrases, strict=True)
    assert state.preference is not None
    return {
        "user": task.example.user,
        "split": task.example.split,
        "prefix": task.prefix,
        "preference": state.preference.summary,
        "singly": list(state.singly),
        "perceptions": [
            {"item": item.id, "index": item.index, "review": r.text, "stance": r.stance, "phrase": phrase}
            for item, r, phrase in rows
        ],
    }


def _of(about: About, item: Item) -> About:
    return replace(about, item=item.id)


def outcomes(judged: Judged) -> list[Worth | Scored]:
    """Where the target comes among the candidates by the stances of their reviews, where these have any; words."""
    view, found = judged.view, dict[str, Outcome]()
    texts = {r.key: " ".join(row["phrase"] for row in p["perceptions"]) for r, p in judged.done}
    for result, payload in judged.done:
        user = int(view.corpus.user_index[result.user])
        stances = {row["index"]: row["stance"] for row in payload["perceptions"]}
        if None not in stances.values():
            ours = stances[view.target(user)]
            better, equal = (sum(s > ours for s in stances.values()), sum(s == ours for s in stances.values()) - 1)
            found[result.key] = Ranking(user, better, equal, len(stances))
    return [*([Scored("mrr@10", found, "mrr@10 by stance")] if found else []), words(texts)]


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="what every user would see in each of some candidates",
    options=Options,
    state=State,
    build=build,
    inputs=Pairs,
    result=result,
    steps=lambda state: 20,
    prompts=prompt_names,
    audit=Rules(
        blanks={**fold.FOLDING, **fold.OFFICIAL, **PERCEIVING},
        numbered=(*NUMBERED, *fold.OFFICIAL),
        results={**WHO, "preference": Rule.SAID, "perceptions": Rule.OF_CANDIDATES},
        earlier={"descriptions": FROM_DESCRIPTIONS, "preferences": FROM_PREFERENCES},
    ),
    outcomes=outcomes,
)
