"""A loopback server with every bad habit that people reported of real ones, played in turn.

Each new question gets the next habit of the list, and keeps it however often it comes and when an answer to it is to be
repaired: so every call shows one habit. `HABITS` says of each what an honest client makes of it. The server counts what
it would have billed, in words, which is never more than the tokens that a client has to reserve.

    python tests/servers/hostile.py            # prints its URL; then: whyrec run ... --llm openai:tiny@URL
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any


@dataclass
class Answer:
    """An answer on its way out: a good one, which a habit then spoils."""

    content: str
    body: dict[str, Any]
    status: int = 200
    raw: bytes | None = None

    @property
    def choice(self) -> dict[str, Any]:
        return self.body["choices"][0]

    @property
    def message(self) -> dict[str, Any]:
        return self.choice["message"]

    def refuse(self, status: int, message: str, **fields: Any) -> None:
        self.status, self.body = status, {"error": {"message": message, "type": "invalid_request_error", **fields}}

    def bytes(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


@dataclass(frozen=True)
class Habit:
    """How a server answers.

    Attributes:
        play: spoils a good answer.
        comes: "reply" (there is an answer to be used), "fails" (there is none).
        says: what the sentence about it has to hold.
        unknown: whether the tokens of the answer cannot be known.
    """

    play: Callable[[Answer], None]
    comes: str = "reply"
    says: str = ""
    unknown: bool = False


def _set(*path: str | int, to: Any) -> Callable[[Answer], None]:
    def play(answer: Answer) -> None:
        at: Any = answer.body
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = to

    return play


def _said(make: Callable[[str], Any]) -> Callable[[Answer], None]:
    def play(answer: Answer) -> None:
        answer.message["content"] = make(answer.content)

    return play


def _refused(status: int, message: str, **fields: Any) -> Callable[[Answer], None]:
    return lambda answer: answer.refuse(status, message, **fields)


def _raw(make: Callable[[bytes], bytes]) -> Callable[[Answer], None]:
    def play(answer: Answer) -> None:
        answer.raw = make(answer.bytes())

    return play


def _in_reasoning(answer: Answer) -> None:
    answer.message.update(content=None, reasoning=answer.content)


def _still_thinking(answer: Answer) -> None:
    answer.message.update(content=None, reasoning_content="Let me see. " * 20)
    answer.choice["finish_reason"] = "length"


def _error_null_first(answer: Answer) -> None:
    answer.body = {"error": None, **answer.body}


def _pydantic(answer: Answer) -> None:
    entry = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
    answer.status, answer.body = 422, {"detail": [entry]}


SHAPES: Mapping[str, Habit] = {
    "well": Habit(lambda answer: None),
    "usage as a text": Habit(_set("usage", to="none"), unknown=True),
    "counts as texts": Habit(_set("usage", to={"prompt_tokens": "12", "completion_tokens": "7"}), unknown=True),
    "negative counts": Habit(_set("usage", to={"prompt_tokens": -(10**6), "completion_tokens": -1}), unknown=True),
    "absurd counts": Habit(_set("usage", to={"prompt_tokens": 10**18, "completion_tokens": 10**18}), unknown=True),
    "no usage": Habit(_set("usage", to=None), unknown=True),
    "choices of null": Habit(_set("choices", to=[None, None]), "fails", "whyrec llm check"),
    "choices as an object": Habit(_set("choices", to={"0": {}}), "fails", "whyrec llm check"),
    "no choices": Habit(_set("choices", to=[]), "fails", "whyrec llm check"),
    "message of null": Habit(_set("choices", 0, "message", to=None), "fails", "whyrec llm check"),
    "content as a number": Habit(_set("choices", 0, "message", "content", to=7), "fails", "whyrec llm check"),
    "index of null": Habit(_set("choices", 0, "index", to=None)),
    "model as a list": Habit(_set("model", to=["tiny"])),
    "finish reason as a list": Habit(_set("choices", 0, "finish_reason", to=["stop"])),
    "log-probabilities of null": Habit(
        _set("choices", 0, "logprobs", to={"content": [None, {"token": None, "logprob": None}]})
    ),
    "content in parts": Habit(
        _said(lambda text: [{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}])
    ),
    "error of null first": Habit(_error_null_first),
    "a lone surrogate": Habit(_raw(lambda raw: raw.replace(b'"id": ', b'"odd": "\\ud800", "id": '))),
    "a NaN": Habit(_raw(lambda raw: raw.replace(b'"id": ', b'"odd": NaN, "id": '))),
    "a list": Habit(_raw(lambda raw: b"[" + raw + b"]"), "fails", "whyrec llm check"),
    "a stream": Habit(_raw(lambda raw: b"data: " + raw + b"\n\ndata: [DONE]\n\n"), "fails", '?extra={"stream":false}'),
}
HIDDEN: Mapping[str, Habit] = {
    "in the reasoning": Habit(_in_reasoning),
    "prose with braces first": Habit(_said(lambda text: f"As {{asked}}, here it is: {text}")),
    "a thought first": Habit(_said(lambda text: f'{{"thought": "first I think"}}\n{text}')),
    "a schema first": Habit(_said(lambda text: f'{{"type": "object", "properties": {{}}}}\n{text}')),
    "several objects": Habit(_said(lambda text: f"{text}\n\nOr rather:\n{text}")),
}
REFUSALS: Mapping[str, Habit] = {
    "max_tokens": Habit(
        _refused(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
            param="max_tokens",
            code="unsupported_parameter",
        ),
        "fails",
        "?max_tokens=max_completion_tokens",
    ),
    "thinking cut": Habit(_still_thinking, "fails", '?extra={"max_tokens":'),
    "422": Habit(_pydantic, "fails", "?drop=seed"),
    "response_format": Habit(_refused(400, "This response_format type is unavailable now"), "fails", "?schema=none"),
    "system role": Habit(_refused(400, "System role not supported"), "fails", "?system=user"),
    "system role, status 500": Habit(
        _refused(500, "Jinja exception: Conversation roles must alternate user/assistant/user/assistant/..."),
        "fails",
        "?system=user",
    ),
}
HABITS: Mapping[str, Habit] = {**SHAPES, **HIDDEN, **REFUSALS}


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # a connection that finds no room waits for seconds


@dataclass
class Hostile:
    """The server, on a thread of its own.

    Attributes:
        habits: played in turn.
        played: how often each answered.
        billed: words read and written under status 200.
        longest: the greatest limit on an answer that was asked for.
        plays: the habit that each question got.
    """

    habits: Mapping[str, Habit] = field(default_factory=lambda: dict(HABITS))
    played: Counter[str] = field(default_factory=Counter)
    billed: int = 0
    longest: int = 0
    plays: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock, self._like, outer = Lock(), _openai_like(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, json.dumps({"data": [{"id": "tiny"}, None, {"id": None}]}).encode())

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = outer.answer(asked)
                self._send(answer.status, answer.bytes())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, asked: dict[str, Any]) -> Answer:
        """A good answer to a question, spoilt by the habit whose turn it is."""
        messages = asked["messages"]
        while len(messages) > 2 and "cannot be used" in messages[-1]["content"]:  # an answer, and what is wrong with it
            messages = messages[:-2]
        question = hashlib.sha256(json.dumps(messages).encode()).hexdigest()
        with self._lock:
            names = list(self.habits)
            name = self.plays.setdefault(question, names[len(self.plays) % len(names)])
            self.played[name] += 1
            self.longest = max(self.longest, asked.get("max_tokens", 0))
        answer = self._good(asked, bytes.fromhex(question))
        self.habits[name].play(answer)
        with self._lock:
            if answer.status == 200:
                self.billed += sum(len(str(m["content"]).split()) for m in asked["messages"])
                self.billed += len(answer.content.split())
        return answer

    def _good(self, asked: dict[str, Any], digest: bytes) -> Answer:
        schema = (asked.get("response_format") or {}).get("json_schema", {}).get("schema")
        sayings = self._like.Sayings(digest)
        content = json.dumps(self._like.fill(schema, sayings)) if schema else "amber brisk cedar"
        prompt = sum(len(str(message["content"]).split()) for message in asked["messages"])
        message = {"role": "assistant", "content": content}
        usage = {"prompt_tokens": prompt, "completion_tokens": len(content.split())}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return Answer(content, {"id": "chat-1", "model": asked["model"], "choices": choices, "usage": usage})

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Canned:
    """Answers every request with the same bytes and status 200, or as `status` says; `asked` holds the bodies."""

    def __init__(self, body: Any, *, status: int = 200) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.asked, outer = status, list[bytes](), self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/v1"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _openai_like() -> Any:
    """The module beside this one (tests are no package)."""
    name = "whyrec_tests_openai_like_of_hostile"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("openai_like.py"))
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    server = Hostile()
    print(server.url, flush=True)
    try:
        server._thread.join()
    except KeyboardInterrupt:
        print(dict(server.played))
