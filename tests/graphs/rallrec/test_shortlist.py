"""Which events of a history are shown: channels, eq. 8, and the rules it is mistaken for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.rallrec.shortlist import hybrid, official, recent, relevant, reranked, two_thirds


def places(*values):
    return np.array(values, dtype=np.int64)


def test_channels():
    assert relevant([0.1, 0.9, 0.5, 0.9], 3).tolist() == [3, 1, 2], "of equals the later one first"
    assert recent(5, 3).tolist() == [4, 3, 2] and recent(2, 3).tolist() == [1, 0]


def test_eq_8_by_hand():
    shown, scores = reranked(places(0, 5, 3), places(9, 5, 8), 3, gamma=0.6, beta=1.0)
    # relevant .6 .3 .2, recent .4 .2 .1333; event 5 is in both and keeps the larger, .3
    assert shown.tolist() == [0, 9, 5] and scores == pytest.approx([0.6, 0.4, 0.3])
    shown, scores = reranked(places(0, 5, 3), places(9, 5, 8), 3, gamma=0.6, beta=1.0, twice="sum")
    assert shown.tolist() == [0, 5, 9] and scores == pytest.approx([0.6, 0.5, 0.4])
    shown, _ = reranked(places(0, 5, 3), places(9, 5, 8), 3, gamma=0.6, beta=0.0)
    assert shown.tolist() == [0, 5, 3], "without a fall by place, the heavier channel alone"


def test_one_channel_alone():
    assert reranked(places(0, 5, 3), places(9, 8, 7), 3, gamma=1.0, beta=1.0)[0].tolist() == [0, 5, 3]
    assert reranked(places(0, 5, 3), places(9, 8, 7), 3, gamma=0.0, beta=1.0)[0].tolist() == [9, 8, 7]


@given(k=st.integers(1, 12).map(lambda n: 3 * n), seed=st.integers(0, 10_000))
def test_eq_8_with_two_thirds_is_the_two_thirds_rule_on_disjoint_channels(k, seed):
    everything = np.random.default_rng(seed).permutation(4 * k)
    by_relevance, by_time = everything[:k], everything[k : 2 * k]
    shown, _ = reranked(by_relevance, by_time, k, gamma=2 / 3, beta=1.0)
    assert set(shown.tolist()) == set(two_thirds(by_relevance, by_time, k).tolist())


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.integers(1, 20), st.floats(0, 1), st.floats(0, 3))
def test_nothing_is_shown_twice_and_as_much_as_there_is(similarity, k, gamma, beta):
    n = len(similarity)
    by_relevance, by_time = relevant(similarity, 2 * k), recent(n, 2 * k)
    lists = [
        reranked(by_relevance, by_time, k, gamma=gamma, beta=beta)[0],
        two_thirds(by_relevance, by_time, k),
        official(by_relevance, by_time, k),
        hybrid(by_relevance, relevant([-s for s in similarity], 2 * k), k),
    ]
    for shown in lists:
        assert len(set(shown.tolist())) == len(shown) <= k
        assert set(shown.tolist()) <= set(range(n))
    assert all(len(shown) == min(k, n) for shown in lists)


def test_the_released_rule_takes_the_latest_of_the_relevant():
    by_relevance, by_time = places(0, 1, 2), recent(10, 6)
    assert official(by_relevance, by_time, 3).tolist() == [2, 1, 9], "event 0 is the most relevant, and is dropped"
    assert two_thirds(by_relevance, by_time, 3).tolist() == [0, 1, 9]
    assert official(places(0, 1, 2, 3, 4, 5), by_time, 6)[-2:].tolist() == [8, 9], "the recent ones in time order"


def test_hybrid_is_half_and_half_without_repeats():
    assert hybrid(places(4, 3, 2, 1), places(4, 7, 3, 8), 3).tolist() == [4, 3, 7]
