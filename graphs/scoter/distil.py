"""Chains that follow a template, step by step, as text and as a matrix: what a student learns from, and a model reads.

    START -> teach -> embed -> END                                             (SCoTER 3.3.1, spec 4.a Distillation)

A teacher reasons about a prefix in sections, one per step of the template. A chain that lacks a section is asked for
again; if it still lacks one, the example is dropped, or kept with that step missing and counted (option incomplete).
Each step is embedded into a row of H [K, D], which goes into the run's step store under the prefix's digest.

What is made from one prefix may be joined to no other, so every prefix that is to be trained on needs a chain of its
own: prefixes.py says which get one. The target is never shown. Pairs for a student come from train prefixes alone
(pairs.py, `whyrec scoter pairs`), and the steps can be searched in Chroma (`whyrec scoter index`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import scoter as agents
from agents.agent import AnswerError
from graphs.scoter import audited
from graphs.scoter.prefixes import Prefixes
from graphs.scoter.step_store import About, StepStore
from graphs.scoter.templates import find
from graphs.services import TEACHER, Services
from graphs.shared.audited import HISTORY, WHO
from graphs.shared.users import about_example
from graphs.shared.worth_of_texts import of_user
from graphs.workflow import Source, Workflow
from whyrec.data.some import some
from whyrec.data.split import SplitView, prefix_digest
from whyrec.data.text import captions
from whyrec.embed import Embedder, open_embedder
from whyrec.errors import UsageError
from whyrec.plugins.rules import Rule, Rules
from whyrec.records import Example
from whyrec.runs import Result, Run

NAME = "scoter.distil"
STORE = "steps"  # folder of the step store in the run's folder


@dataclass(frozen=True)
class Options:
    """Options of scoter.distil.

    Attributes:
        template: a shipped template's name, or the id of a scoter.mine run.
        split: whose prefixes; train for a student's pairs and for training, valid and test for what it is then asked.
        mode, per_user, seed: which training prefixes, as in prefixes.py.
        incomplete: whether a chain that lacks a step, asked for again, is dropped or kept with the step missing.
        cap: latest events shown.
        embedder: of the steps, as `whyrec.embed.open_embedder` names them; lsa is fitted on the items' captions.
    """

    template: str = "beauty"
    split: Literal["train", "valid", "test"] = "train"
    mode: Literal["last_only", "subsample", "per_prefix"] = "last_only"
    per_user: int = 3
    seed: int = 0
    incomplete: Literal["drop", "keep"] = "drop"
    cap: int = 20
    embedder: str = "lsa"


@dataclass(frozen=True)
class StepEmbedder:
    """What embeds steps, and what a store of them has to say of itself; made by `equip`."""

    embedder: Embedder
    about: About
    stores: dict[Path, StepStore] = field(default_factory=dict)

    def store(self, run: Run) -> StepStore:
        """The run's store, opened once."""
        folder = run.folder / STORE
        if folder not in self.stores:
            self.stores[folder] = StepStore.create(folder, self.about)
        return self.stores[folder]


@dataclass(frozen=True)
class State:
    """A prefix on the way to its chain.

    Attributes:
        example: the prefix as shown, its last events.
        prefix: digest of the whole prefix, `events` its length.
        steps: of the template, whose name is `template`.
        keep: whether an incomplete chain is kept.
        overall, sections, summary: the chain; a missing step's section is "".
    """

    example: Example
    prefix: str
    events: int
    template: str
    steps: tuple[str, ...]
    keep: bool
    overall: str = ""
    sections: tuple[str, ...] = ()
    summary: str = ""


class Update(TypedDict, total=False):
    """What a node may change."""

    overall: str
    sections: tuple[str, ...]
    summary: str


async def teach(state: State, runtime: Runtime[Services]) -> Update:
    """Have the chain written, all its sections if that can be had."""
    llm, about = runtime.context.llm(TEACHER), about_example(state.example, NAME, "teach")
    blanks = {"steps": list(state.steps), "history": state.example.history}
    try:
        chain = await agents.teach(state.steps)(llm, about=about, **blanks)
    except AnswerError:
        if not state.keep:
            raise
        # the first answer again (from the cache), read without asking for what it lacks
        chain = await agents.teach(state.steps, whole=False)(llm, about=about, **blanks)
    sections = tuple(str(getattr(chain, agents.step_field(step))) for step in state.steps)
    return {"overall": chain.overall_analysis, "sections": sections, "summary": chain.summary}


