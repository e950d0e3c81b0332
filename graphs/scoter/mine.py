"""The template that a data set's own successes teach: Generate, Validate, Mine over many users at once.

    START -> generate_chains -> validate_chains -> cluster -> abstract -> revalidate -> END
                                                                    (SCoTER 3.2 Mine, Algorithm 1; spec 4.a)

One example per data set. Chains of `sample` users are made and scored, their paths pruned and clustered, the cluster of
the best quality is shown to the model as its N paths nearest to the centroid, and comes back as a template. What the
paper lacks: the template is then tried on `fresh` users, on the same ones as the manual templates, those the paper
published and the top-K baseline (Table 2: the ten best single chains, without clustering), with paired tests.

The state holds names of files in the run's folder (stages.py), so a kill costs nothing, and a stage is done once. Only
train or validation targets are ever read (leakage matrix, spec 8), and none goes into a prompt: what the model is told
of targets is one number, the cluster's recall.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graphs.scoter import audited, generate, mining, validate
from graphs.scoter.drawn_users import DrawnUsers, draw_users
from graphs.scoter.mining import Miner
from graphs.scoter.stages import read
from graphs.scoter.templates import KEY, MINE, SHIPPED, TOP_K
from graphs.services import STUDENT, WRITER, Services
from graphs.shared.audited import DOMAIN
from graphs.shared.earlier_run import open_earlier
from graphs.workflow import Source, Workflow
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.plugins.rules import Rule, Rules
from whyrec.runs import RunReader

NAME = MINE
_REHEARSAL = 24  # users of an estimate's dry run, mined and fresh


@dataclass(frozen=True)
class Options(validate.Scoring):
    """Options of scoter.mine.

    Attributes:
        split: whose targets decide what is good.
        generate, validate: id of a run whose chains, or whose scored chains, are mined; both "" to make and score
            chains of `sample` users here.
        sample, fresh, seed: users mined, users the templates are tried on, and the seed of their draw and of k-means.
        samples, cap: chains per user, latest events shown.
        quality: what clusters are ranked by: lower end of Wilson's interval of their recall, the mean recall as in the
            paper, or the dense surrogate.
        smallest: clusters with less than this per cent of the chains are not chosen.
        exemplars: paths shown to the model; also the K of the top-K baseline.
        most_clusters: largest k tried.
    """

    split: Literal["train", "valid"] = "train"
    generate: str = ""
    validate: str = ""
    sample: int = 5_000
    fresh: int = 1_000
    seed: int = 0
    samples: int = 1
    cap: int = 20
    quality: Literal["wilson", "mean", "dense"] = "wilson"
    smallest: int = 5
    exemplars: int = 10
    most_clusters: int = 15


@dataclass(frozen=True)
class State:
    """Where the stages' files are; "" for those that are not there yet."""

    options: Options
    data: str
    run: str = ""
    folder: str = ""
    chains: str = ""
    scored: str = ""
    clusters: str = ""
    templates: str = ""
    comparison: str = ""


class Update(TypedDict, total=False):
    """What a node may change."""

    run: str
    folder: str
    chains: str
    scored: str
    clusters: str
    templates: str
    comparison: str


async def generate_chains(state: State, runtime: Runtime[Services]) -> Update:
    """Have the chains of the mined users: made here, or read from a run."""
    files = runtime.context.files()
    folder = files.folder / "stages"
    file = await mining.chains(folder, _miner(runtime), runtime.context.llm())
    return {"run": files.run, "folder": str(folder), "chains": str(file)}


async def validate_chains(state: State, runtime: Runtime[Services]) -> Update:
    """Score every chain against its user's target."""
    file = await asyncio.to_thread(mining.score, Path(state.folder), Path(state.chains), _miner(runtime))
    return {"scored": str(file)}


async def cluster(state: State, runtime: Runtime[Services]) -> Update:
    """Prune near-duplicate paths, cluster the rest, rank the clusters."""
    file = await asyncio.to_thread(
        mining.cluster, Path(state.folder), Path(state.scored), _miner(runtime), state.options
    )
    return {"clusters": str(file)}


async def abstract(state: State, runtime: Runtime[Services]) -> Update:
    """Have the best cluster's template, and that of the best single chains, written."""
    file = await mining.templates(Path(state.folder), Path(state.clusters), runtime.context.llm())
    return {"templates": str(file)}


async def revalidate(state: State, runtime: Runtime[Services]) -> Update:
    """Try all templates on the same fresh users."""
    folder = Path(state.folder)
    file = await mining.revalidate(folder, Path(state.templates), _miner(runtime), runtime.context.llm(STUDENT))
    return {"comparison": str(file)}


def _miner(runtime: Runtime[Services]) -> Miner:
    """The users and what scores them; a few users only in a rehearsal (an estimate's dry run)."""
    miner = runtime.context.part(Miner)
    if runtime.context.files().run:
        return miner
    return replace(miner, drawn=miner.drawn.rehearsal(miner.judge.view, _REHEARSAL))


