"""Diagnostics: what was in the runs that a mechanism's cells read, on one world with one model.

Some know what nobody can know, the world's own taste of a user; their names say so, and nothing here reaches a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals.metrics import Floats, metric, placements
from evals.papers import scoter
from evals.papers.pulse import tables as pulse
from evals.papers.rallrec import tables as rallrec
from evals.papers.rallrec.clicks import Pool, pool_of
from evals.papers.rallrec.constants import mean_weight
from evals.registry import Options
from evals.replicate import Ground
from graphs.rallrec.merge import ALPHA
from graphs.workflow import Source
from whyrec.data.corpus import Corpus
from whyrec.data.ctr import ctr_rows
from whyrec.data.generated.world import World, load
from whyrec.data.split import SplitView
from whyrec.llm.built_in.blocks import tokens
from whyrec.llm.built_in.simulated.manner import read_name
from whyrec.llm.built_in.simulated.reading import Facts


def marks_of(kind: str, on: Ground, llm: str, options: Options) -> dict[str, float]:
    """The diagnostics of this kind; none for ""."""
    if not kind:
        return {}
    return {"pulse": of_trees, "scoter": of_templates, "merging": of_merging, "injection": of_hints}[kind](
        on, llm, options
    )


def of_trees(on: Ground, llm: str, options: Options) -> dict[str, float]:
    """Which leaves the rules pick, and how true they are."""
    truth = _Truth(load(on.data.name), llm)
    results = [r for r in on.artefacts.results(pulse.reasons(llm, options)) if r.payload is not None]
    trees: list[Mapping[str, Any]] = [r.payload for r in results if r.payload is not None]
    pools = [tree for tree in trees if len(tree["leaves"]) > 1 and {"space", "embedding"} <= set(tree["chosen"])]

    def together(one: str, other: str) -> float:
        return float(np.mean([tree["chosen"][one] == tree["chosen"][other] for tree in pools]))

    found = {
        "leaves in the pool": float(np.mean([len(tree["leaves"]) for tree in pools])),
        "space and cosine pick one leaf": together("space", "embedding"),
        "space and random pick one leaf": together("space", "random"),
    }
    found |= _mrr(on, llm, options.how.embedder)
    found |= _agreements(truth, pools)
    return found


def _mrr(on: Ground, llm: str, name: str) -> dict[str, float]:
    """Retrieval of held-out rationales by the space, before and after training."""
    from graphs.shared import thought_spaces as thoughts
    from rec_models.thought_space.space import read_note
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder

    assert isinstance(on.data, Corpus)
    source = Source(on.data, on.place.home)
    run = str(on.artefacts.note(pulse.rationales(llm))["run"])
    how = thoughts.with_rationales(source, thoughts.Learning(run, learners=pulse.LEARNERS))
    embedder = open_embedder(name, fit_on=captions(on.data), cache=source.home / "embedders")
    folder = thoughts.space_folder(source, how, embedder)
    if not folder.exists():
        return {}
    fit = read_note(folder)["fit"]
    return {"held-out MRR before training": fit["mrr_before"], "held-out MRR of the space": fit["mrr"]}


class _Truth:
    """What the world knows of its users; nobody else does."""

    def __init__(self, world: World, llm: str) -> None:
        _, manner = read_name(llm.removeprefix("simulated:"))
        self.world, self._facts, self._view = world, Facts(world, manner), SplitView(world.corpus, "test")

    def agreement(self, tree: Mapping[str, Any]) -> list[float]:
        """Of every thought of a tree: cosine of its words' topics with the taste that drew the target."""
        user = self.world.corpus.user_index[tree["user"]]
        taste = self.world.truth.taste(user, len(self._view.history(user)) + 1).astype(np.float64)
        found = []
        for thought in tree["thoughts"]:
            said = np.zeros(len(taste))
            for word in tokens(str(thought["text"])):
                if word in self._facts.topic_of:
                    said[self._facts.topic_of[word]] += 1.0
            found.append(float(said @ taste / np.sqrt((said @ said) * (taste @ taste))) if said.any() else 0.0)
        return found