async def embed(state: State, runtime: Runtime[Services]) -> Update:
    """Put the steps' vectors into the run's store, under the prefix they were made from."""
    run, part = runtime.context.run, runtime.context.part(StepEmbedder)
    steps_KD = await asyncio.to_thread(part.embedder.embed, list(state.sections))
    if run is not None:  # a dry run keeps nothing
        part.store(run).put(state.example.key, state.prefix, steps_KD, missing_of(state))
    return {}


def missing_of(state: State) -> list[int]:
    """Places of the steps without a section."""
    return [k for k, section in enumerate(state.sections) if not section]


def build() -> Any:
    """START -> teach -> embed -> END."""
    graph = StateGraph(State, context_schema=Services)
    graph.add_node("teach", teach)
    graph.add_node("embed", embed)
    graph.add_edge(START, "teach")
    graph.add_edge("teach", "embed")
    graph.add_edge("embed", END)
    return graph.compile()


class Chains:
    """One example per prefix.

    Raises:
        UsageError, UnknownNameError: options that make no sense, or a template that does not exist.
    """

    def __init__(self, source: Source, options: Options) -> None:
        if options.split != "train" and options.mode != "last_only":
            raise UsageError(
                f"mode={options.mode} is about training prefixes, but split={options.split} has one prefix per user. "
                f"Leave mode out, or use split=train."
            )
        if options.per_user < 1 or options.cap < 1:
            raise UsageError(
                f"scoter.distil needs per_user and cap of 1 or more, not {options.per_user}, {options.cap}."
            )
        self._template = find(source.home, options.template)
        self.options = replace(options, template=self._template.name)
        view = SplitView(source.corpus, options.split)
        users = some(view.users, source.users)
        self._prefixes = Prefixes(view, users, options.mode, options.per_user, options.seed)
        self.indices = self._prefixes.indices

    def key(self, index: int) -> str:
        """Key of a prefix: "train/USER@LENGTH", "test/USER"."""
        return self._prefixes.key(index)

    def place(self, index: int) -> tuple[str, str]:
        """(user id, split)."""
        user, _ = self._prefixes.place(index)
        return str(self._prefixes.view.corpus.user_ids[user]), self.options.split

    def state(self, index: int) -> State:
        """The prefix, before its chain."""
        items = self._prefixes.items(index)
        return State(
            example=self._prefixes.example(index, last=self.options.cap),
            prefix=prefix_digest(items),
            events=len(items),
            template=self.options.template,
            steps=self._template.steps,
            keep=self.options.incomplete == "keep",
        )

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Events of each prefix."""
        return np.array([self._prefixes.place(int(index))[1] for index in self.indices], dtype=np.int64)

    def calls(self) -> int:
        """One per prefix."""
        return len(self.indices)


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """The embedder of steps."""
    template = find(source.home, options.template)
    embedder = open_embedder(options.embedder, fit_on=captions(source.corpus), cache=source.home / "embedders")
    return (
        StepEmbedder(
            embedder, About(template.steps, embedder.width, embedder.name, template.name, source.corpus.digest)
        ),
    )


def result(state: State) -> dict[str, Any]:
    """What is kept: the chain, the template it follows, and the prefix it was made from."""
    return {
        "user": state.example.user,
        "split": state.example.split,
        "prefix": state.prefix,
        "events": state.events,
        "template": state.template,
        "steps": list(state.steps),
        "overall": state.overall,
        "sections": list(state.sections),
        "summary": state.summary,
        "missing": missing_of(state),
    }


def texts(result: Result, payload: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Each step as "PREFIX/STEP": equal prefixes have equal steps."""
    for place, section in enumerate(payload["sections"], 1):
        yield f"{payload['prefix']}/{place}", section


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="chains along a template for users' prefixes, and their steps as matrices",
    options=Options,
    state=State,
    build=build,
    inputs=Chains,
    result=result,
    steps=lambda state: 7,
    prompts=lambda options: ("scoter/teach",),
    roles=(TEACHER,),
    equip=equip,
    audit=Rules(
        blanks={"scoter/teach": {**HISTORY, "steps": Rule.GIVEN}},
        results={
            **WHO, "template": Rule.GIVEN, "steps": Rule.GIVEN, "overall": Rule.SAID, "sections": Rule.SAID,
            "summary": Rule.SAID,
        },
        earlier=audited.OF_TEMPLATES,
    ),
    outcomes=of_user(lambda payload: str(payload["summary"])),
    texts=("steps", texts),
)  # fmt: skip
