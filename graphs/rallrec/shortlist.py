"""Which K events of a history are shown: the relevant, the recent, or both merged (RALLRec+ 4.2.6, eq. 8).

Pure functions over one history. A *place* is an event's index in the history, 0 the oldest; a channel is a list of
places, best first; a result is a list of places, best first. So an item met twice is two events, and the same event in
both channels is one.

Unusual: three rules bear the paper's "2/3 relevant, 1/3 recent".

    reranked    eq. 8: gamma / p^beta for the p-th relevant, (1 - gamma) / q^beta for the q-th recent event.
    two_thirds  the first 2K/3 relevant, then the most recent others: what eq. 8 gives with gamma = 2/3, beta = 1 when
                the channels are disjoint and K is a multiple of 3 (a test proves it).
    official    the released code: of the K most relevant the 2K/3 most *recent*, then the most recent others. It
                agrees with neither of the above, and drops the most relevant event if it is old.

Shape legend: N events of the history, K shown.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Places: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Twice: TypeAlias = Literal["max", "sum"]


def relevant(similarity_N: npt.ArrayLike, k: int) -> Places:
    """The k places most similar to the target, best first; of equally similar events the later one first."""
    similarity = np.asarray(similarity_N, dtype=np.float64).round(6)
    order: Places = np.lexsort((-np.arange(len(similarity)), -similarity))[:k]
    return order


def recent(n: int, k: int) -> Places:
    """The k latest of n places, the latest first."""
    return np.arange(n - 1, max(n - k, 0) - 1, -1, dtype=np.int64)


def reranked(
    by_relevance: Places, by_time: Places, k: int, *, gamma: float, beta: float, twice: Twice = "max"
) -> tuple[Places, Floats]:
    """Eq. 8: (the k best places, their scores).

    Args:
        by_relevance: the relevant channel.
        by_time: the recent channel.
        k: how many.
        gamma: weight of the relevant channel; 1 - gamma is the recent one's.
        beta: how fast a score falls with the place in its channel.
        twice: an event in both channels has the larger of its two scores, or their sum.

    Equal scores stand in the order of the relevant channel, then of the recent one.
    """
    found: dict[int, list[float]] = {}
    for channel, weight in ((by_relevance[:k], gamma), (by_time[:k], 1.0 - gamma)):
        for position, place in enumerate(channel.tolist(), 1):
            found.setdefault(place, []).append(weight / position**beta)
    scores = {place: max(each) if twice == "max" else sum(each) for place, each in found.items()}
    best = sorted(scores, key=lambda place: -round(scores[place], 12))[:k]
    return np.array(best, dtype=np.int64), np.array([scores[place] for place in best], dtype=np.float64)


def two_thirds(by_relevance: Places, by_time: Places, k: int) -> Places:
    """The first 2k/3 relevant places, then the most recent of the others, up to k."""
    return _filled(by_relevance[: 2 * k // 3], by_time, k)


def official(by_relevance: Places, by_time: Places, k: int) -> Places:
    """The released rule: the 2k/3 latest of the k most relevant, then the most recent others in time order."""
    first = np.sort(by_relevance[:k])[::-1][: 2 * k // 3]
    both = _filled(first, by_time, k)
    return np.concatenate([both[: len(first)], both[len(first) :][::-1]])


def hybrid(by_text: Places, by_ids: Places, k: int) -> Places:
    """GPT-FedRec's baseline: the first (k + 1) / 2 by text, then the best others by collaborative vectors."""
    return _filled(by_text[: (k + 1) // 2], by_ids, k)


def _filled(first: Places, others: Places, k: int) -> Places:
    """`first`, then those of `others` that are not among them, k in all where there are so many."""
    rest = others[~np.isin(others, first)][: k - len(first)]
    return np.concatenate([first, rest])
