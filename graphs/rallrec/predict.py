"""Would this user like this item? Reasoning samples, each read out as P(yes), merged with an expert (RALLRec+ 4.3).

    LOOK_UP -> mode "reason":  REASON -> READ_OUT -> MERGE -> END
            -> mode "direct":  ANSWER -> MERGE -> END                (no thought: the papers' general model)

LOOK_UP retrieves what of the history is shown and asks the expert, whose opinion stands in the prompt (`hint`) and is
merged with the samples. Everything that Table 5 and the figures vary follows from what one run keeps per row: P(yes)
and length of each sample, the expert's opinion with its variance, the ids shown.

Unusual: `hint=flipped` and `hint=placebo` (another row's opinion) show whether the model only copies the hint, and
`reasons=placebo` reads out the thoughts about another user's row: a method that is worth something loses by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import rallrec as agents
from agents.rallrec import ReadOut, Trace
from graphs.rallrec import options as shared
from graphs.rallrec.clicks import AUDIT, outcomes
from graphs.rallrec.expert import FOLDS, LogisticExpert, logistic_expert
from graphs.rallrec.merge import Merging, Opinion, hedged, merged, plain
from graphs.rallrec.options import number
from graphs.rallrec.retrieve import Retriever, retriever, told
from graphs.rallrec.rows import RowInputs
from graphs.services import EXPERT, REASONER, Services
from graphs.shared.earlier_run import open_earlier, payload_of
from graphs.shared.gather import gather
from graphs.workflow import Source, Workflow
from whyrec.data.profiles import profiles
from whyrec.errors import UsageError
from whyrec.llm.model import About
from whyrec.records import Event, Item

__all__ = ["NAME", "WORKFLOW", "build"]

NAME = "rallrec.predict"


@dataclass(frozen=True)
class Options(shared.Options):
    """Options of rallrec.predict, beside those of retrieval.

    Attributes:
        mode: think, or answer at once.
        samples: reasoning samples per row (the paper's 6 with a hint, 16 without).
        readout: how a sample becomes P(yes): the assistant's turn goes on after the thoughts, the thoughts stand in
            the user's turn (the released code), or the text's own last word.
        expert: a logistic regression on train rows, the model's own answer without thought, the probabilities of an
            earlier rallrec.predict run (`expert_run`), or nobody.
        expert_run: id of that run, "" otherwise.
        expert_rows: train rows the regression is fitted on.
        expert_folds: folds of the train rows, each described without its own likes (graphs/rallrec/expert.py).
        hint: how the expert's opinion is worded in the prompt; flipped and placebo (another row's) are controls.
        reasons: thoughts about this row, or, as a control, about another user's row.
        merging: eq. 10, its weights held constant, or one side alone.
        alpha, epsilon: of eq. 10.
        facts: history and item are shown by title and rating, as in the paper, or with brand and categories too.
        profile: whether a profile is shown where the data set has one. Filled in: the digest of the profiles.
    """

    mode: Literal["reason", "direct"] = "reason"
    samples: int = 6
    readout: agents.Way = "continue"
    expert: Literal["logistic", "model", "run", "none"] = "logistic"
    expert_run: str = ""
    expert_rows: int = 20_000
    expert_folds: int = FOLDS
    hint: Literal["hedged", "plain", "none", "flipped", "placebo"] = "hedged"
    reasons: Literal["own", "placebo"] = "own"
    merging: Merging = "consistency"
    alpha: str = "0.1"
    epsilon: str = "0.001"
    facts: Literal["titles", "catalogue"] = "titles"
    profile: str = "shown"


@dataclass(frozen=True)
class Task:
    """What does not change while a row is worked on.

    Attributes:
        row: its number; `key`, `user`, `split` are those of its example.
        item: what is asked about, as it is shown.
        profile: of the user, "" for none.
        other: another user's row for the controls, None where none is needed.
        given: the opinion of an earlier run, None where the expert is asked here.
        options: the workflow's.
    """

    row: int
    key: str
    user: str
    split: str
    item: Item
    profile: str
    above: str
    options: Options
    other: Task | None = None
    given: Opinion | None = None

    def about(self, node: str) -> About:
        """Where a call comes from."""
        return About(graph=NAME, node=node, example=self.key, user=self.user, split=self.split, item=self.item.id)


@dataclass(frozen=True)
class State:
    """A row on its way to a probability."""

    task: Task
    found: dict[str, Any] | None = None
    shown: tuple[Event, ...] = ()
    opinion: Opinion | None = None
    hint: str = ""
    traces: tuple[Trace, ...] = ()
    readings: tuple[ReadOut, ...] = ()
    probability: float = 0.5


class Update(TypedDict, total=False):
    """What a node may change."""

    found: dict[str, Any]
    shown: tuple[Event, ...]
    opinion: Opinion | None
    hint: str
    traces: tuple[Trace, ...]
    readings: tuple[ReadOut, ...]
    probability: float


async def look_up(state: State, runtime: Runtime[Services]) -> Update:
    """Retrieve what is shown, and ask the expert."""
    task, part = state.task, runtime.context.part(Retriever)
    shown = part.shown(task.row)
    events = _cut(part.events(task.row, shown), task.options)
    opinion = await _opinion(task, events, runtime)
    hint = await _hint(task, opinion, runtime)
    return {"found": told(part, task.row, shown), "shown": events, "opinion": opinion, "hint": hint}


async def reason(state: State, runtime: Runtime[Services]) -> Update:
    """Think about the row, or as a control about another user's."""
    task, llm = state.task, runtime.context.llm(REASONER)
    about, blanks = task.about("reason"), _blanks(task, state.shown, state.hint)
    if task.options.reasons == "placebo":
        assert task.other is not None
        other = replace(task.other, other=task)  # asked to the letter as when its own turn comes, so the cache answers
        events = _events(other, runtime)
        hint = await _hint(other, await _opinion(other, events, runtime), runtime)
        about, blanks = other.about("reason"), _blanks(other, events, hint)
    return {"traces": tuple(await agents.reason(llm, task.options.samples, about=about, **blanks))}


