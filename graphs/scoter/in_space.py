"""Chains of a run, weighed in a thought space: does a chain agree with the behaviour it was made from?

    weigh(source, run, Learning(rationales="..."), embedder) -> Weighed

The space is that of graphs/shared/thought_spaces.py, learnt from rationales of training users by whichever workflow
made them; the behaviour text is that of graphs/shared/behaviour.py. A chain's text is what its steps find, without the
recommendations, as a rationale does not name the item it is a reason for.

What a cosine is worth is told by two comparisons: with another user's behaviour (a chain should find its own among all
of them), and, where the run has verdicts (scoter.validate), with what the chain's recommendations hit.

Shapes: C chains, U users with chains, P width of the space.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from graphs.shared.behaviour import behaviour_text
from graphs.shared.earlier_run import payload_of
from graphs.shared.thought_spaces import Learning, leaks_of, learnt
from graphs.workflow import Source
from whyrec.data.split import SplitView
from whyrec.embed import Embedder, Vectors
from whyrec.errors import UsageError
from whyrec.runs import RunReader


@dataclass(frozen=True)
class Chain:
    """One chain in the space.

    Attributes:
        key: of its example.
        place: among its user's chains.
        text: what was weighed.
        cosine: with the behaviour it was made from.
        other: with the behaviour of the user after this one.
        rank: of the own behaviour among all users', from 1; equal ones count half.
        percentile: of the target among all items by the chain's recommendations; None where the run has no verdict.
    """

    key: str
    place: int
    text: str
    cosine: float
    other: float
    rank: float
    percentile: float | None


@dataclass(frozen=True)
class Weighed:
    """All chains of a run, and what that leaks in words (() in every honest run)."""

    chains: tuple[Chain, ...]
    users: int
    leaks: tuple[str, ...]

    def by_user(self, what: Callable[[Chain], float]) -> npt.NDArray[np.float64]:
        """float64[U]: the mean of something over each user's chains, users in the run's order."""
        found: dict[str, list[float]] = {}
        for chain in self.chains:
            found.setdefault(chain.key, []).append(what(chain))
        return np.array([float(np.mean(values)) for values in found.values()])

    def chance(self) -> float:
        """The mean reciprocal rank of a chain that knows nothing."""
        return float(np.mean(1.0 / np.arange(1, self.users + 1)))

    def agreement(self) -> tuple[float, float] | None:
        """Spearman's correlation of cosine and percentile over chains, and its p; None without verdicts or spread."""
        pairs = np.array([(c.cosine, c.percentile) for c in self.chains if c.percentile is not None])
        if len(pairs) < 3 or (pairs == pairs[0]).all(axis=0).any():
            return None
        found: Any = stats.spearmanr(pairs[:, 0], pairs[:, 1])
        return float(found.statistic), float(found.pvalue)


def weigh(source: Source, run: RunReader, how: Learning, embedder: Embedder) -> Weighed:
    """Put every chain of a scoter.generate or scoter.validate run into a space.

    Args:
        source: the data the run was made from, and where spaces are kept.
        run: opened.
        how: what the space is learnt from, resolved; it is trained at its first use and read afterwards.
        embedder: of the space.

    Raises:
        UsageError: the run has no chain, or only one user's.
        LeakageError: a chain was made from another history than this data set's.
    """
    options = json.loads(run.info()["settings"])["options"]
    view = SplitView(source.corpus, options["split"])
    users: list[int] = []
    rows: list[tuple[int, str, int, dict[str, Any]]] = []
    for user, key, kept in _kept(run, view):
        rows += [(len(users), key, place, chain) for place, chain in enumerate(kept["chains"])]
        users.append(user)
    if len(users) < 2:
        raise UsageError(f"Run {run.id} has chains of {len(users)} users; a chain is held against two or more.")
    space = learnt(source, how, embedder)
    texts = ["\n".join(chain["reason"]) for *_, chain in rows]
    behaviours_UP = space.behaviours([behaviour_text(view.example(user).history) for user in users])
    near_CU: Vectors = space.rationales(texts) @ behaviours_UP.T
    chains = [_chain(row, text, near) for row, text, near in zip(rows, texts, near_CU, strict=True)]
    return Weighed(tuple(chains), len(users), leaks_of(source, how.rationales))


def _kept(run: RunReader, view: SplitView) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(user index, key, payload) of every user with chains, each checked against the history here."""
    for result in run.results("done"):
        user = view.corpus.user_index[result.user]
        payload = payload_of(run, result.key, prefix=view.prefix_digest(user))
        if payload["chains"]:
            yield user, result.key, payload


def _chain(row: tuple[int, str, int, dict[str, Any]], text: str, near_U: Vectors) -> Chain:
    user, key, place, chain = row
    own = near_U[user]
    rank = 1.0 + float((near_U > own).sum()) + 0.5 * float((near_U == own).sum() - 1)
    found = chain.get("percentile")
    other = float(near_U[(user + 1) % len(near_U)])
    return Chain(key, place, text, float(own), other, rank, None if found is None else float(found))