def _agreements(truth: _Truth, pools: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How well the words of the picked reasons agree with the true taste."""
    agreement = [truth.agreement(tree) for tree in pools]
    rows = {"the space's leaf": "space", "cosine's leaf": "embedding", "the base reason": "base"}
    found = {
        f"agreement with the true taste, {name}": float(
            np.mean([told[tree["chosen"][rule]] for told, tree in zip(agreement, pools, strict=True)])
        )
        for name, rule in rows.items()
    }
    leaves = [[told[n] for n in tree["leaves"]] for told, tree in zip(agreement, pools, strict=True)]
    found["agreement with the true taste, any leaf"] = float(np.mean([np.mean(some) for some in leaves]))
    found["agreement with the true taste, best leaf"] = float(np.mean([max(some) for some in leaves]))
    return found


def of_templates(on: Ground, llm: str, options: Options) -> dict[str, float]:
    """What was mined: evidence, steps, and how the templates did on fresh train users."""
    (result,) = on.artefacts.results(scoter.mined(llm, options))
    mined = result.payload
    if mined is None:
        return {}
    best = mined["clusters"][0]
    found = {
        "chains mined": float(mined["chains"]),
        "of them hits": float(sum(one["hits"] for one in mined["clusters"])),
        "clusters": float(mined["k"]),
        "chains of the best cluster": float(best["chains"]),
        "hits of the best cluster": float(best["hits"]),
    }
    for name, which in (("mined", "mined"), ("top-K", "top_k")):
        steps = mined["templates"][which]["steps"]
        found[f"steps, {name}"] = float(len(steps))
        found[f"Recall@20 on fresh train users, {name}"] = float(mined["comparison"][which]["recall@20"]["mean"])
    found["one template"] = float(mined["templates"]["mined"]["steps"] == mined["templates"]["top_k"]["steps"])
    return found


def of_merging(on: Ground, llm: str, options: Options) -> dict[str, float]:
    """How much the samples differ, what weight that gives them, and how good either side is."""
    pool = _pool(on, "hinted", llm, options)
    assert pool.experts is not None
    told = [r.payload for r in on.artefacts.results(rallrec.asked("hinted", llm, options)) if r.payload is not None]
    return {
        "rows whose samples differ": float((pool.variance > 1e-6).mean()),
        "mean variance of the samples": float(pool.variance.mean()),
        "mean variance of the expert": float(pool.experts[:, 1].mean()),
        "share of a history that is shown": float(np.mean([len(p["shown"]) / p["events"] for p in told])),
        "mean weight of the samples by eq. 10": mean_weight(pool),
        "the same held constant": ALPHA / (1 + ALPHA),
        **_worth("the samples", pool.own, pool),
        **_worth("the expert", pool.experts[:, 0], pool),
    }


def of_hints(on: Ground, llm: str, options: Options) -> dict[str, float]:
    """How often a hint says yes and is right, and how well thoughts with and without it rank."""
    pool = _pool(on, "hinted", llm, options)
    assert pool.experts is not None
    yes = pool.experts[:, 0] > 0.5
    found = {
        "rows liked": float(pool.clicked.mean()),
        "hints that say yes": float(yes.mean()),
        "hints that are right": float((yes == pool.clicked).mean()),
    }
    for name, other in (("no hint", "unhinted"), ("the hint", "hinted"), ("another row's hint", "another row's hint")):
        found |= _worth(f"thinking with {name}", (kept := _pool(on, other, llm, options)).own, kept)
    return found


def _pool(on: Ground, name: str, llm: str, options: Options) -> Pool:
    assert isinstance(on.data, Corpus)
    return pool_of(on.artefacts.results(rallrec.asked(name, llm, options)), ctr_rows(on.data), "test")


def _worth(name: str, p: Floats, pool: Pool) -> dict[str, float]:
    """AUC and log loss of some probabilities."""
    return {
        f"AUC of {name}": float(placements(p, pool.clicked)[0].mean()),
        f"log loss of {name}": float(metric("log_loss").clicks(p, pool.clicked).mean()),
    }
