"""Names of models, where keys go, what is told to whom, and who may ask the page (issue 11, items 5 and 13 to 17)."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-planted-0123456789abcdefWXYZ"
LOGIN = "hunter22-planted-99"


class Recorder:
    """A loopback server that keeps the headers of every request and answers as told."""

    def __init__(self, answer: Callable[[Any], tuple[int, Any]]) -> None:
        self.seen: list[tuple[str, dict[str, str], str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace")
                outer.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, told = answer(self)
                raw = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = _any

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def keys(self) -> list[str]:
        """The Authorization headers that arrived."""
        return [headers["authorization"] for _, headers, _ in self.seen if "authorization" in headers]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serving() -> Iterator[Callable[..., Recorder]]:
    made: list[Recorder] = []

    def start(answer: Callable[[Any], tuple[int, Any]]) -> Recorder:
        made.append(Recorder(answer))
        return made[-1]

    yield start
    for one in made:
        one.close()


def chat(text: str) -> Callable[[Any], tuple[int, Any]]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 5}
    return lambda request: (
        (200, {"data": [{"id": "m"}]})
        if request.path.endswith("/models")
        else (200, {"model": "m", "choices": [choice], "usage": usage})
    )


def echo(request: Any) -> tuple[int, Any]:
    """Says the key it was shown, whole, in pieces and masked, as an error."""
    if request.path.endswith("/models"):
        return 200, {"data": [{"id": "m"}]}
    shown = request.headers.get("authorization", "none").removeprefix("Bearer ")
    said = f"Bad key {shown}; {shown[:12]}...; ****{shown[-9:]}; begins {shown[:9]}*****{shown[-4:]}"
    return 400, {"error": {"message": said, "type": "invalid"}}


def run(model: str) -> tuple[str, ...]:
    return ("run", "cot_rec.preference", "--data", "world:users=12,items=40", "--llm", model, "--users", "2", "--yes")


# --- 5: names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("openai:m@{}/v1", "openai:m@{}/v1/"),
        ("openai:m@{}/v1", "openai:m@{}/v1?timeout=60&key=MY_API_KEY"),
    ],
)
def test_05_the_way_to_a_model_makes_no_other_run(whyrec, serving, tmp_path, one, other) -> None:
    server, home = serving(chat("{}")), tmp_path / "home"
    env = {"WHYREC_HOME": str(home), "MY_API_KEY": KEY}
    for name in (one, other):
        whyrec(*run(name.format(server.origin)), env=env)
    assert len(list((home / "runs").iterdir())) == 1


def test_05_a_price_is_found_however_the_model_is_reached(tmp_path) -> None:
    from whyrec.llm.prices import price_of

    assert price_of("openai:gpt-4o-mini", home=tmp_path) is not None
    ways = (
        "?timeout=60",
        "?key=MY_API_KEY",
        "@https://api.openai.com/v1/",
        "?drop=seed",
        "@https://API.OpenAI.com:443/v1",
    )
    without = [way for way in ways if price_of(f"openai:gpt-4o-mini{way}", home=tmp_path) is None]
    assert not without


# --- 13: sentences


@pytest.mark.parametrize(
    "model",
    [
        "openai:m@http://[::1",
        "openai:m@http://127.0.0.1:port/v1",
        "openai:m@http://127.0.0.1:99999/v1",
        "openai:m@http://127.0.0.1:1/v1?logprobs=\N{SUPERSCRIPT TWO}",
        'openai:m@http://127.0.0.1:1/v1?extra={"a":' + "[" * 100_000,
        'openai:m@http://127.0.0.1:1/v1?extra={"a":"\\ud800"}',
        "vllm:m@http://127.0.0.1:1/v1?timeout=nan",
    ],
)
def test_13_a_model_string_that_is_none_is_a_sentence(model) -> None:
    from whyrec.errors import UsageError
    from whyrec.llm import open as open_model
    from whyrec.settings import Settings

    try:
        open_model(model, settings=Settings(), cache=False)
        ended = "it was opened"
    except UsageError:
        ended = "a sentence"
    except Exception as error:
        ended = repr(error)[:200]
    assert ended == "a sentence"


@pytest.mark.parametrize(
    "config", [b"a = " + b"[" * 20_000, b"ask_above = " + b"9" * 5_000, b'home = "a\\u0000b"', b"concurrency = true"]
)
def test_13_a_config_file_that_is_none_is_a_sentence(whyrec, tmp_path, config) -> None:
    (tmp_path / "whyrec.toml").write_bytes(config)
    assert whyrec("runs", "ls", env={"WHYREC_HOME": ""} if config.startswith(b"home") else {}).sentence


def test_13_arguments_and_homes_that_are_no_text_are_sentences(whyrec) -> None:
    argued = whyrec("run", "cot_rec.preference", "--data", b"world:\xff", "--llm", "extractive")
    housed = whyrec("run", "cot_rec.preference", "--data", "world:users=12,items=40", "--users", "1",
                    env={"WHYREC_HOME": os.fsdecode(b"h\xffome")})  # fmt: skip
    assert argued.sentence and housed.sentence and "UTF-8" in argued.err + housed.err


# --- 14: a key goes only to its own host


def test_14_openais_key_does_not_follow_to_another_server(whyrec, serving) -> None:
    own, other = serving(chat("{}")), serving(lambda _: (401, {"error": {"message": "no key"}}))
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{own.origin}/v1"}
    done = whyrec("llm", "check", f"openai:m@{other.origin}/v1", env=env)
    assert other.seen and not other.keys
    assert "?key=OPENAI_API_KEY" in done.said


def test_14_a_key_goes_where_it_belongs(whyrec, serving) -> None:
    own = serving(lambda _: (401, {"error": {"message": "bad key"}}))
    whyrec("llm", "check", "openai:m", env={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{own.origin}/v1/"})
    whyrec("llm", "check", f"openai:m@{own.origin}/v1?key=MY_API_KEY", env={"MY_API_KEY": KEY + "2"})
    done = whyrec("llm", "check", f"openai:m@http://me:{LOGIN}@{urlsplit(own.origin).netloc}/v1")
    assert {f"Bearer {KEY}", f"Bearer {KEY}2"} <= set(own.keys) and any(k.startswith("Basic ") for k in own.keys)
    assert LOGIN not in done.said and "Traceback" not in done.said


def test_14_an_embedders_key_does_not_follow_either(whyrec, serving) -> None:
    other = serving(lambda _: (401, {"error": {"message": "no key"}}))
    env = {"OPENAI_API_KEY": KEY}
    whyrec("search", "boots", "--data", "world:users=12,items=40", "--embedder", f"openai:m@{other.origin}/v1", env=env)
    assert other.seen and not [key for key in other.keys if KEY in key]


def test_14_langchain_sends_openais_key_to_no_other_server_unless_told(whyrec, serving) -> None:
    other = serving(lambda _: (401, {"error": {"message": "bad key"}}))
    name = f"langchain:openai:m?base_url={other.origin}/v1"
    done = whyrec("llm", "check", name, env={"OPENAI_API_KEY": KEY})
    assert other.seen and not [key for key in other.keys if KEY in key]
    assert "?key=OPENAI_API_KEY" in done.said
    whyrec("llm", "check", f"{name}&key=MY_API_KEY", env={"MY_API_KEY": KEY})
    assert f"Bearer {KEY}" in other.keys


# --- 15: one redaction


def holders(home: Path, secrets: tuple[str, ...]) -> list[str]:
    """Where in a home a secret is: in bytes as they are, and in what SQLite holds packed."""
    found = []
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        texts = [path.read_bytes()]
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reading:
                for table, column in (("text", "body"), ("example", "payload"), ("answer", "body")):
                    try:
                        rows = reading.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
                    except sqlite3.OperationalError:
                        continue
                    texts += [_unpacked(body) for (body,) in rows]
        if path.suffix == ".parquet":
            import polars as pl

            texts.append(json.dumps(pl.read_parquet(path).to_dicts()).encode())
        found += [f"{path.name}: {secret}" for secret in secrets for text in texts if secret.encode() in text]
    return found


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        return body


def test_15_planted_keys_are_nowhere(whyrec, serving, tmp_path) -> None:
    """Show 4: keys in environment, URL, model string, echoed body and `extra`."""
    planted = "planted-in-extra-00112233"
    server, home = serving(echo), tmp_path / "home"
    netloc = urlsplit(server.origin).netloc
    extra = json.dumps({"api_key": planted}, separators=(",", ":"))
    env = {"WHYREC_HOME": str(home), "MY_API_KEY": KEY}
    talking = whyrec(*run(f"openai:m@{server.origin}/v1?key=MY_API_KEY&extra={extra}"), env=env)
    login = whyrec(*run(f"openai:m@http://me:{LOGIN}@{netloc}/v1"), env=env)
    assert len(list((home / "runs").iterdir())) == 2 and any(KEY in key for key in server.keys), talking.err
    latest = whyrec("runs", "show", "latest", env=env)
    page = _page(home, env)
    secrets = (KEY, KEY[:9], KEY[-9:], LOGIN, planted)
    told = "\n".join((talking.out, talking.err, login.out, login.err, latest.out, latest.err, page))
    assert [*holders(home, secrets), *(secret for secret in secrets if secret in told)] == []


def _page(home: Path, env: dict[str, str]) -> str:
    """Every page that is linked from a run's, as text; the process has the same keys as the runs."""
    code = (
        "import re, sys\n"
        "from starlette.testclient import TestClient\n"
        "from whyrec.settings import read_settings\n"
        "from whyrec.ui.app import build\n"
        "client = TestClient(build(read_settings()), base_url='http://127.0.0.1:8700')\n"
        "done, todo = set(), ['/']\n"
        "while todo and len(done) < 40:\n"
        "    at = todo.pop(0)\n"
        "    if at in done: continue\n"
        "    done.add(at); text = client.get(at).text; print(text)\n"
        "    todo += [a.replace('&amp;', '&') for a in re.findall(r'href=\"(/runs[^\"]*)\"', text)]\n"
        "print('PAGES', len(done))\n"
    )
    environment = {**os.environ, **env, "WHYREC_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert re.search(r"PAGES \d\d?", done.stdout), done.stderr[-500:]
    return done.stdout


def test_15_a_key_in_the_place_of_its_variables_name_is_a_slip(whyrec, tmp_path) -> None:
    done = whyrec(*run(f"openai:m@http://127.0.0.1:9/v1?key={KEY}"), env={"WHYREC_HOME": str(tmp_path / "home")})
    assert done.sentence and KEY not in done.said and "environment variable" in done.said


def test_15_audit_finds_a_piece_of_a_key_planted_by_hand(whyrec, tmp_path) -> None:
    home = tmp_path / "home"
    env = {"WHYREC_HOME": str(home), "MY_API_KEY": KEY}
    whyrec(*run("extractive"), env=env)
    (path,) = (home / "runs").glob("*/run.sqlite")
    with closing(sqlite3.connect(path)) as writing, writing:
        writing.execute("UPDATE call SET answered_by=? WHERE id=1", (f"m (key {KEY[:12]}...)",))
    done = whyrec("audit", "latest", env=env)
    assert "MY_API_KEY" in done.said and done.code == 1 and KEY[:9] not in done.said


# --- 16: nobody is told


def test_16_langsmith_is_told_nothing_unless_asked(whyrec, serving, tmp_path) -> None:
    server = serving(lambda _: (200, {}))
    env = {
        **dict.fromkeys(("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"), "true"),
        "LANGSMITH_ENDPOINT": server.origin,
        "LANGSMITH_API_KEY": "lsv2_planted_0123456789",
    }
    done = whyrec(*run("extractive"), env=env)
    assert done.code == 0 and server.seen == []


def test_16_a_call_to_the_outside_is_refused_in_the_processes_that_tests_start(tmp_path) -> None:
    code = "import socket; socket.getaddrinfo('shop.example', 80)"
    environment = {**os.environ, "TESTS_CALLED_OUT": str(tmp_path / "told.txt")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "tests talk to 127.0.0.1 only" in done.stderr
    assert (tmp_path / "told.txt").read_text() == "socket.getaddrinfo shop.example\n"


def test_16_vllm_serves_without_reporting_home(whyrec, tmp_path) -> None:
    fake = tmp_path / "bin" / "vllm"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nenv\n")
    fake.chmod(0o755)
    done = whyrec("llm", "serve", "m", env={"PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}"})
    assert done.code == 0 and "VLLM_NO_USAGE_STATS=1" in done.out.splitlines()


# --- 17: the page


@pytest.fixture
def page(tmp_path) -> Iterator[int]:
    """The port of a running `whyrec ui`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WHYREC_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-u", "-m", "whyrec", "ui", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        port = int(re.search(r":(\d+)/", process.stdout.readline())[1])  # type: ignore[index]
        process.stdout.readline()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()  # type: ignore[union-attr]


def test_17_a_head_that_never_ends_is_not_waited_for(page) -> None:
    with socket.create_connection(("127.0.0.1", page), timeout=30) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        slow.settimeout(16)
        try:
            ended = slow.recv(100) == b"" or "answered"
        except TimeoutError:
            ended = "still waiting"
        except ConnectionResetError:
            ended = True
    assert ended is True


def test_17_a_host_is_read_strictly() -> None:
    from whyrec.ui.safety import Door

    wrong = ("127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1/x", "127.0.0.1:80:80", "localhost?x", "localhost#", "[::1]x")

    def knows(host: str) -> bool:
        try:
            return Door().knows(host)
        except ValueError:
            return False

    assert [host for host in wrong if knows(host)] == []
    assert all(map(knows, ("127.0.0.1:8700", "LOCALHOST", "[::1]:1")))
