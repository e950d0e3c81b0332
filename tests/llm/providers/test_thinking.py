"""Whether a model is told to think, and what room a thought has beside the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whyrec.llm.capabilities import Capabilities
from whyrec.llm.model import Message, Request, Sampling
from whyrec.llm.naming import address
from whyrec.llm.providers.openai_wire import RequestWriter
from whyrec.llm.wrappers.cached import settings_text

ASKED = [Message("user", "Hi")]


def writer(query: str) -> RequestWriter:
    named = address.parse("openai", f"m@http://127.0.0.1:9/v1{query}")
    return RequestWriter(named, named.capabilities(Capabilities()))


def sent(query: str, **sampling: Any) -> dict[str, Any]:
    request = Request(tuple(ASKED), Sampling(max_tokens=100, **sampling))
    body: dict[str, Any] = json.loads(writer(query).chat(request, n=1, first=0))
    assert writer(query).sent(request).cap == body["max_tokens"], "a budget reserves what is sent"
    return body


@pytest.mark.parametrize(
    ("query", "thinking", "cap", "told"),
    [
        ("", "on", 100, {}),
        ("", "off", 100, {}),
        ("?thinking=template", "off", 100, {"chat_template_kwargs": {"enable_thinking": False}}),
        ("?thinking=template", "on", 1100, {"chat_template_kwargs": {"enable_thinking": True}}),
        ("?thinking=template", "either", 1100, {}),
        ("?thinking=effort", "off", 1100, {"reasoning_effort": "low"}),
        ("?thinking=effort", "on", 1100, {"reasoning_effort": "medium"}),
        ("?thinking=always", "off", 1100, {}),
        (
            '?thinking=template&chat_template_kwargs={"enable_thinking":true}',
            "off",
            1100,
            {"chat_template_kwargs": {"enable_thinking": True}},
        ),
        (
            '?thinking=template&chat_template_kwargs={"a":1}',
            "off",
            100,
            {"chat_template_kwargs": {"enable_thinking": False, "a": 1}},
        ),
    ],
)
def test_what_is_sent_follows_the_prompt_and_what_the_model_can(
    query: str, thinking: str, cap: int, told: dict[str, Any]
) -> None:
    body = sent(query, thinking=thinking, thinking_tokens=1000)
    assert body["max_tokens"] == cap
    assert {k: v for k, v in body.items() if k in ("chat_template_kwargs", "reasoning_effort")} == told


def test_only_prompts_that_say_something_of_thinking_have_other_cache_keys() -> None:
    plain = Request(tuple(ASKED), Sampling())
    assert "thinking" not in settings_text(plain)
    told = Request(tuple(ASKED), Sampling(thinking="off"))
    assert json.loads(settings_text(told)) == {
        **json.loads(settings_text(plain)),
        "thinking": "off",
        "thinking_tokens": 0,
    }