def build() -> Any:
    """One stage after another."""
    graph = StateGraph(State, context_schema=Services)
    before = START
    for node in (generate_chains, validate_chains, cluster, abstract, revalidate):
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    graph.add_edge(before, END)
    return graph.compile()


class DataSet:
    """The data set as the only example. `options` are as used: runs in full, as many users as there are.

    Raises:
        UsageError: options that make no sense, a run of another graph, too few users.
    """

    def __init__(self, source: Source, options: Options) -> None:
        _check(options)
        run, names = _earlier(source, options)
        drawn = draw_users(source, SplitView(source.corpus, options.split), options, run)
        used: dict[str, Any] = {**names, "sample": len(drawn.mined), "fresh": len(drawn.fresh)}
        self.options = replace(options, **used)
        self.indices: npt.NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self._data, self._has_chains = source.corpus.name, run is not None

    def key(self, index: int) -> str:
        """Always the same."""
        return KEY

    def place(self, index: int) -> tuple[str, str]:
        """No user; the split whose targets are read."""
        return "", self.options.split

    def state(self, index: int) -> State:
        """Before the first stage."""
        return State(self.options, self._data)

    def calls(self) -> int:
        """Chains, two abstractions, and every template for every fresh user."""
        return sum(bound for bound, _ in self.shared().values())

    def shared(self) -> dict[str, tuple[int, int]]:
        """Calls by node, which an estimate cannot learn from a dry run: that has a few users only (`_miner`)."""
        calls = {} if self._has_chains else {"generate_chains": self.options.sample * self.options.samples}
        calls |= {"abstract": 2}
        calls |= {f"revalidate {which}": self.options.fresh for which in ("mined", TOP_K, *SHIPPED)}
        return {node: (n, n) for node, n in calls.items()}


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """What the stages read and score with."""
    view = SplitView(source.corpus, options.split)
    judge, paths = validate.scoring_parts(source, options, view)
    run, _ = _earlier(source, options)
    drawn: DrawnUsers = draw_users(source, view, options, run)
    return (Miner(judge, paths, drawn, run, samples=options.samples, cap=options.cap),)


def _earlier(source: Source, options: Options) -> tuple[RunReader | None, dict[str, str]]:
    """The run that has the chains, and the options that name it in full."""
    for name, graph in (("validate", validate.NAME), ("generate", generate.NAME)):
        if given := getattr(options, name):
            run = open_earlier(source.home, given, graph)
            return run, {name: run.id}
    return None, {}


def _check(options: Options) -> None:
    validate.check_scoring(options)
    if options.generate and options.validate:
        raise UsageError("Name the run of chains (generate) or that of scored chains (validate), not both.")
    wrong = {
        "samples": not 1 <= options.samples <= generate.MOST_SAMPLES,
        "cap": options.cap < 1,
        "smallest": not 0 <= options.smallest <= 6,
        "exemplars": not 2 <= options.exemplars <= 30,
        "most_clusters": not 2 <= options.most_clusters <= 15,
    }
    if bad := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise UsageError(
            f"scoter.mine cannot use {', '.join(f'{n}={getattr(options, n)}' for n in bad)}: samples is 1 to "
            f"{generate.MOST_SAMPLES}, cap 1 or more, smallest 0 to 6, exemplars 2 to 30, most_clusters 2 to 15."
        )


def result(state: State) -> dict[str, Any]:
    """What is kept: clusters with their quality, the templates, and how they did on fresh users."""
    clusters: Mapping[str, Any] = read(Path(state.clusters))
    kept = {name: value for name, value in clusters.items() if name not in ("exemplars", TOP_K)}
    return {
        "data": state.data,
        "split": state.options.split,
        "run": state.run,
        **kept,
        "exemplars": {"mined": clusters["exemplars"], TOP_K: clusters[TOP_K]},
        "templates": read(Path(state.templates)),
        **read(Path(state.comparison)),
    }


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="one reasoning template per data set: chains scored, clustered, abstracted, tried on fresh users",
    options=Options,
    state=State,
    build=build,
    inputs=DataSet,
    result=result,
    steps=lambda state: 12,
    prompts=lambda options: (
        *(() if options.generate or options.validate else ("scoter/generate",)),
        "scoter/abstract",
        "scoter/follow",
    ),
    roles=(WRITER, STUDENT),
    equip=equip,
    audit=Rules(  # a result is of many users and no one's: its split is checked instead of its fields
        blanks={
            **audited.BLANKS,
            "scoter/abstract": {**DOMAIN, "performance": Rule.OVER_USERS, "paths": Rule.OVER_USERS},
        },
        earlier={**audited.OF_CHAINS, **audited.OF_SCORED},
    ),
)
