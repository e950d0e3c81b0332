"""The official rules of HotpotQA, on cases worked out by hand."""

import pytest

from evals.inputs.answers import exact_match, f1, match, normalise_answer
from evals.inputs.outcomes import outcomes, read, write
from evals.metrics import metric
from whyrec.records import Failure, Match, Ranking


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Grey-Harbour, 1952!", "greyharbour 1952"),
        ("an A and the the", "and"),
        ("Theatre", "theatre"),
        ("", ""),
        ("U.S.", "us"),
    ],
)
def test_answers_are_normalised(text, normal):
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("answer", "right", "exact", "share"),
    [
        ("the Eiffel Tower", "Eiffel tower.", True, 1.0),
        ("Tower", "Eiffel Tower", False, 2 / 3),
        ("Eiffel Tower in Paris", "Eiffel Tower", False, 2 * 0.5 * 1 / 1.5),
        ("Paris Paris", "Paris", False, 2 / 3),
        ("Paris Paris", "Paris Paris France", False, 2 * 1 * (2 / 3) / (5 / 3)),
        ("yes", "Yes.", True, 1.0),
        ("yes", "no", False, 0.0),
        ("yes it is", "yes", False, 0.0),
        ("no", "no man's land", False, 0.0),
        ("noanswer", "noanswer at all", False, 0.0),
        ("", "Paris", False, 0.0),
        ("the", "a", True, 0.0),
    ],
)
def test_exactness_and_f1(answer, right, exact, share):
    assert exact_match(answer, right) == exact and exact_match(right, answer) == exact
    assert f1(answer, right) == pytest.approx(share) and f1(right, answer) == pytest.approx(share)
    assert match(3, answer, right) == Match(3, exact, f1(answer, right))


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
