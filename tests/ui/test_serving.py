"""The server behind the page: what is slow, endless or too much is ended, and what is ordinary is answered."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from whyrec.settings import Settings
from whyrec.ui import safety, serving
from whyrec.ui.app import build
from whyrec.ui.safety import Door

HEAD = b"Host: 127.0.0.1\r\n"


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(safety, "_BODY_S", 0.5)
    monkeypatch.setattr(serving, "HEAD_S", 1.0)
    monkeypatch.setattr(serving, "WHOLE_S", 1.0)
    sock = serving.listen("127.0.0.1", 0)
    number = sock.getsockname()[1]
    server = serving.server(build(Settings(home=tmp_path), Door("127.0.0.1", number)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    yield number
    server.should_exit = True
    thread.join(20)
    sock.close()


def said(port: int, *parts: bytes, wait: float = 15.0) -> bytes:
    """Everything that the server answers to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as asking:
        answer = b""
        try:
            for part in parts:
                asking.sendall(part)
            while got := asking.recv(65_536):
                answer += got
        except ConnectionError:
            pass
        return answer


def test_two_ordinary_requests_on_one_connection_are_answered(port: int) -> None:
    one = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
    two = b"GET /prompts HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"
    assert said(port, one, two).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ((b"GET / HTTP/1.1\r\n" + HEAD + HEAD + b"Connection: close\r\n\r\n",), b"HTTP/1.1 4"),  # two hosts
        ((b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 40_000,), b"HTTP/1.1 400"),
        ((b"GET / HTTP/1.1\r\n" + HEAD + b"X: ",), b""),
        ((b"",), b""),
    ],
)
def test_a_head_that_is_wrong_endless_or_too_long_is_ended(port: int, parts: tuple[bytes, ...], answer: bytes) -> None:
    start = time.monotonic()
    assert said(port, *parts).startswith(answer) and (answer or not said(port, *parts))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("length", "answer"), [(b"100", b"HTTP/1.1 408"), (b"9999999", b"HTTP/1.1 403"), (b"1e3", b"HTTP/1.1 400")]
)
def test_a_form_that_does_not_arrive_or_is_too_long_is_ended(port: int, length: bytes, answer: bytes) -> None:
    head = b"POST /runs/x/calls/1/replay HTTP/1.1\r\n" + HEAD + b"Content-Type: application/x-www-form-urlencoded\r\n"
    assert said(port, head + b"Content-Length: " + length + b"\r\n\r\nacting=").startswith(answer)
