"""Which key goes to which server."""

from __future__ import annotations

import pytest

from whyrec.errors import UsageError
from whyrec.llm.naming.keys import check_variable, key_for
from whyrec.llm.naming.urls import read_url


@pytest.mark.parametrize(
    ("url", "named", "own", "usual", "sent"),
    [
        ("https://api.openai.com/v1", "", "", "OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("http://api.openai.com/v1", "", "", "OPENAI_API_KEY", ""),  # in the clear
        ("https://api.openai.com.evil.example/v1", "", "", "OPENAI_API_KEY", ""),
        ("https://gate.example/v1", "", "", "OPENAI_API_KEY", "OPENAI_API_KEY"),  # where OPENAI_BASE_URL points
        ("https://gate.example:444/v1", "", "", "OPENAI_API_KEY", ""),
        ("https://gate.example:444/v1", "OPENAI_API_KEY", "", "OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("https://openrouter.ai/api/v1", "", "", "OPENAI_API_KEY", "OPENROUTER_API_KEY"),
        ("http://127.0.0.1:8000/v1", "", "VLLM_API_KEY", "VLLM_API_KEY", "VLLM_API_KEY"),
        ("http://gpu.example:8000/v1", "", "VLLM_API_KEY", "VLLM_API_KEY", ""),
        ("http://me:password@gpu.example:8000/v1", "", "VLLM_API_KEY", "VLLM_API_KEY", ""),
    ],
)
def test_a_key_goes_to_its_own_host_only(monkeypatch, url, named, own, usual, sent) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://GATE.example/v1/")
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "VLLM_API_KEY"):
        monkeypatch.setenv(name, f"value-of-{name}")
    place = read_url(url, "a test")
    key = key_for(place, named=named, own=own, usual=usual)
    assert key.value == (f"value-of-{sent}" if sent else "")
    if not sent and place.login is None:
        assert f"?key={usual}" in key.advice(place.host)


def test_a_key_in_the_place_of_a_variable_is_not_shown(monkeypatch) -> None:
    monkeypatch.setenv("lower_case", "x")
    assert [check_variable(name, "m") for name in ("MY_KEY", "lower_case")] == ["MY_KEY", "lower_case"]
    for slip in ("sk-abcdefgh12345678", "0123456789abcdef0123456789abcdef", "AKIAABCDEFGH12345678", ""):
        with pytest.raises(UsageError) as caught:
            check_variable(slip, "m")
        assert not slip or slip not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://", "ftp://h/v1", "http://h:0/v1", "http://h:\N{ARABIC-INDIC DIGIT ONE}/v1", "http://h h/v1", "http://[x]/",
            "http://h?x", "http://-/v1", "http://h:80:80/", "http://h\x00/v1"]
)  # fmt: skip
def test_what_is_no_url_is_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL such as"):
        read_url(url, "openai:m")
