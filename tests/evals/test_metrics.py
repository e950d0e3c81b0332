from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from evals.metrics import auc, columns, mapb, metric, placements, sample_bias
from whyrec.errors import UnknownNameError
from whyrec.records import Click, Ranking

RANKED = ["hit@10", "recall@3", "hr@1", "ndcg@10", "ndcg@3", "mrr@5"]


def at(place: int, candidates: int = 100) -> Ranking:
    return Ranking(0, place - 1, 0, candidates)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("hit@10", 1, 1.0),
        ("hit@10", 10, 1.0),
        ("hit@10", 11, 0.0),
        ("recall@5", 5, 1.0),
        ("recall@5", 6, 0.0),
        ("hr@1", 1, 1.0),
        ("hr@1", 2, 0.0),
        ("ndcg@10", 1, 1.0),
        ("ndcg@10", 3, 0.5),
        ("ndcg@10", 10, 1 / math.log2(11)),
        ("ndcg@10", 11, 0.0),
        ("mrr@10", 4, 0.25),
        ("mrr@10", 11, 0.0),
    ],
)
def test_hand_computed(name: str, place: int, value: float) -> None:
    assert metric(name).score(at(place)) == pytest.approx(value)


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize(("better", "ties"), [(0, 0), (0, 3), (2, 2), (1, 5), (9, 4), (8, 1), (20, 2)])
def test_ties_are_the_expectation_over_every_order(name: str, better: int, ties: int) -> None:
    """Brute force: every order of the tied ones, the target being number 0 of them."""
    orders = itertools.permutations(range(ties + 1))
    values = [metric(name).score(at(better + order.index(0) + 1)) for order in orders]
    assert metric(name).score(Ranking(0, better, ties, 100)) == pytest.approx(np.mean(values))


@pytest.mark.parametrize("name", RANKED)
def test_arrays_and_single_outcomes_agree(name: str) -> None:
    rng = np.random.default_rng(0)
    better, ties = rng.integers(0, 15, 200), rng.integers(0, 4, 200)
    many = metric(name).rankings(better, ties)
    one = [metric(name).score(Ranking(0, int(b), int(t), 50)) for b, t in zip(better, ties, strict=True)]
    np.testing.assert_allclose(many, one)


def test_a_constant_scorer_gets_chance() -> None:
    assert metric("hr@1").chance(10) == pytest.approx(0.1)
    assert metric("hit@10").chance(12_101) == pytest.approx(10 / 12_101)
    assert metric("ndcg@10").chance(10) == pytest.approx(np.mean([1 / math.log2(r + 1) for r in range(1, 11)]))
    assert metric("hr@1").score(Ranking(0, 0, 9, 10)) == pytest.approx(0.1)


def test_hr_at_1_with_tied_maxima_counts_one_over_m() -> None:
    assert metric("hr@1").score(Ranking(0, 0, 2, 10)) == pytest.approx(1 / 3)
    assert metric("hr@1").score(Ranking(0, 1, 2, 10)) == 0.0


@pytest.mark.parametrize("name", ["ndgc@10", "ndcg", "ndcg@0", "auc@10", ""])
def test_an_unknown_metric_lists_the_known(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"ndcg@K"):
        metric(name)


def clicks(n: int, seed: int, *, rounded: int = 2) -> list[Click]:
    rng = np.random.default_rng(seed)
    probability = np.round(rng.random(n), rounded)  # rounding makes ties
    return [Click(i, float(p), bool(rng.random() < 0.3 + 0.4 * p)) for i, p in enumerate(probability)]


@pytest.mark.parametrize("rounded", [1, 2, 8])
def test_clicks_agree_with_sklearn(rounded: int) -> None:
    rows = clicks(500, 1, rounded=rounded)
    probability, clicked = columns(rows)
    assert auc(rows) == pytest.approx(roc_auc_score(clicked, probability))
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    assert metric("log_loss").clicks(probability, clicked).mean() == pytest.approx(sklearn_log_loss(clicked, clipped))
    assert metric("accuracy").clicks(probability, clicked).mean() == pytest.approx(
        np.mean((probability > 0.5) == clicked)
    )


def test_log_loss_is_clipped_and_natural() -> None:
    assert metric("log_loss").score(Click(0, 0.0, True)) == pytest.approx(-math.log(1e-7))
    assert metric("log_loss").score(Click(0, 1.0, False)) == pytest.approx(-math.log(1e-7), rel=1e-6)
    assert metric("log_loss").score(Click(0, 0.5, True)) == pytest.approx(math.log(2))
    assert not metric("log_loss").higher_is_better and metric("accuracy").higher_is_better
    assert metric("accuracy").score(Click(0, 0.5, False)) == 1.0


def test_auc_of_a_constant_scorer_is_a_half_and_of_one_label_does_not_exist() -> None:
    assert auc([Click(i, 0.3, i % 3 == 0) for i in range(30)]) == 0.5
    with pytest.raises(ValueError, match="same label"):
        auc([Click(0, 0.3, True), Click(1, 0.4, True)])


def test_both_placements_have_the_auc_as_mean() -> None:
    positive, negative = placements(*columns(clicks(300, 2)))
    assert positive.mean() == pytest.approx(negative.mean())


def test_mapb_by_hand() -> None:
    assert sample_bias([[1, 1, 1], [1, 2, 3]]).tolist() == pytest.approx([0.0, 2 / 3])
    assert mapb([[1, 1, 1], [1, 2, 3]]) == pytest.approx(1 / 3)


def test_mapb_of_an_oracle_a_random_ranker_and_one_that_copies_the_position() -> None:
    rng = np.random.default_rng(3)
    assert mapb(np.ones((50, 10))) == 0.0
    assert mapb(rng.integers(1, 11, (20_000, 10))) == pytest.approx(2.33, abs=0.05)
    assert mapb(np.tile(np.arange(1, 11), (7, 1))) == pytest.approx(2.5)
    assert mapb(np.tile([1] * 5 + [10] * 5, (7, 1))) == pytest.approx(4.5)
