"""The official rules of HotpotQA, on cases worked out by hand."""

import pytest

from graphs.hotpotqa.answers import exact_match, f1, match, normalise_answer
from whyrec.records import Match


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
