"""Candidate chains of reasoning: a path, what its steps find, and twenty described recommendations per user.

    START -> reason -> END                                                        (SCoTER 3.2 Generate, spec 4.a)

Without a template the model also chooses the path; with one it follows the template's steps, and the path is the
template's. The target is not shown and not even read: a chain may be made for any split, and where it may be *scored*
is scoter.validate's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import scoter as agents
from graphs.outcomes import Judged, Worth
from graphs.scoter import audited, judge
from graphs.scoter.templates import find
from graphs.services import Services
from graphs.shared.users import Users, about_example
from graphs.shared.worth_of_texts import PERCENTILE
from graphs.workflow import Source, Workflow
from whyrec.errors import UsageError
from whyrec.llm.model import About, LanguageModel
from whyrec.plugins.rules import Rules
from whyrec.records import Example
from whyrec.runs import Result

NAME = "scoter.generate"
MOST_SAMPLES = 64


@dataclass(frozen=True)
class Options:
    """Options of scoter.generate.

    Attributes:
        split: whose target is to be found; the history shown is everything before it. Chains that are to be scored
            and mined are made for train or valid.
        template: "" for a path of the model's own; a shipped template's name; or the id of a scoter.mine run.
        pick: which template of a scoter.mine run, the mined one or that of its top-K baseline.
        samples: chains per user.
        cap: latest events shown.
    """

    split: Literal["train", "valid", "test"] = "train"
    template: str = ""
    pick: Literal["mined", "top_k"] = "mined"
    samples: int = 1
    cap: int = 20


@dataclass(frozen=True)
class Chain:
    """One sample: the path, what its steps find, and what it leads to."""

    path: tuple[str, ...]
    reason: tuple[str, ...]
    recommendations: tuple[str, ...]

    @property
    def json(self) -> dict[str, Any]:
        """As kept in a run."""
        return {"path": list(self.path), "reason": list(self.reason), "recommendations": list(self.recommendations)}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Chain:
        """What a run kept."""
        return cls(tuple(kept["path"]), tuple(kept["reason"]), tuple(kept["recommendations"]))


@dataclass(frozen=True)
class Task:
    """What does not change while a graph runs.

    Attributes:
        example: whose history is shown; its events are the last `cap` of the prefix.
        prefix: digest of the whole prefix.
        template: name of the template, "" for none; `steps` are its steps.
        samples: chains wanted.
    """

    example: Example
    prefix: str
    template: str
    steps: tuple[str, ...]
    samples: int


@dataclass(frozen=True)
class State:
    """A user on the way to chains; `missing` samples could not be read."""

    task: Task
    chains: tuple[Chain, ...] = ()
    missing: int = 0


class Update(TypedDict, total=False):
    """What a node may change."""

    chains: tuple[Chain, ...]
    missing: int


async def reason(state: State, runtime: Runtime[Services]) -> Update:
    """Ask for the chains."""
    task = state.task
    about = about_example(task.example, NAME, "reason")
    found = await sample_chains(runtime.context.llm(), task.example, task.steps, n=task.samples, about=about)
    return {"chains": found, "missing": task.samples - len(found)}


async def sample_chains(
    llm: LanguageModel, example: Example, steps: tuple[str, ...], *, n: int, about: About
) -> tuple[Chain, ...]:
    """Up to `n` chains for a history, along the steps or, without any, along a path of the model's own.

    Samples that cannot be read, repairs included, are left out.

    Raises:
        AnswerError, ModelError: none could be had.
    """
    if steps:
        guided = await agents.follow.many(llm, n, about=about, steps=list(steps), history=example.history)
        return tuple(Chain(steps, sample.reason, sample.recommendations) for sample in guided)
    free = await agents.generate.many(llm, n, about=about, history=example.history)
    return tuple(Chain(sample.cot_path, sample.reason, sample.recommendations) for sample in free)


def build() -> Any:
    """START -> reason -> END."""
    graph = StateGraph(State, context_schema=Services)
    graph.add_node("reason", reason)
    graph.add_edge(START, "reason")
    graph.add_edge("reason", END)
    return graph.compile()


class Tasks(Users):
    """The users of a split, each with the task of reasoning about them; a base for what starts from chains.

    Raises:
        UsageError, UnknownNameError: options that make no sense, or a template that does not exist.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options.split)
        if not 1 <= options.samples <= MOST_SAMPLES or options.cap < 1:
            raise UsageError(
                f"scoter.generate needs samples between 1 and {MOST_SAMPLES} and a cap of 1 or more, not samples="
                f"{options.samples} and cap={options.cap}."
            )
        self.options: Any = options
        self._steps: tuple[str, ...] = ()
        if options.template:
            template = find(source.home, options.template, pick=options.pick)
            self.options, self._steps = replace(options, template=template.name), template.steps

    def task(self, index: int) -> Task:
        """What is asked about a user (dense index)."""
        example = self.view.example(index, last=self.options.cap)
        prefix = self.view.prefix_digest(index)
        return Task(example, prefix, self.options.template, self._steps, self.options.samples)

    def calls(self) -> int:
        """One answer per chain."""
        return len(self.indices) * int(self.options.samples)


class Reasoners(Tasks):
    """The users of a split, before any chain."""

    def state(self, index: int) -> State:
        """The user, before any chain."""
        return State(self.task(index))


def result(state: State) -> dict[str, Any]:
    """What is kept: the chains, and the history they were made from."""
    return {**told(state.task), "chains": [chain.json for chain in state.chains], "missing": state.missing}


def told(task: Task) -> dict[str, Any]:
    """Whose chains these are, and made from what."""
    example = task.example
    return {"user": example.user, "split": example.split, "prefix": task.prefix, "template": task.template}


def prompt_names(template: str) -> tuple[str, ...]:
    """The prompt in use."""
    return ("scoter/follow",) if template else ("scoter/generate",)


def outcomes(judged: Judged) -> list[Worth]:
    """What the first chain's twenty recommendations are worth, as scoter.table_11 judges them."""
    catalogue = judge.Catalogue(judged.corpus, "lsa", cache=judged.home / "embedders")
    by = judge.Judge(catalogue, judged.view, judge.Mapping())
    index = judged.corpus.user_index
    found = {r.key: judge.verdict_of(by, int(index[r.user]), p) for r, p in judged.done}
    return [
        Worth(PERCENTILE, {key: v.percentile for key, v in found.items()}),
        Worth("recall@20", {key: float(v.hit) for key, v in found.items()}),
        Worth("ndcg@20", {key: v.ndcg for key, v in found.items()}),
    ]


def texts(result: Result, payload: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What the steps of each chain find; the number of the chain where there are several."""
    several = len(payload["chains"]) > 1
    for place, chain in enumerate(payload["chains"], 1):
        yield f"{result.user}#{place}" if several else result.user, " ".join(chain["reason"])


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="chains of reasoning with twenty recommendations for every user, along a path of its own or a template",
    options=Options,
    state=State,
    build=build,
    inputs=Reasoners,
    result=result,
    steps=lambda state: 6,
    prompts=lambda options: prompt_names(options.template),
    audit=Rules(blanks=audited.BLANKS, results=audited.RESULTS, earlier=audited.OF_TEMPLATES),
    outcomes=outcomes,
    texts=("chains", texts),
)
