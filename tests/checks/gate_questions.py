"""The questions of the prompt gate: what graphs really ask, recorded once with answers of `extractive`.

A graph is run over real users with the built-in model, and whatever its agents and choosers are asked is kept: the
agent, the blanks, and for a choice which label is right. So the gate asks a model one call per example, not a pipeline.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents import rallrec
from agents.agent import Agent
from agents.ranker import Chooser
from graphs.run import How, Job, execute, prepare
from graphs.workflow import read_options, workflow
from whyrec.data import Corpus
from whyrec.data.lookup import open_data
from whyrec.data.some import Drawn
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.llm.model import About, LanguageModel
from whyrec.llm.wrappers.stamped import Stamped
from whyrec.records import Item
from whyrec.settings import Settings, read_settings

INDUSTRIAL, FILMS, WIKI = "amazon18_industrial_sample", "ml-1m", "hotpotqa"
_TREE = "selectors=base,random"


@dataclass(frozen=True)
class Plan:
    """A run that asks some prompts: the first of the data sets that is there, the last one always is."""

    graph: str
    data: tuple[str, ...]
    prompts: tuple[str, ...]
    options: tuple[str, ...] = ()
    users: int = 60


def _recommend(mode: str, prompt: str) -> Plan:
    return Plan("cot_rec.recommend", (INDUSTRIAL, "world"), (prompt,), (f"mode={mode}", "only=hits"), 1500)


PLANS = (
    Plan("cot_rec.describe", (INDUSTRIAL, "world"), ("shared/describe_item",)),
    Plan("cot_rec.preference", (FILMS, "world"), ("cot_rec/summarise_batch", "cot_rec/merge_preference")),
    Plan("cot_rec.preference", (INDUSTRIAL, "world"), ("cot_rec/official_keywords",), ("mode=official_keywords",)),
    Plan("cot_rec.perception", (INDUSTRIAL, "world"), ("cot_rec/write_reviews", "cot_rec/extract_perceptions")),
    Plan("cot_rec.perception", (INDUSTRIAL, "world"), ("cot_rec/write_review", "cot_rec/extract_perception"),
         ("mode=three_step",)),
    Plan("cot_rec.perception", (INDUSTRIAL, "world"), ("cot_rec/official_preference_perception",),
         ("mode=official_json",)),
    _recommend("titles", "cot_rec/rank_titles"),
    _recommend("preference", "cot_rec/rank_preference"),
    _recommend("perception", "cot_rec/rank_perception"),
    Plan("pulse.rationale", (INDUSTRIAL, "world"), ("pulse/rationale",)),
    Plan("pulse.refine", (INDUSTRIAL, "world"),
         ("pulse/base_reason", "pulse/specify_reason", "pulse/support_reason", "pulse/check_reason"),
         (_TREE, "widths=1,1,1")),
    Plan("pulse.refine", (INDUSTRIAL, "world"), ("pulse/value_reasons",),
         (_TREE, "widths=3,1", "prune=value", "judgements=1")),
    Plan("pulse.refine", (INDUSTRIAL, "world"), ("pulse/vote_reasons",),
         (_TREE, "widths=3,1", "prune=vote", "judgements=1")),
    Plan("pulse.choose", (INDUSTRIAL, "world"), ("pulse/choose",), ("selector=none",)),
    Plan("pulse.choose", (INDUSTRIAL, "world"), ("pulse/choose_with_reason",),
         ("selector=base", "selectors=base", "widths=")),
    Plan("scoter.generate", (INDUSTRIAL, "world"), ("scoter/generate",)),
    Plan("scoter.generate", (INDUSTRIAL, "world"), ("scoter/follow",), ("template=beauty",)),
    Plan("scoter.distil", (INDUSTRIAL, "world"), ("scoter/teach",)),
    Plan("scoter.mine", ("world",), ("scoter/abstract",), ("sample=40", "fresh=10"), 200),
    Plan("rallrec.predict", (FILMS, "world"), ("rallrec/reason",), ("samples=1",)),
    Plan("rallrec.predict", (FILMS, "world"), ("rallrec/click",), ("mode=direct",)),
    *(Plan("hotpotqa.react", (WIKI, "facts"), (prompt,), (f"mode={mode}",)) for mode, prompt in (
        ("standard", "hotpotqa/standard"), ("cot", "hotpotqa/cot"), ("act", "hotpotqa/act"),
        ("react", "hotpotqa/react"), ("react", "hotpotqa/next_action"), ("react_best", "hotpotqa/reason"),
        ("react_best", "hotpotqa/conclude"))),
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """Something a graph asked.

    Attributes:
        prompt, data: the prompt's name, and of which data set's users.
        asker: the agent or chooser.
        chain: wrappers around the model that the graph put there (who says what the domain is, for example).
        blanks: of the prompt.
        about: where it came from.
        labels, right: of a choice, and which of the labels is true ("" where it is not known).
    """

    prompt: str
    data: str
    asker: Any
    chain: tuple[Any, ...]
    blanks: Mapping[str, Any]
    about: About
    labels: tuple[str, ...] = ()
    right: str = ""

    def model(self, core: LanguageModel) -> LanguageModel:
        """The model as the graph would ask it."""
        found: LanguageModel = core
        for wrapper in reversed(self.chain):
            outer = copy.copy(wrapper)
            outer.inner, found = found, outer
        return found


@dataclass
class _Recorder:
    wanted: tuple[str, ...]
    most: int
    data: str
    stop: Any
    found: dict[str, list[Question]] = field(default_factory=dict)

    def note(self, asker: Any, llm: Any, labels: Sequence[str], blanks: Mapping[str, Any], about: About) -> None:
        mine = self.found.setdefault(asker.prompt_name, [])
        if asker.prompt_name in self.wanted and len(mine) < self.most:
            chain = []
            while not isinstance(llm, Stamped):
                chain.append(llm)
                llm = llm.inner
            told = replace(about, wrong=None)
            mine.append(Question(asker.prompt_name, self.data, asker, tuple(chain), blanks, told, tuple(labels)))
        if not self.stop.asked and all(len(self.found.get(name, ())) >= self.most for name in self.wanted):
            self.stop.ask()


def questions(prompts: Sequence[str], *, most: int, data: str = "") -> Iterator[tuple[str, list[Question]]]:
    """(prompt, up to `most` questions) of each prompt that a plan asks.

    Args:
        prompts: names; () for all.
        most: questions of each.
        data: a data set in place of the plans' own.
    """
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings(home=Path(home))
        for plan in PLANS:
            wanted = tuple(name for name in plan.prompts if not prompts or name in prompts)
            if wanted:
                found = _recorded(plan, wanted, most, settings, data)
                yield from ((name, found.get(name, [])) for name in wanted)


def _recorded(
    plan: Plan, wanted: tuple[str, ...], most: int, settings: Settings, data: str
) -> dict[str, list[Question]]:
    opened = _open((data,) if data and not plan.graph.startswith("hotpotqa") else plan.data, settings)
    how = How(settings=settings, world=opened.world, new=True, keep_going=True, concurrency=8)
    recorder = _Recorder(wanted, most, opened.data.name, how.stop)
    flow = workflow(plan.graph)
    options = read_options(flow, dict(pair.split("=", 1) for pair in plan.options))
    users = Drawn(plan.users)
    job = prepare(plan.graph, corpus=opened.data, model="extractive", options=options, users=users, how=how)
    with _recording(recorder):
        asyncio.run(execute(job))
    return {
        name: [replace(one, right=_right(one, job)) if one.labels else one for one in some]
        for name, some in recorder.found.items()
    }


def _open(names: Sequence[str], settings: Settings) -> Any:
    for name in names[:-1]:
        try:
            return open_data(name, settings=settings)
        except (UsageError, LookupError):
            continue
    return open_data(names[-1], settings=settings)


class Thinker:
    """RALLRec+'s thoughts, asked for as an agent is."""

    prompt_name = "rallrec/reason"

    async def many(self, llm: Any, n: int, *, about: About, least: int = 1, **blanks: Any) -> Any:
        """As `Agent.many`; at least one thought is always needed."""
        return await rallrec.reason(llm, n, about=about, **blanks)


