"""Outcomes of a cell, kept as columns."""

import pytest

from evals.inputs.outcomes import outcomes, read, write
from evals.metrics import metric
from whyrec.records import Failure, Match, Ranking


def test_matches_are_outcomes_with_metrics_of_their_own(tmp_path):
    rows = [Match(0, True, 1.0), Failure(1, "cut off"), Match(2, False, 0.4)]
    kept = outcomes(rows)
    assert kept.values("em").tolist() == [1.0, 0.0] and kept.values("f1").tolist() == [1.0, 0.4]
    assert kept.users.tolist() == [0, 2] and kept.failures == {1: "cut off"}
    assert metric("f1").score(rows[2]) == 0.4 and metric("em").score(rows[0]) == 1.0
    write(tmp_path / "x.npz", kept, {"a": 1})
    again, note = read(tmp_path / "x.npz")
    assert again.values("f1").tolist() == [1.0, 0.4] and again.of_matches and note == {"a": 1}
    for wrong in ("log_loss", "ndcg@10"):
        with pytest.raises(AssertionError, match="does not measure these"):
            kept.values(wrong)
    with pytest.raises(AssertionError, match="does not measure these"):
        outcomes([Ranking(0, 0, 0, 10)]).values("em")
    with pytest.raises(AssertionError, match="of one kind"):
        outcomes([*rows, Ranking(0, 0, 0, 10)])
