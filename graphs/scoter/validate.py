"""What the chains of every user are worth: twenty descriptions become items, held against the next item.

    START -> chains there ? score : reason -> score -> END                        (SCoTER 3.2 Validate, spec 4.a)

Chains come from a scoter.generate run, or are made on the fly by the same prompt, so that the call cache gives them
for nothing where they were made before. The target is known to the `Judge` alone, which only `score` reaches, after
the last call to a model: s[-3] given s[:-3], or the validation target where split=valid (leakage matrix, spec 8); never
the test target.

Near-duplicate chains of one user (option samples above 1) are marked or dropped here, across users in scoter.mine.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graphs.outcomes import Judged, Worth
from graphs.scoter import audited, generate
from graphs.scoter.generate import Chain, Task, Tasks, sample_chains
from graphs.scoter.judge import Catalogue, Judge, Mapping, Verdict
from graphs.scoter.paths import prune
from graphs.services import Services
from graphs.shared.earlier_run import open_earlier, payload_of
from graphs.shared.users import about_example
from graphs.shared.worth_of_texts import PERCENTILE
from graphs.workflow import MissingInput, Source, Workflow
from whyrec.data.split import SplitView
from whyrec.embed import Embedder, open_embedder
from whyrec.errors import UsageError
from whyrec.plugins.rules import Rules

NAME = "scoter.validate"


@dataclass(frozen=True)
class Scoring:
    """Options of everything that scores chains.

    Attributes:
        embedder: of descriptions and items, as `whyrec.embed.open_embedder` names them.
        items: what of an item is embedded: its caption (the paper's titles), or the catalogue's description as well.
        path_embedder: of paths of reasoning, which have other words than the catalogue.
        assign: each description is its nearest item, or in their order the nearest that is still free.
        history: whether items of the history can be recommendations (allow it where targets repeat, as in Yelp).
        prune: near-duplicate paths are merged, keeping what they tell, or dropped as in the paper.
        similar: per cent of cosine from which paths are near-duplicates.
    """

    embedder: str = "lsa"
    items: Literal["caption", "description"] = "caption"
    path_embedder: str = "hashed:256"
    assign: Literal["nearest", "greedy"] = "nearest"
    history: Literal["exclude", "allow"] = "exclude"
    prune: Literal["merge", "drop"] = "merge"
    similar: int = 85


@dataclass(frozen=True)
class Options(Scoring):
    """Options of scoter.validate.

    Attributes:
        split: whose target the chains are held against.
        generate: id of a scoter.generate run whose chains are scored; "" to make them on the fly.
        template, samples, cap: as in scoter.generate, for chains made on the fly.
    """

    split: Literal["train", "valid"] = "train"
    generate: str = ""
    template: str = ""
    samples: int = 1
    cap: int = 20


@dataclass(frozen=True)
class Scored:
    """A chain and what it is worth; `same_as` is the place of the earlier chain of this user whose path it repeats."""

    chain: Chain
    verdict: Verdict
    same_as: int | None = None


@dataclass(frozen=True)
class Paths:
    """What embeds paths of reasoning, and from when on two are the same; made by `equip`."""

    embedder: Embedder
    similar: float
    how: Literal["merge", "drop"]


@dataclass(frozen=True)
class State:
    """A user's chains on the way to scores; `missing` samples could not be read. The target is no part of it."""

    task: Task
    chains: tuple[Chain, ...] = ()
    missing: int = 0
    scored: tuple[Scored, ...] = ()


class Update(TypedDict, total=False):
    """What a node may change."""

    chains: tuple[Chain, ...]
    missing: int
    scored: tuple[Scored, ...]


async def reason(state: State, runtime: Runtime[Services]) -> Update:
    """Make the chains on the fly, by the prompt that scoter.generate uses."""
    task = state.task
    about = about_example(task.example, NAME, "reason")
    found = await sample_chains(runtime.context.llm(), task.example, task.steps, n=task.samples, about=about)
    return {"chains": found, "missing": task.samples - len(found)}


async def score(state: State, runtime: Runtime[Services]) -> Update:
    """Map every chain's descriptions to items and hold these against the target."""
    judge, paths = runtime.context.part(Judge), runtime.context.part(Paths)
    return {"scored": await asyncio.to_thread(_scored, state, judge, paths)}


def _scored(state: State, judge: Judge, paths: Paths) -> tuple[Scored, ...]:
    texts = [path_text(chain.path) for chain in state.chains]
    groups = prune(paths.embedder.embed(texts), similar=paths.similar, how="merge")
    first = {member: group.first for group in groups for member in group.members}
    user = state.task.example.user_index
    return tuple(
        Scored(chain, judge.verdict(user, chain.recommendations), None if first[place] == place else first[place])
        for place, chain in enumerate(state.chains)
        if paths.how == "merge" or first[place] == place
    )


def path_text(path: tuple[str, ...] | list[str]) -> str:
    """A path as it is embedded."""
    return ". ".join(path)


def begin(state: State) -> str:
    """Whether the chains are there."""
    return "score" if state.chains else "reason"


def build() -> Any:
    """START -> score, with the chains made before where they are not there."""
    graph = StateGraph(State, context_schema=Services)
    graph.add_node("reason", reason)
    graph.add_node("score", score)
    graph.add_conditional_edges(START, begin, ["reason", "score"])
    graph.add_edge("reason", "score")
    graph.add_edge("score", END)
    return graph.compile()


class Chains(Tasks):
    """The users of a split, with their chains where a run has them.

    Raises:
        UsageError: also for a run of another graph, or one made for another split.
    """

    def __init__(self, source: Source, options: Options) -> None:
        check_scoring(options)
        self._run = open_earlier(source.home, options.generate, generate.NAME) if options.generate else None
        on_the_fly = generate.Options(
            split=options.split, template=options.template, samples=options.samples, cap=options.cap
        )
        super().__init__(source, on_the_fly)
        self.options = replace(options, template=self.options.template)
        if self._run is not None:
            if options.template:
                raise UsageError(
                    "Option template belongs to the scoter.generate run; give one of template and generate."
                )
            self.options = replace(self.options, generate=self._run.id)

    def state(self, index: int) -> State:
        """The user, with the chains that the run has.

        Raises:
            MissingInput: the run has none for this user.
            LeakageError: they were made from another history.
        """
        task = self.task(index)
        if self._run is None:
            return State(task)
        kept = payload_of(self._run, task.example.key, prefix=task.prefix)
        if not kept["chains"]:
            raise MissingInput(f"run {self._run.id} has no chain of {task.example.key}")
        chains = tuple(Chain.from_json(chain) for chain in kept["chains"])
        return State(replace(task, template=kept["template"]), chains, int(kept.get("missing", 0)))

    def calls(self) -> int:
        """None where the chains are there."""
        return 0 if self._run is not None else super().calls()


def check_scoring(options: Scoring) -> None:
    """Refuse what makes no sense.

    Raises:
        UsageError: `similar` is no per cent.
    """
    if not 1 <= options.similar <= 100:
        raise UsageError(f"Option similar is a cosine in per cent, from 1 to 100, not {options.similar}.")


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """The catalogue's vectors with the split's targets, and the embedder of paths."""
    return scoring_parts(source, options, SplitView(source.corpus, options.split))


def scoring_parts(source: Source, options: Scoring, view: SplitView) -> tuple[Judge, Paths]:
    """What scores chains under these options, against the targets of this view."""
    cache = source.home / "embedders"
    catalogue = Catalogue(source.corpus, options.embedder, items=options.items, cache=cache)
    how = Mapping(greedy=options.assign == "greedy", exclude_history=options.history == "exclude")
    embedder = open_embedder(options.path_embedder, fit_on=[], cache=cache)
    return Judge(catalogue, view, how), Paths(embedder, options.similar / 100, options.prune)


def scoring_of(options: Scoring) -> dict[str, Any]:
    """The scoring options alone, by name."""
    return {field.name: getattr(options, field.name) for field in fields(Scoring)}


def result(state: State) -> dict[str, Any]:
    """What is kept: every chain with its verdict, and the user's mean over them."""
    chains = [
        {
            **scored.chain.json,
            **scored.verdict.json,
            **({"same_as": scored.same_as} if scored.same_as is not None else {}),
        }
        for scored in state.scored
    ]
    n = len(chains)
    means = {name: sum(float(c[name]) for c in chains) / n for name in ("hit", "ndcg", "percentile")}
    return {**generate.told(state.task), "chains": chains, "missing": state.missing, **means}


def outcomes(judged: Judged) -> list[Worth]:
    """The verdicts that the graph itself gave, as means over a user's chains."""
    names = {PERCENTILE: "percentile", "recall@20": "hit", "ndcg@20": "ndcg"}
    return [Worth(name, {r.key: float(p[kept]) for r, p in judged.done}) for name, kept in names.items()]


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="Recall@20, NDCG@20 and a dense surrogate of every chain against the next item",
    options=Options,
    state=State,
    build=build,
    inputs=Chains,
    result=result,
    steps=lambda state: 8,
    prompts=lambda options: () if options.generate else generate.prompt_names(options.template),
    equip=equip,
    audit=Rules(blanks=audited.BLANKS, results=audited.RESULTS, earlier={**audited.OF_TEMPLATES, **audited.OF_CHAINS}),
    outcomes=outcomes,
    texts=("chains", generate.texts),
)