async def read_out(state: State, runtime: Runtime[Services]) -> Update:
    """P(yes) after each trace."""
    task, llm = state.task, runtime.context.llm(REASONER)
    blanks, way = _blanks(task, state.shown, state.hint), task.options.readout
    asks = [agents.read_out(llm, t, way=way, about=task.about("read_out"), **blanks) for t in state.traces]
    return {"readings": tuple(await gather(asks))}


async def answer(state: State, runtime: Runtime[Services]) -> Update:
    """P(yes) at once, without thought."""
    blanks = _blanks(state.task, state.shown, state.hint)
    llm = runtime.context.llm(REASONER)
    return {"readings": (await agents.click(llm, about=state.task.about("answer"), **blanks),)}


async def merge(state: State, runtime: Runtime[Services]) -> Update:
    """Weigh samples and expert (eq. 10): no call."""
    o = state.task.options
    samples = [reading.probability for reading in state.readings]
    alpha, epsilon = number("alpha", o.alpha, 0.0, 1e6), number("epsilon", o.epsilon, 0.0, 1e6)
    return {"probability": merged(samples, state.opinion, merging=o.merging, alpha=alpha, epsilon=epsilon)}


def which(state: State) -> str:
    """Think, or answer at once."""
    return "reason" if state.task.options.mode == "reason" else "answer"


def build() -> Any:
    """See the module."""
    graph = StateGraph(State, context_schema=Services)
    for node in (look_up, reason, read_out, answer, merge):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "look_up")
    graph.add_conditional_edges("look_up", which, ["reason", "answer"])
    graph.add_edge("reason", "read_out")
    graph.add_edge("read_out", "merge")
    graph.add_edge("answer", "merge")
    graph.add_edge("merge", END)
    return graph.compile()


async def _opinion(task: Task, events: tuple[Event, ...], runtime: Runtime[Services]) -> Opinion | None:
    expert = task.options.expert
    if expert == "logistic":
        return runtime.context.part(LogisticExpert).opinion(task.row)
    if expert == "model":
        llm, blanks = runtime.context.llm(EXPERT), _blanks(task, events, "")
        return Opinion((await agents.click(llm, about=task.about("consult"), **blanks)).probability)
    return task.given


async def _hint(task: Task, opinion: Opinion | None, runtime: Runtime[Services]) -> str:
    """The opinion as a sentence, "" for none."""
    kind = task.options.hint
    if kind == "none":
        return ""
    assert opinion is not None, "options without an expert have no hint"
    if kind == "plain":
        return plain(opinion.probability)
    if kind == "flipped":
        return hedged(1.0 - opinion.probability)
    if kind == "placebo":
        assert task.other is not None
        other = await _opinion(task.other, _events(task.other, runtime), runtime)
        assert other is not None
        return hedged(other.probability)
    return hedged(opinion.probability)


def _events(task: Task, runtime: Runtime[Services]) -> tuple[Event, ...]:
    """What is shown of a row's history."""
    part = runtime.context.part(Retriever)
    return _cut(part.events(task.row, part.shown(task.row)), task.options)


def _cut(events: tuple[Event, ...], options: Options) -> tuple[Event, ...]:
    return tuple(replace(event, item=_as_shown(event.item, options)) for event in events)


def _as_shown(item: Item, options: Options) -> Item:
    """The item with its title alone, as in the paper, or with everything."""
    return item if options.facts == "catalogue" else Item(item.index, item.id, item.title)


def _blanks(task: Task, events: tuple[Event, ...], hint: str) -> dict[str, Any]:
    return {"profile": task.profile, "history": events, "above": task.above, "opinion": hint, "item": task.item}


