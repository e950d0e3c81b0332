"""Eq. 10 and its rivals, and how an opinion is worded."""

from __future__ import annotations

import numpy as np
import pytest

from graphs.rallrec.merge import Opinion, hedged, merged, merged_rows, plain


def test_eq_10_by_hand():
    # samples .2 .4: mean .3, population variance .01; expert .8 with variance .009
    wanted = (0.1 * 0.3 / 0.011 + 0.8 / 0.010) / (0.1 / 0.011 + 1 / 0.010)
    assert merged([0.2, 0.4], Opinion(0.8, 0.009)) == pytest.approx(wanted)


def test_limits_of_alpha_and_epsilon():
    samples, opinion = [0.2, 0.6], Opinion(0.9, 0.01)
    assert merged(samples, opinion, alpha=0.0) == pytest.approx(0.9)
    assert merged(samples, opinion, alpha=1e12) == pytest.approx(0.4)
    constant = merged(samples, opinion, merging="constant")
    assert merged(samples, opinion, epsilon=1e9) == pytest.approx(constant) == pytest.approx((0.1 * 0.4 + 0.9) / 1.1)


def test_consistent_samples_weigh_more():
    opinion = Opinion(0.9, 0.01)
    assert merged([0.3, 0.3], opinion) < merged([0.1, 0.5], opinion)


def test_one_side_alone_and_nobody_else():
    assert merged([0.2, 0.4], Opinion(0.9), merging="reasoning") == pytest.approx(0.3)
    assert merged([0.2, 0.4], Opinion(0.9), merging="expert") == pytest.approx(0.9)
    assert merged([0.2, 0.4], None) == pytest.approx(0.3)


def test_the_papers_weights_leave_the_samples_at_most_a_tenth():
    """Without a variance of its own the expert has ten times the weight even of samples that all agree."""
    assert merged([0.0, 0.0], Opinion(1.0, 0.0)) == pytest.approx(1 / 1.1)


def test_rows_are_merged_as_one_by_one():
    rng = np.random.default_rng(0)
    samples, opinions = rng.random((20, 5)), np.stack([rng.random(20), rng.random(20) / 50], axis=1)
    for merging in ("consistency", "constant", "reasoning", "expert"):
        each = [merged(s, Opinion(*o), merging=merging) for s, o in zip(samples, opinions, strict=True)]
        assert merged_rows(samples, opinions, merging=merging) == pytest.approx(each)


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.9, "is Yes"),
        (0.65, "may be Yes"),
        (0.55, "might be Yes"),
        (0.5, "might be No"),
        (0.35, "may be No"),
        (0.1, "is No"),
    ],
)
def test_the_hint_hedges_by_the_distance_from_one_half(p, said):
    assert f" {said}." in hedged(p)
    assert plain(p) == f"Someone else thinks the answer might be {said.split()[-1]}."
