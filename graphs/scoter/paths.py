"""Paths of reasoning as points: near-duplicates are pruned, the rest is clustered, clusters are ranked.

Pruning (paper 3.2, cosine above .85) as printed drops near-duplicates with what they tell about quality. Short paths
are nearly all alike, so dropping removes most of the evidence; by default near-duplicates are therefore *merged* under
the first of them, which keeps their number, their hits and their percentiles (spec 4.a PRUNE).

A cluster's quality is the share of its chains that hit, judged by Wilson's lower bound so that a small lucky cluster
does not win; as printed it is the bare mean. Where no chain hits at all, the dense surrogate decides.

Shape legend: P paths, D width.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from whyrec.embed import Vectors, unit_rows

Prune = Literal["merge", "drop"]
Quality = Literal["wilson", "mean", "dense"]
_STARTS: Any = 10  # of k-means; its published types know "auto" alone
_SAMPLED = 4_000  # chains whose silhouettes are looked at


@dataclass(frozen=True)
class Group:
    """A path and its near-duplicates.

    Attributes:
        first: place of the path that stands for them.
        members: places of all of them, itself included; only itself where the others were dropped.
    """

    first: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Interval:
    """A mean over n chains with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Cluster:
    """Paths that reason alike.

    Attributes:
        groups: places of its groups, the nearest to the centroid first.
        chains: how many chains they stand for.
        recall: share of the chains that hit (Wilson interval).
        dense: mean percentile (normal interval).
        eligible: whether it is large enough to be chosen.
    """

    groups: tuple[int, ...]
    chains: int
    recall: Interval
    dense: Interval
    eligible: bool


def prune(vectors_PD: Vectors, *, similar: float, how: Prune) -> list[Group]:
    """Paths in their order, each joined to the nearest earlier kept path whose cosine is `similar` or more."""
    kept: list[int] = []
    members: list[list[int]] = []
    rows_KD = np.empty_like(vectors_PD)
    for place, row in enumerate(vectors_PD):
        cosines = rows_KD[: len(kept)] @ row
        best = int(np.argmax(cosines)) if len(kept) else -1
        if best >= 0 and cosines[best] >= similar:
            members[best].append(place)
            continue
        rows_KD[len(kept)] = row
        kept.append(place)
        members.append([place])
    if how == "drop":
        members = [[first] for first in kept]
    return [Group(first, tuple(found)) for first, found in zip(kept, members, strict=True)]


def cluster(
    vectors_PD: Vectors, groups: Sequence[Group], *, most: int, seed: int
) -> tuple[npt.NDArray[np.int64], dict[int, float]]:
    """K-means over the groups, each weighing as many chains as it has, for every k from 2 to `most`.

    The k with the best cosine silhouette wins. Silhouettes are over all chains, near-duplicates included, for they
    are the density that a cluster is.

    Args:
        vectors_PD: one row per chain.
        groups: of `prune`.
        most: largest k tried.
        seed: of the starts (10 each).

    Returns:
        int64[groups], the cluster of each group (one cluster if all paths are alike), and the silhouettes by k.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import silhouette_score

    firsts_GD = vectors_PD[[group.first for group in groups]]
    weights = [len(group.members) for group in groups]
    chains_CD = vectors_PD[[member for group in groups for member in group.members]]
    sampled = np.sort(np.random.default_rng([seed, 3]).permutation(len(chains_CD))[:_SAMPLED])
    best = np.zeros(len(groups), dtype=np.int64)
    silhouettes: dict[int, float] = {}
    for k in range(2, min(most, len(np.unique(firsts_GD, axis=0)), len(chains_CD) - 1) + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            means = KMeans(k, n_init=_STARTS, random_state=seed)
            labels = np.asarray(means.fit_predict(firsts_GD, sample_weight=weights))
        told = np.repeat(labels, weights)[sampled]
        if len(np.unique(told)) < 2:
            continue
        score = float(silhouette_score(chains_CD[sampled], told, metric="cosine"))
        if score > max(silhouettes.values(), default=-math.inf):
            best = labels.astype(np.int64)
        silhouettes[k] = round(score, 6)
    return best, silhouettes


def ranked(
    vectors_PD: Vectors,
    labels: npt.NDArray[np.int64],
    groups: Sequence[Group],
    scores: Scores,
    *,
    quality: Quality,
    smallest: float,
) -> list[Cluster]:
    """Clusters, the best first; those with less than `smallest` of all chains come last and are not eligible."""
    total = sum(len(group.members) for group in groups)
    found = []
    for label in np.unique(labels):
        places = [int(p) for p in np.flatnonzero(labels == label)]
        weights = np.array([len(groups[p].members) for p in places], dtype=np.float64)
        centre = unit_rows((weights[:, None] * vectors_PD[places]).sum(axis=0, keepdims=True))[0]
        order = np.argsort(-(vectors_PD[places] @ centre), kind="stable")
        chains = [m for p in places for m in groups[p].members]
        found.append(
            Cluster(
                groups=tuple(places[int(i)] for i in order),
                chains=len(chains),
                recall=wilson(sum(scores.hits[m] for m in chains), len(chains)),
                dense=normal([scores.percentiles[m] for m in chains]),
                eligible=len(chains) >= smallest * total,
            )
        )
    return sorted(found, key=lambda c: (c.eligible, *_merit(c, quality)), reverse=True)


@dataclass(frozen=True)
class Scores:
    """What each chain is worth, by its place."""

    hits: Sequence[bool]
    percentiles: Sequence[float]


def _merit(cluster: Cluster, quality: Quality) -> tuple[float, ...]:
    """What clusters are ranked by; hits decide only where there are some."""
    dense = (cluster.dense.low, cluster.dense.mean)
    if quality == "dense":
        return dense
    first = cluster.recall.low if quality == "wilson" else cluster.recall.mean
    return (round(first, 12), *dense)


def wilson(hits: int, n: int) -> Interval:
    """Share of hits with Wilson's 95 % score interval."""
    z = float(stats.norm.ppf(0.975))
    mean = hits / n
    centre, half = mean + z * z / (2 * n), z * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (centre - half) / scale, (centre + half) / scale
    return Interval(mean, low if hits else 0.0, high if hits < n else 1.0, n)


def normal(values: Sequence[float]) -> Interval:
    """Mean with its normal 95 % interval; a single value spreads over [0, 1]."""
    n, mean = len(values), float(np.mean(values))
    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else 1.0
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half), n)


def as_json(interval: Interval) -> dict[str, Any]:
    """As kept in a run."""
    return {
        "mean": round(interval.mean, 6),
        "low": round(interval.low, 6),
        "high": round(interval.high, 6),
        "n": interval.n,
    }
