"""The stages of scoter.mine: each makes one file from the files before it, or finds it made.

Nothing here is a graph: a stage is a function from file to file. A user whose chain cannot be had is counted as failed
and left out; a server that is gone ends the stage, which then goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from agents import scoter as agents
from agents.agent import AnswerError
from agents.scoter import ARROW, usable_steps
from graphs.scoter import compare
from graphs.scoter.drawn_users import DrawnUsers
from graphs.scoter.generate import Chain, sample_chains
from graphs.scoter.judge import Judge
from graphs.scoter.paths import Cluster, Group, Scores, as_json, prune, ranked
from graphs.scoter.paths import cluster as find_clusters
from graphs.scoter.stages import Ledger, read, stage_file, write
from graphs.scoter.templates import MINE, SHIPPED, TOP_K
from graphs.scoter.validate import Paths, path_text
from graphs.shared.earlier_run import payload_of
from graphs.shared.gather import gather
from graphs.shared.users import about_example
from graphs.workflow import MissingInput
from whyrec.llm.model import About, LanguageModel, ServerFault, TimedOut
from whyrec.records import Example
from whyrec.runs import RunReader

_AT_ONCE: Final = 64
_SHOWN: Final = 3  # exemplars of a cluster that its row keeps
_LOST = (AnswerError, ServerFault, TimedOut)  # of one user; other errors of a model are the server's


@dataclass(frozen=True)
class Miner:
    """What the stages read and score with.

    Attributes:
        judge, paths: score chains and embed paths.
        drawn: whose chains are mined, and who is fresh.
        run: the run that has the chains or the scored chains; None to make them.
        samples, cap: chains per user, latest events shown.
    """

    judge: Judge
    paths: Paths
    drawn: DrawnUsers
    run: RunReader | None
    samples: int
    cap: int

    def example(self, user: int) -> Example:
        """A user's history as shown; without the target."""
        return self.judge.view.example(user, last=self.cap)

    def key(self, user: int) -> str:
        """Key of a user's example."""
        return f"{self.judge.view.split}/{self.judge.view.corpus.user_ids[user]}"


async def chains(folder: Path, miner: Miner, llm: LanguageModel) -> Path:
    """[[user, chains or null]] of the mined users: asked for, or read from the run."""
    file = stage_file(folder, "chains")
    if file.exists():
        return file
    if miner.run is not None:
        found = await asyncio.to_thread(lambda: [[int(u), _stored(miner, int(u))] for u in miner.drawn.mined])
    else:
        ledger = Ledger(folder / "chains.jsonl")

        async def ask(user: int) -> None:
            example, key = miner.example(user), miner.key(user)
            about = about_example(example, MINE, "generate_chains")
            ledger.append(key, await _or_lost(sample_chains(llm, example, (), n=miner.samples, about=about)))

        await _each([u for u in map(int, miner.drawn.mined) if miner.key(u) not in ledger.lines], ask)
        found = [[int(u), ledger.lines[miner.key(int(u))]] for u in miner.drawn.mined]
    write(file, found)
    return file


def _stored(miner: Miner, user: int) -> list[dict[str, Any]] | None:
    """A user's chains in the earlier run, with their verdicts if it is one of scoter.validate."""
    assert miner.run is not None
    try:
        kept = payload_of(miner.run, miner.key(user), prefix=miner.judge.view.prefix_digest(user))
    except MissingInput:
        return None
    return list(kept["chains"])


def score(folder: Path, made: Path, miner: Miner) -> Path:
    """Every chain with its verdict; users without any are counted, and chains that are missing where made here."""
    file = stage_file(folder, "scored", made)
    if file.exists():
        return file
    rows, failed, missing = [], 0, 0
    for user, found in read(made):
        failed += found is None
        if miner.run is None and found is not None:  # a run says itself what it lacks
            missing += miner.samples - len(found)
        for chain in found or ():
            scored = chain if "hit" in chain else miner.judge.verdict(user, chain["recommendations"]).json
            kept = {name: scored[name] for name in ("hit", "place", "ndcg", "percentile")}
            rows.append({"user": user, "path": chain["path"], **kept})
    write(file, {"rows": rows, "failed": failed, "missing": missing})
    return file


def cluster(folder: Path, scored: Path, miner: Miner, options: Any) -> Path:
    """Clusters with their quality, the exemplars of the best one, and the top-K chains."""
    file = stage_file(folder, "clusters", scored)
    if file.exists():
        return file
    given = read(scored)
    rows = given["rows"]
    if not rows:
        raise MissingInput(f"none of {given['failed']} users has a chain, so there is nothing to mine")
    vectors_PD = miner.paths.embedder.embed([path_text(row["path"]) for row in rows])
    groups = prune(vectors_PD, similar=miner.paths.similar, how=miner.paths.how)
    firsts_GD = vectors_PD[[group.first for group in groups]]
    labels, silhouettes = find_clusters(vectors_PD, groups, most=options.most_clusters, seed=options.seed)
    scores = Scores([row["hit"] for row in rows], [row["percentile"] for row in rows])
    found = ranked(firsts_GD, labels, groups, scores, quality=options.quality, smallest=options.smallest / 100)
    text = [ARROW.join(rows[group.first]["path"]) for group in groups]
    write(
        file,
        {
            "chains": sum(len(group.members) for group in groups),
            "failed": given["failed"],
            "missing": given.get("missing", 0),  # stages of before samples could be missing alone lack none
            "paths": len(groups),
            "k": len(found),
            "silhouettes": {str(k): s for k, s in silhouettes.items()},
            "clusters": [_row(one, groups, text) for one in found],
            "exemplars": [text[g] for g in found[0].groups[: options.exemplars]],
            "top_k": [ARROW.join(row["path"]) for row in best_chains(rows, options.exemplars, seed=options.seed)],
        },
    )
    return file


