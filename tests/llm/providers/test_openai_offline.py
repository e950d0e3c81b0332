"""What the client for OpenAI-compatible servers knows before it asks one: names, keys, schemas, waiting times."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.providers.openai_errors import retry_after
from whyrec.llm.providers.openai_wire import strict_schema
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(UsageError, match="environment variable OPENAI_API_KEY"):
        open_provider("openai:gpt-4o-mini", settings=read_settings())
    with pytest.raises(UsageError, match="environment variable OPENROUTER_API_KEY"):
        open_provider("openai:x/y@https://openrouter.ai/api/v1", settings=read_settings())


def test_the_base_url_of_openais_own_tools_is_honoured_and_becomes_part_of_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    model = open_provider("openai:m?n=no", settings=read_settings())
    assert model.name == "openai:m@http://127.0.0.1:9/v1/?n=no"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("vllm:", UsageError, "names no model"),
        ("vllm:m@127.0.0.1:8000/v1", UsageError, "write vllm:m@http://127.0.0.1:8000/v1"),
        ("vllm:m@http://", UsageError, "is not a URL"),
        ("vllm:m?tmeout=3", UnknownNameError, "timeout"),
        ("vllm:m?timeout=soon", UsageError, "number of seconds"),
        ("vllm:m?n=maybe", UsageError, "one of yes, no"),
        ("vllm:m?extra=1", UsageError, "JSON object"),
        ("vllm:m?logprobs=x", UsageError, "whole number"),
    ],
)
def test_wrong_names_are_explained(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_provider(name, settings=read_settings())


def test_strict_schemas_close_objects_and_drop_what_openai_refuses() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "properties": {
            "title": {"type": "string", "maxLength": 5, "default": "x"},
            "maxLength": {"$ref": "#/$defs/E"},
        },
        "$defs": {"E": {"type": "object", "properties": {"a": {"enum": ["default"]}}}},
    }
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "maxLength": {"$ref": "#/$defs/E"}},
        "required": ["title", "maxLength"],
        "additionalProperties": False,
        "$defs": {
            "E": {
                "type": "object",
                "properties": {"a": {"enum": ["default"]}},
                "required": ["a"],
                "additionalProperties": False,
            }
        },
    }


def test_every_way_to_say_wait() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert 28 <= (retry_after({"retry-after": later}) or 0) <= 30
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after({"retry-after": "when ready"}) is None
    limits = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s"}
    assert retry_after(limits) == 62.0
    assert retry_after({**limits, "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}) == 62.0
    assert retry_after({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1s"}) is None
    assert retry_after({}) is None


def test_the_openai_package_is_not_loaded() -> None:
    import subprocess
    import sys

    code = "import sys, whyrec.llm.providers.openai; print('openai' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert importlib.util.find_spec("openai")
