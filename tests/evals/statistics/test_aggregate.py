from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from evals.metrics import metric
from evals.statistics.aggregate import auc_summary, compare, holm, over_seeds, permutation_p, sign_p, summarise
from whyrec.records import Click


def test_the_bootstrap_interval_is_the_normal_one_where_that_is_right() -> None:
    values = (np.random.default_rng(0).random(4000) < 0.08).astype(float)
    got = summarise(values, unscored=7, seed=1)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (got.mean, got.n, got.unscored) == (values.mean(), 4000, 7)
    assert got.low == pytest.approx(got.mean - half, abs=0.1 * half)
    assert got.high == pytest.approx(got.mean + half, abs=0.1 * half)


def test_drawing_counts_and_drawing_users_have_the_same_law() -> None:
    """The first set has few distinct values, the second is the same with a tiny jitter and so all distinct."""
    rng = np.random.default_rng(0)
    few = metric("ndcg@10").rankings(rng.integers(0, 60, 1500), np.zeros(1500, int))
    all_distinct = few + rng.normal(0, 1e-6, len(few))
    one, other = summarise(few, seed=3), summarise(all_distinct, seed=3)
    assert one.low == pytest.approx(other.low, abs=5e-4)
    assert one.high == pytest.approx(other.high, abs=5e-4)


def test_same_seed_same_answer_and_another_seed_another() -> None:
    values = np.random.default_rng(0).random(300)
    assert summarise(values, seed=5) == summarise(values, seed=5)
    assert summarise(values, seed=5) != summarise(values, seed=6)
    a, b = values, values + np.random.default_rng(1).normal(0.01, 0.1, 300)
    assert compare(b, a, seed=5) == compare(b, a, seed=5)


def test_failures_enter_no_mean_and_nothing_scored_is_an_error() -> None:
    assert summarise(np.ones(3), unscored=97).mean == 1.0
    with pytest.raises(ValueError, match="97 failed"):
        summarise(np.array([]), unscored=97)


def test_the_permutation_test_agrees_with_all_sign_flips() -> None:
    difference = np.array([0.5, 0.2, -0.1, 0.5, 0.3, 0.0, 0.4, -0.2, 0.6, 0.1])
    observed = abs(difference.sum())
    sums = [abs(np.dot(difference, flips)) for flips in itertools.product((1, -1), repeat=len(difference))]
    exact = np.mean([s >= observed - 1e-12 for s in sums])
    assert permutation_p(difference, seed=0, draws=50_000) == pytest.approx(exact, abs=0.006)


def test_p_values_are_uniform_when_nothing_is_there() -> None:
    rng = np.random.default_rng(4)
    p = [permutation_p(rng.choice([-0.5, 0.0, 0.3, 0.2], 200), seed=i, draws=999) for i in range(200)]
    shifted = [permutation_p(rng.normal(0, 1, 60), seed=i, draws=999) for i in range(200)]
    assert stats.kstest(shifted, "uniform").pvalue > 0.01
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_real_difference_is_found_and_none_is_one() -> None:
    rng = np.random.default_rng(0)
    worse = (rng.random(5000) < 0.06).astype(float)
    better = np.maximum(worse, (rng.random(5000) < 0.02).astype(float))
    got = compare(better, worse)
    assert got.difference == pytest.approx(better.mean() - worse.mean())
    assert got.low > 0 and got.p < 0.001 and got.losses == 0 and got.wins == int((better - worse).sum())
    same = compare(worse, worse)
    assert (same.difference, same.low, same.high, same.p, same.wins, same.losses) == (0, 0, 0, 1, 0, 0)


def test_pairing_needs_the_same_examples() -> None:
    with pytest.raises(ValueError, match="here are 3 and 2"):
        compare(np.ones(3), np.ones(2))


def test_seeds() -> None:
    got = over_seeds([0.08, 0.09, 0.085])
    low, high = stats.t.interval(0.95, 2, loc=0.085, scale=stats.sem([0.08, 0.09, 0.085]))
    assert (got.mean, got.low, got.high) == (pytest.approx(0.085), pytest.approx(low), pytest.approx(high))
    assert got.interval == "t over seeds"
    with pytest.raises(ValueError, match="two seeds"):
        over_seeds([0.08])
    assert sign_p([1, 1, 1]) == pytest.approx(0.25)
    assert sign_p([1, 2, 3, 4, 5]) == pytest.approx(0.0625)
    assert sign_p([0.1, -0.1]) == 1.0 and sign_p([0.0, 0.0]) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_the_delong_interval_covers_the_bootstrap_one() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(800):
        clicked = bool(rng.random() < 0.4)
        rows.append(Click(i, float(np.clip(rng.normal(0.6 if clicked else 0.4, 0.2), 0, 1)), clicked))
    got = auc_summary(rows, unscored=2)
    resampled = [auc_summary([rows[i] for i in rng.integers(0, 800, 800)]).mean for _ in range(300)]
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert got.interval == "DeLong" and got.unscored == 2
    assert got.low == pytest.approx(low, abs=0.01) and got.high == pytest.approx(high, abs=0.01)
