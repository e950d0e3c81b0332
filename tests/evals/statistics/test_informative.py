"""What can say nothing, each with a neighbour that can."""

from __future__ import annotations

import numpy as np
import pytest

from evals import doubts
from evals.inputs.outcomes import outcomes
from evals.statistics import informative
from evals.statistics.aggregate import auc_summary, summarise
from whyrec.records import Click, Ranking


def test_a_constant_predictor_is_seen() -> None:
    same = outcomes([Click(row, 0.25, row % 2 == 0) for row in range(20)])
    assert informative.of_outcomes(same) == ("it says the same probability, 0.25, of all 20 rows",)
    other = outcomes([Click(row, 0.25 + (row == 3) / 1e6, row % 2 == 0) for row in range(20)])
    assert informative.of_outcomes(other) == ()
    assert informative.of_outcomes(outcomes([Click(row, 0.25, True) for row in range(5)])) == (), "too few to tell"
    tied = outcomes([Ranking(user, 0, 9, 10) for user in range(20)])
    assert informative.of_outcomes(tied) == ("it has the target at the same place for all 20 users",)
    assert informative.of_outcomes(outcomes([Ranking(user, user % 3, 0, 10) for user in range(20)])) == ()


def test_letters_that_do_not_depend_on_the_options_are_seen() -> None:
    rng = np.random.default_rng(0)
    free = rng.dirichlet(np.ones(4), size=30).tolist()
    assert doubts.of_letters(free) == ()
    assert doubts.of_letters([[0.25] * 4] * 30) == ("all letters are equally likely to it for all 30 users",)
    assert "same probabilities" in doubts.of_letters([[0.4, 0.3, 0.2, 0.1]] * 30)[0]
    always = [[0.7, *(0.1 + rng.normal(0, 0.01, 3)).tolist()] for _ in range(30)]
    assert doubts.of_letters(always) == ("the letter A is the likeliest to it for all 30 users",)
    assert doubts.of_letters([*always[:-1], [0.1, 0.7, 0.1, 0.1]]) == ()


def test_texts_items_and_probabilities_in_which_no_model_is_read() -> None:
    assert doubts.of_texts(["likes soap", " likes soap "] * 6, "preference") == ("every preference is the same text",)
    assert "was not read" in doubts.of_texts([""] * 12, "preference")[0]
    assert doubts.of_texts(["a"] * 11 + ["b"], "preference") == ()
    assert doubts.of_items([(1, 2)] * 12) and doubts.of_items([()] * 12)
    assert doubts.of_items([(1, 2)] * 11 + [(2, 1)]) == ()
    p = np.array([0.1, 0.9])
    assert doubts.unread(p, p.copy(), whose="the expert's") == (
        "the model is unread: what is told is the expert's in all 2 rows",
    )
    assert doubts.unread(p, np.array([0.1, 0.8]), whose="the expert's") == ()
    assert doubts.of_ways(["logprobs", "score", "score"]) and not doubts.of_ways(["score", "score"])


def test_the_responses_of_one_row_are_drawn_together() -> None:
    """Ten equal responses per row hold no more than one: the interval is that over rows, n counts rows."""
    rows = np.random.default_rng(1).integers(0, 2, 50).astype(float)
    values, units = np.repeat(rows, 10), np.repeat(np.arange(50), 10)
    alone, together, naive = summarise(rows), summarise(values, units=units), summarise(values)
    assert together.n == 50 and together.mean == pytest.approx(rows.mean())
    assert together.low == pytest.approx(alone.low, abs=0.02) and together.high == pytest.approx(alone.high, abs=0.02)
    assert naive.high - naive.low < 0.5 * (together.high - together.low)
    assert summarise(rows, units=np.arange(50)) == alone


def test_the_area_under_a_curve_of_repeated_rows_has_an_interval_over_rows() -> None:
    rng = np.random.default_rng(2)
    clicks = [Click(row, float(rng.random() + 0.3 * (row % 2)), row % 2 == 1) for row in range(40)]
    one, many = auc_summary(clicks), auc_summary([click for click in clicks for _ in range(8)])
    assert many.mean == pytest.approx(one.mean) and many.n == 40 and many.interval.startswith("bootstrap over rows")
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.25)
