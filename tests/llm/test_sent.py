"""What bounds an answer is what is sent, whatever the options of a name make of it."""

from __future__ import annotations

import pytest

from whyrec.errors import UsageError
from whyrec.llm import Budget, open_provider
from whyrec.llm.model import Message, Request, Sampling
from whyrec.llm.prices import Price
from whyrec.llm.sent import as_sent, copies, longest
from whyrec.llm.tokens import worst_tokens
from whyrec.llm.wrappers.budgeted import Budgeted
from whyrec.settings import Settings

ASK = Request((Message("user", "hello"),), Sampling(max_tokens=100), samples=(0, 1))
URL = "http://127.0.0.1:9/v1"


def opened(options: str, tmp_path):
    return open_provider(f"openai:m@{URL}{options}", settings=Settings(home=tmp_path))


@pytest.mark.parametrize(
    ("options", "cap", "answers"),
    [
        ("", 100, 1),
        ("?max_tokens=max_completion_tokens", 100, 1),
        ('?extra={"max_tokens":50000}', 50_000, 1),
        ('?extra={"max_tokens":20}', 20, 1),
        ('?extra={"max_tokens":"300"}', 300, 1),
        ('?extra={"max_completion_tokens":5000}', 5_000, 1),
        ('?extra={"max_completion_tokens":5}', 5, 1),
        ('?extra={"thinking":{"budget_tokens":9000}}', 9_000, 1),
        ('?extra={"n":8}', 100, 8),
        ('?extra={"n":8}&drop=n', 100, 1),
        ('?extra={"best_of":3,"temperature":1}', 100, 3),
        ("?drop=max_tokens", None, 1),
        ('?drop=max_tokens&extra={"max_completion_tokens":70}', 70, 1),
        ('?drop=max_completion_tokens&extra={"max_completion_tokens":70000}', 100, 1),
        ('?extra={"max_tokens":null}', None, 1),
        ('?extra={"max_tokens":-1}', None, 1),
        ('?extra={"max_tokens":"lots"}', None, 1),
        ("?drop=temperature,seed", 100, 1),
    ],
)
def test_the_bounds_of_a_request_are_those_of_its_body(options, cap, answers, tmp_path) -> None:
    sent = as_sent(opened(options, tmp_path), ASK)
    assert (sent.cap, sent.answers) == (cap, answers)
    assert (sent.added > 0) == ("extra" in options and "drop=n" not in options and "drop=max_comp" not in options)
    if cap is not None:
        assert worst_tokens(ASK, sent=sent)[1] == 2 * cap * answers
    else:
        assert "max_tokens" in sent.advice


def test_wrappers_hand_the_bounds_through_and_others_keep_to_the_request(tmp_path) -> None:
    model = opened('?extra={"max_tokens":50000}', tmp_path)
    assert Budgeted(model, price=None).as_sent(ASK).cap == 50_000
    assert as_sent(object(), ASK).cap == 100


@pytest.mark.parametrize(
    ("budget", "price", "refused"),
    [
        (Budget(tokens=5), None, True),
        (Budget(dollars=5.0), Price(1.0, 1.0), True),
        (Budget(dollars=5.0), Price(), False),
        (Budget(calls=5), None, False),
        (Budget(), None, False),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused_beforehand(budget, price, refused, tmp_path) -> None:
    model = opened("?drop=max_tokens", tmp_path)
    if not refused:
        budget.check(model, price)
        return
    with pytest.raises(UsageError, match=r"nothing caps.*\?max_tokens=max_completion_tokens.*--budget-calls"):
        budget.check(model, price)


def test_numbers_about_length_are_found_at_any_depth() -> None:
    assert longest({"a": [{"max_new_tokens": 7}], "n_predict": 3.0, "seed": 99}) == 7
    assert longest({"top_k": 40}) == 0 and copies({"n": None, "best_of": "4"}) == 4 and copies({}) == 1
