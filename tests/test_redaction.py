"""Secrets never reach a run's folder."""

import pytest

from whyrec.redaction import redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("vllm:x@http://me:hunter22@host/v1", "hunter22"),
        ("401: Authorization: Bearer abc.def-ghi123", "abc.def-ghi123"),
        ("Incorrect API key provided: sk-proj-abcDEF123456", "abcDEF123456"),
        ("run --api-key=topsecretvalue --users 3", "topsecretvalue"),
        ('{"api_key": "topsecretvalue"}', "topsecretvalue"),
        ("OPENAI_API_KEY=topsecretvalue", "topsecretvalue"),
    ],
)
def test_secrets_are_cut_out(text: str, secret: str) -> None:
    assert secret not in redact(text) and "[secret]" in redact(text)


def test_ordinary_text_is_not_cut() -> None:
    text = "openai:gpt-4o at http://127.0.0.1:8000/v1 took 4000 tokens: too many (limit 3000); skip-task-12345678"
    assert redact(text) == text