@contextmanager
def _recording(recorder: _Recorder) -> Iterator[None]:
    """Tell the recorder whatever agents and choosers are asked."""
    many, choose, think = Agent.many, Chooser.__call__, rallrec.reason

    async def told_many(self: Agent[Any], llm: Any, n: int, *, about: Any = None, **rest: Any) -> Any:
        blanks = {name: value for name, value in rest.items() if name not in ("first", "least")}
        recorder.note(self, llm, (), blanks, about or About())
        return await many(self, llm, n, about=about, **rest)

    async def told_choose(self: Chooser, llm: Any, labels: Sequence[str], *, about: About, **rest: Any) -> Any:
        blanks = {name: value for name, value in rest.items() if name != "prefix"}
        if not rest.get("prefix"):
            recorder.note(self, llm, labels, blanks, about)
        return await choose(self, llm, labels, about=about, **rest)

    async def told_think(llm: Any, n: int, *, about: About, **blanks: Any) -> Any:
        recorder.note(Thinker(), llm, (), blanks, about)
        return await think(llm, n, about=about, **blanks)

    Agent.many, Chooser.__call__ = told_many, told_choose  # type: ignore[method-assign]
    rallrec.reason = told_think
    try:
        yield
    finally:
        Agent.many, Chooser.__call__, rallrec.reason = many, choose, think  # type: ignore[method-assign]


def _right(one: Question, job: Job) -> str:
    """The label that is true of a choice, "" where none is."""
    if one.labels == ("Yes", "No"):
        row = int(one.about.example.rpartition("-")[2])
        view: Any = job.inputs.view  # type: ignore[attr-defined]
        return "Yes" if bool(view.clicked(np.array([row]))[0]) else "No"
    corpus = job.source.data
    assert isinstance(corpus, Corpus)
    split: Any = one.about.split
    target = SplitView(corpus, split).target(corpus.user_index[one.about.user])
    shown: list[Item] = [o["item"] if isinstance(o, Mapping) else o for o in one.blanks["options"]]
    place = next((place for place, item in enumerate(shown) if item.index == target), None)
    return "" if place is None else one.labels[place]