class Predictions(RowInputs[Options]):
    """One prediction per row.

    Raises:
        UsageError: also for options that contradict one another, or an expert run that is not one.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        _check(self.options)
        self._experts = open_earlier(source.home, options.expert_run, NAME) if options.expert == "run" else None
        self._profiles = profiles(source.corpus) if options.profile != "none" else None
        self.options = replace(
            self.options,
            expert_run="" if self._experts is None else self._experts.id,
            profile="none" if self._profiles is None else self._profiles.digest or "none",
        )

    def state(self, index: int) -> State:
        """The row before anything is looked up.

        Raises:
            MissingInput: the expert run has nothing for the row.
            LeakageError: it was made from another history.
        """
        task = self._task(index)
        if "placebo" in (self.options.hint, self.options.reasons):
            task = replace(task, other=self._task(self.partner(index)))
        return State(task)

    def calls(self) -> int:
        """Samples and their read-outs, or one answer; one more where the model itself is the expert."""
        o = self.options
        each = 1 if o.mode == "direct" else o.samples * (1 if o.readout == "vote" else 2)
        consulted = (1 + (o.hint == "placebo")) * (1 + (o.reasons == "placebo")) if o.expert == "model" else 0
        return len(self.indices) * (each + consulted)

    def _task(self, index: int) -> Task:
        view, user = self.view, self.place(index)[0]
        given = None
        if self._experts is not None:
            stored = payload_of(self._experts, self.key(index), prefix=view.prefix_digest(index))
            given = Opinion(float(stored["own"]), 0.0)
        return Task(
            row=index,
            key=self.key(index),
            user=user,
            split=view.split,
            item=_as_shown(view.corpus.item(view.item(index)), self.options),
            profile="" if self._profiles is None else self._profiles.of(user),
            above=f"{view.data.above:g}",
            options=self.options,
            given=given,
        )


def _check(options: Options) -> None:
    if options.samples < 1 or options.expert_rows < 2 or options.expert_folds < 2:
        raise UsageError("Option samples is at least 1, expert_rows and expert_folds at least 2.")
    number("alpha", options.alpha, 0.0, 1e6)
    number("epsilon", options.epsilon, 0.0, 1e6)
    if options.expert == "none" and options.hint != "none":
        raise UsageError("With expert=none there is no opinion to inject. Add hint=none, or choose an expert.")
    if (options.expert == "run") != bool(options.expert_run):
        raise UsageError("expert=run and expert_run=RUN go together: name a rallrec.predict run, or neither.")
    if options.mode == "direct" and options.reasons != "own":
        raise UsageError("mode=direct does not think, so reasons=placebo has nothing to replace.")
    if options.profile == "":
        raise UsageError("Option profile is shown or none.")


def result(state: State) -> dict[str, Any]:
    """What is kept: probabilities and lengths of the samples, the expert's opinion, the merged one, what was shown."""
    assert state.found is not None
    readings, traces = state.readings, state.traces
    own = [reading.probability for reading in readings]
    return {
        **{k: v for k, v in state.found.items() if k not in ("scores", "similarity")},
        "p": own,
        "ways": [reading.way for reading in readings],
        "own": float(np.mean(own)),
        "variance": float(np.var(own)),
        "expert": None if state.opinion is None else state.opinion.probability,
        "expert_variance": None if state.opinion is None else state.opinion.variance,
        "hint": state.hint,
        "probability": state.probability,
        "missing": state.task.options.samples - len(traces) if traces else 0,
        "tokens": [trace.tokens for trace in traces],
        "characters": [len(trace.text) for trace in traces],
        "cut_off": sum(trace.finish == "length" for trace in traces),
        "votes": [trace.vote for trace in traces],
    }


def _equip(source: Source, options: Options) -> tuple[object, ...]:
    part = retriever(source, options)
    if options.expert != "logistic":
        return (part,)
    folder = source.home / "experts"
    expert = logistic_expert(part, train_rows=options.expert_rows, folder=folder, folds=options.expert_folds)
    return part, expert


def _prompts(options: Options) -> tuple[str, ...]:
    reason_prompt, click_prompt = agents.PROMPTS
    if options.mode == "direct":
        return (click_prompt,)
    return (reason_prompt, click_prompt)


WORKFLOW = Workflow(
    name=NAME,
    about="P(yes) of a click: reasoning samples read out, an expert's opinion injected and merged",
    options=Options,
    state=State,
    build=build,
    inputs=Predictions,
    result=result,
    steps=lambda state: 8,
    prompts=_prompts,
    roles=(REASONER, EXPERT),
    equip=_equip,
    continues=lambda options: options.mode == "reason" and options.readout == "continue",
    audit=AUDIT,
    outcomes=outcomes,
)
