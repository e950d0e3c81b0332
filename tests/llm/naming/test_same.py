"""Which names mean one model, and which do not."""

from __future__ import annotations

import pytest

from whyrec.llm.naming.same import same_model


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("extractive", "extractive"),
        ("openai:gpt-4o-mini", "openai:gpt-4o-mini"),
        ("openai:gpt-4o-mini@HTTPS://api.OpenAI.com:443/v1/", "openai:gpt-4o-mini"),
        ("openai:m@http://me:pw@HOST:80/v1/?timeout=60&key=MY_API_KEY", "openai:m@http://host/v1"),
        ("vllm:m@http://127.0.0.1:8000/v1", "vllm:m"),
        ("vllm:m@http://[::1]:8000/v1", "vllm:m@http://[::1]:8000/v1"),
        ("ollama:qwen3:8b", "ollama:qwen3:8b"),
        ('openai:m?n=no&extra={"b": 1, "a": 2}&drop=seed,n', 'openai:m?drop=n,seed&extra={"a":2,"b":1}&n=no'),
        ("flaky:json=0.2,seed=3:openai:m?timeout=9", "flaky:json=0.2,seed=3:openai:m"),
        ("flaky:ollama:m@http://127.0.0.1:11434/v1/", "flaky:ollama:m"),
        ("langchain:openai:m?timeout=5&api_key=x&base_url=http://H/v1/", "langchain:openai:m?base_url=http://h/v1"),
        ("transformers:./m/?batch=4&dtype=float32", "transformers:./m?dtype=float32"),
        ("openai:m@http://[::1", "openai:m@http://[::1"),
        ("nobody:knows", "nobody:knows"),
    ],
)
def test_the_way_to_a_model_is_no_part_of_it(name: str, same: str) -> None:
    assert same_model(name) == same == same_model(same)


@pytest.mark.parametrize(
    "other", ["openai:n", "openai:m@http://h/v2", "openai:m@https://h/v1", "openai:m@http://h:81/v1", "vllm:m@http://h/v1",
              "openai:m@http://h/v1?schema=none"]
)  # fmt: skip
def test_another_model_stays_another(other: str) -> None:
    assert same_model("openai:m@http://h/v1") != same_model(other)