def _row(one: Cluster, groups: list[Group], text: list[str]) -> dict[str, Any]:
    return {
        "chains": one.chains,
        "paths": len(one.groups),
        "hits": round(one.recall.mean * one.recall.n),
        "recall@20": as_json(one.recall),
        "percentile": as_json(one.dense),
        "eligible": one.eligible,
        "nearest": [text[g] for g in one.groups[:_SHOWN]],
        "most frequent": text[max(one.groups, key=lambda g: len(groups[g].members))],
    }


def best_chains(rows: list[dict[str, Any]], k: int, *, seed: int) -> list[dict[str, Any]]:
    """The K chains with the best scores; equal ones by the place of the hit, then by lot (spec 4.a topk_selection)."""
    lots = np.random.default_rng([seed, 7]).permutation(len(rows))
    order = sorted(range(len(rows)), key=lambda i: (not rows[i]["hit"], rows[i]["place"], lots[i]))
    return [rows[i] for i in order[:k]]


async def templates(folder: Path, clusters: Path, llm: LanguageModel) -> Path:
    """Two templates: of the best cluster ("mined") and of the best single chains ("top_k")."""
    file = stage_file(folder, "templates", clusters)
    if file.exists():
        return file
    given = read(clusters)
    best, n = given["clusters"][0], given["chains"]
    asked = {
        "mined": (
            f"Rank 1 of {given['k']} groups of paths: {best['hits']} of {best['chains']} tries held the next item, "
            f"Recall@20 {best['recall@20']['mean']:.4f}.",
            given["exemplars"],
        ),
        TOP_K: (f"The {len(given['top_k'])} tries with the best result among {n}.", given["top_k"]),
    }
    found = await gather(
        [
            agents.abstract(
                llm, about=About(graph=MINE, node="abstract", example=which), performance=performance, paths=paths
            )
            for which, (performance, paths) in asked.items()
        ]
    )
    kept = {
        which: {**answer.model_dump(mode="json"), "steps": list(usable_steps(answer.steps)), "cut": list(answer.cut)}
        for which, answer in zip(asked, found, strict=True)
    }
    write(file, kept)
    return file


async def revalidate(folder: Path, made: Path, miner: Miner, llm: LanguageModel) -> Path:
    """Every template on the same fresh users, and the mined one against each of the others."""
    file = stage_file(folder, "comparison", made)
    if file.exists():
        return file
    tried = {which: tuple(template["steps"]) for which, template in read(made).items()}
    tried |= {name: template.steps for name, template in SHIPPED.items()}
    ledger = Ledger(file.with_suffix(".jsonl"))

    async def ask(what: tuple[str, int]) -> None:
        which, user = what
        example = miner.example(user)
        about = about_example(example, MINE, f"revalidate {which}")
        got = await _or_lost(sample_chains(llm, example, tried[which], n=1, about=about))
        verdict = None
        if got is not None:
            verdict = (await asyncio.to_thread(miner.judge.verdict, user, got[0]["recommendations"])).json
        ledger.append(f"{which}/{miner.key(user)}", verdict)

    wanted = [(which, int(user)) for user in miner.drawn.fresh for which in tried]
    await _each([w for w in wanted if f"{w[0]}/{miner.key(w[1])}" not in ledger.lines], ask)
    by_template: dict[str, dict[str, Any]] = {which: {} for which in tried}
    for which, user in wanted:
        by_template[which][miner.key(user)] = ledger.lines[f"{which}/{miner.key(user)}"]
    write(file, compared(by_template))
    return file


def compared(by_template: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Means per template, paired tests of the mined one, and whether it stands."""
    served = {which: {u: v for u, v in found.items() if v is not None} for which, found in by_template.items()}
    comparison = {w: compare.summary(served[w], len(by_template[w]) - len(served[w])) for w in by_template}
    pairs = {w: compare.paired(served["mined"], served[w]) for w in by_template if w != "mined"}
    beaten = compare.beaten_by(pairs, [name for name, template in SHIPPED.items() if template.kind == "manual"])
    return {"comparison": comparison, "paired": pairs, "beaten by": beaten, "accepted": not beaten}


async def _or_lost(asked: Awaitable[tuple[Chain, ...]]) -> list[dict[str, Any]] | None:
    """The chains as kept, None where this user's cannot be had."""
    try:
        return [chain.json for chain in await asked]
    except _LOST:
        return None


async def _each(what: Iterable[Any], ask: Callable[[Any], Awaitable[None]]) -> None:
    """Ask for each, so many at once; what is answered is kept even if another one ends the stage."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Any) -> None:
        async with room:
            await ask(item)

    await gather([one(item) for item in what])
