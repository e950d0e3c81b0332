"""A recorded answer, read again as its agent read it."""

from __future__ import annotations

import json

import prompts
from agents.answers import answer_format
from agents.cot_rec import Review, ShortTermInterest
from whyrec.workbench.answer import Parsed, parsed

GOOD = json.dumps({"summary": "warm socks", "keywords": ["wool", "walks", "snow"]})
SHAPE = answer_format(ShortTermInterest, "json")


def test_where_the_answer_stood_is_said() -> None:
    fields = json.loads(GOOD)
    assert parsed(SHAPE, {"answer": GOOD, "reasoning": "So.", "finish": "stop"}) == Parsed(fields)
    thought = {"answer": "", "reasoning": f"So {{it}} is: {GOOD}", "finish": "stop"}
    assert parsed(SHAPE, thought) == Parsed(fields, "", "reasoning")
    assert parsed(SHAPE, {**thought, "finish": "length"}).fields is None


def test_the_example_of_the_recorded_prompt_is_no_answer() -> None:
    text = prompts.load("cot_rec/write_review").text
    (shown, *_) = [message.content for message in prompts.parse(text).opening if message.role == "assistant"]
    call = {"answer": shown, "reasoning": "", "finish": "stop"}
    shape = answer_format(Review, "json")
    assert "only says the example" in parsed(shape, call, text).problem
    assert parsed(shape, call).fields == json.loads(shown)
    assert "is not a usable prompt" in parsed(shape, call, "no prompt").problem


def test_no_answer_at_all() -> None:
    assert parsed(SHAPE, {"answer": "", "reasoning": "", "finish": "stop"}).problem == "there is no answer"
