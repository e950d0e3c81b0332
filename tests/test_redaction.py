"""Secrets never reach a run's folder."""

import html
import json
import time
from urllib.parse import quote, quote_plus

import jinja2
import pytest

from whyrec.redaction import Redaction, redact


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


KEY = "sk-proj-aB3dEf9hIjKlMnOpQrStUvWx0123"


@pytest.fixture
def known() -> Redaction:
    made = Redaction()
    made.learn(KEY, "the key")
    return made


@pytest.mark.parametrize(
    "text",
    [
        f"Bad key: {KEY}!",
        f"Bad key: {KEY[:8]}...",
        f"Bad key: ...{KEY[-8:]}",
        f"Bad key: {KEY[:9]}*****{KEY[-4:]}",
        json.dumps(json.dumps({"k": KEY})),
        f"http://host/?k={KEY[:20]}",
    ],
)
def test_a_known_key_is_cut_whole_and_in_pieces(known: Redaction, text: str) -> None:
    left = known.cut(text)
    assert "[secret]" in left
    assert not any(KEY[at : at + 8] in left for at in range(len(KEY) - 7)) and KEY[-4:] not in left


@pytest.mark.parametrize("secret", ['pa"ss\\wo/rd-1234567', "p@ss wörd&12345678", "<key>'12345678"])
def test_a_key_is_known_in_every_spelling(secret: str) -> None:
    known = Redaction()
    known.learn(secret, "a password")
    once = json.dumps(secret)
    said = [
        secret,
        once,
        json.dumps(once),
        json.dumps(secret, ensure_ascii=False),
        quote(secret),
        quote(secret, safe=""),
    ]
    said += [quote_plus(secret), html.escape(secret), str(jinja2.filters.do_forceescape(secret))]
    assert [text for text in said if secret in known.cut(text) or known.cut(text) == text] == []


def test_what_is_no_secret_stays() -> None:
    known = Redaction()
    known.learn_environment(
        {"A_API_KEY": "EMPTY", "B_TOKEN": "sunshine", "C_PASSWORD": "password-2024-abcd", "SORT_KEY": "timestamp_desc",
         "PYTEST_CURRENT_TEST": "see http://me:notapassword@host", "HTTPS_PROXY": "http://me:prox1y-pass@proxy:3128"}
    )  # fmt: skip
    text = "EMPTY sunshine password: the timestamp_desc of notapassword"
    assert known.cut(text) == text and set(known.values) == {"password-2024-abcd", "prox1y-pass"}
    assert known.cut_bytes(b"\xff prox1y-pass \xfe") == b"\xff [secret] \xfe"
    assert known.cut_in({"a": ["prox1y-pass", 1]}) == {"a": ["[secret]", 1]}


def test_a_hostile_echo_takes_no_time(known: Redaction) -> None:
    start = time.process_time()
    assert KEY[:12] not in known.cut((KEY[:12] + " ") * 80_000)
    assert time.process_time() - start < 2


def test_words_of_a_command_in_which_a_key_stands_are_learnt() -> None:
    known = Redaction()
    known.learn_arguments(["llm", "serve", "m", "--api-key", "from-the-shell-1", "--x=http://TOKEN-0123456@host/v1"])
    assert set(known.values) == {"from-the-shell-1", "TOKEN-0123456"}
    known.learn_text("openai:m?key=MY_API_KEY")
    assert "MY_API_KEY" not in known.values
