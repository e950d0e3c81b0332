"""A loopback server that speaks OpenAI's protocol: as good, as slow or as broken as a test wants it.

Answers are valid for any JSON schema and derived from the digest of the prompt, so that a run against it has one right
result. `server.faults` is a queue of faults for the next chat requests (None: answer properly), `rates` draws them by
seed. Run it on its own: `python tests/servers/openai_like.py --port 0 --latency 0.05 --log FILE`; it prints its URL.
The log gets one JSON line when a request arrives ("asked") and one when its answer has been handed to the kernel
("delivered"), each with the key that the client showed ("by"), so a killed client can be held to account.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import os
import random
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
if str(Path(__file__).parent) not in sys.path:  # tests are no package, and this file is opened by its path
    sys.path.append(str(Path(__file__).parent))
from openai_like_counts import CONTEXT, WIDTH, _ids, detokenized, embedded, scored, token_logprob, tokenized
from openai_like_faults import RATE_FAULTS, Fault, failed

try:
    from whyrec.llm.built_in.schema_fill import Content, Node, fill
except ModuleNotFoundError:  # tests/checks/fails_before.py starts this file in older trees
    from whyrec.llm.schema_fill import Content, Node, fill  # type: ignore[import-not-found,no-redef]

__all__ = ["ABILITIES", "RATE_FAULTS", "WIDTH", "Fault", "OpenAILike", "_ids", "token_logprob"]  # what tests look at

WORDS = (
    *("amber", "brisk", "cedar", "dusky", "early", "fern", "gentle", "harbour", "ivory", "jolly", "kind", "lunar"),
    *("mellow", "noble", "ochre", "plain", "quiet", "rustic", "silky", "tidy", "umber", "vivid", "woollen", "zesty"),
)
PAIRS = [f"{one} {other}" for one in WORDS for other in WORDS if one != other]
ABILITIES = frozenset(
    {"n", "schema", "bounds", "seed", "logprobs", "choice", "prefix", "score", "embeddings", "context", "system"}
)


class Sayings(Content):
    """Fills a schema with words drawn from a digest."""

    def __init__(self, digest: bytes) -> None:
        self._random = random.Random(digest)

    def text(self, path: str, node: Node) -> str:
        return " ".join(self._random.choices(WORDS, k=12))

    def texts(self, path: str, node: Node) -> Sequence[str]:
        return self._random.sample(PAIRS, max(3, node.get("minItems", 0)))

    def count(self, path: str, node: Node) -> int:
        return 2

    def choose(self, path: str, options: Sequence[Any]) -> Any:
        return self._random.choice(options)

    def number(self, path: str, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()


@dataclass
class OpenAILike:
    """The server. `requests` holds the parsed body of every POST, `paths` the path of every request.

    Attributes:
        latency: seconds before each answer.
        models: names /models offers; other names get 404.
        can: abilities it has; what is missing is silently ignored, as real servers do ("refuses": 400 instead).
        refuses: request fields answered with 400; "system": such messages, as Gemma's template does.
        key: the API key it wants ("" for none).
        logits: token -> logit of the first token's distribution, for label tests.
        text: fixed text of every answer (None: made from the prompt).
        only_schema: response_format is refused unless its type is one of these.
        continues: "flags" (a last assistant message goes on where continue_final_message says so, as with vLLM),
            "always" (llama.cpp), "never"; without the ability "prefix" it never does.
        turn: tokens that close a turn and open the next.
        thinks: "" (never), "template" (unless chat_template_kwargs.enable_thinking is false), "effort" (unless
            reasoning_effort is "none"), "asked" (where chat_template_kwargs.thinking is true), "always".
        shows_thoughts: in reasoning_content; else a thought's tokens are gone and its text is nowhere.
        cuts: longer prompts lose what is beyond so many tokens, without a word, as with Ollama (0: none is cut).
        slots: it says so at /props and draws no more samples at once, as llama.cpp (0: no /props, any number).
        most_logprobs: more are refused.
        counts: whether it says how many tokens there were.
        template_end: what its chat template adds where an answer begins; a reasoning model's may open a thought.
        rates: fault name -> probability, drawn by `seed` and the number of the request.
        log: file that gets the arrival and the delivery of every chat request.
    """

    latency: float = 0.0
    models: tuple[str, ...] = ("tiny",)
    can: frozenset[str] = ABILITIES
    refuses: frozenset[str] = frozenset()
    key: str = ""
    logits: Mapping[str, float] = field(default_factory=dict)
    text: str | None = None
    reasoning: str = ""
    only_schema: tuple[str, ...] = ()
    continues: str = "flags"
    turn: int = 5
    thinks: str = ""
    shows_thoughts: bool = True
    cuts: int = 0
    slots: int = 0
    most_logprobs: int = 20
    counts: bool = True
    template_end: str = "<|assistant|>"
    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    log: Path | None = None
    faults: deque[Fault | None] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    keep: bool = True
    in_flight: int = 0
    most_in_flight: int = 0
    url: str = ""
    _count: int = 0
    _log_file: int = -1
    _runner: web.ServerRunner | None = None

    async def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1; returns the base URL."""
        if self.log:
            self._log_file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=2_048)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self.url

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        if self._log_file >= 0:
            os.close(self._log_file)
            self._log_file = -1

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix("/v1")
        if self.keep:
            self.paths.append(path)
            self.headers.append(dict(request.headers))
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization', 'none')}")
        if request.method == "GET":
            return self._said(path)
        body = orjson.loads(await request.read())
        if self.keep:
            self.requests.append(body)
        if body.get("model") not in self.models:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        if (refusal := self._refusal(body)) is not None:
            return refusal
        match path:
            case "/chat/completions":
                return await self._chat(request, body)
            case "/completions" if "score" in self.can:
                return _json(scored(body))
            case "/tokenize" if "score" in self.can:
                return _json(tokenized(body, self.template_end))
            case "/detokenize" if "score" in self.can:
                return _json(detokenized(body, self.template_end))
            case "/embeddings" if "embeddings" in self.can:
                return _json(embedded(body))
        return _error(404, f"Not Found: {path}")

    def _said(self, path: str) -> web.Response:
        if path == "/models":
            return _json({"object": "list", "data": [self._model(name) for name in self.models]})
        if path == "/props" and self.slots:
            return _json({"total_slots": self.slots, "default_generation_settings": {"n_ctx": CONTEXT}})
        return _error(404, f"Not Found: {path}")

    def _refusal(self, body: dict[str, Any]) -> web.Response | None:
        if "system" in self.refuses and any(message["role"] == "system" for message in body.get("messages", ())):
            return _error(400, "System role not supported")
        if refused := self.refuses & body.keys():
            name = min(refused)
            return _error(400, f"Unsupported parameter: '{name}' is not supported with this model.")
        if self.slots and body.get("n", 1) > self.slots:
            return _error(400, f"Field 'n': Value must be between 1 <= value <= {self.slots}, but got {body['n']}")
        if body.get("top_logprobs", 0) > self.most_logprobs:
            return _error(400, f"Requested sample logprobs, which is greater than max allowed: {self.most_logprobs}")
        kind = (body.get("response_format") or {}).get("type")
        if self.only_schema and kind is not None and kind not in self.only_schema:
            said = f"'response_format.type' must be {' or '.join(map(repr, self.only_schema))}"
            return web.Response(status=400, body=orjson.dumps({"error": said}), content_type="application/json")
        return None

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model"} | ({"max_model_len": CONTEXT} if "context" in self.can else {})

    async def _chat(self, request: web.BaseRequest, body: dict[str, Any]) -> web.StreamResponse:
        if "system" not in self.can:
            body = {**body, "messages": [message for message in body["messages"] if message["role"] != "system"]}
        digest = hashlib.sha256(orjson.dumps([body["messages"], body.get("response_format")])).digest()
        number, self._count = self._count, self._count + 1
        fault = self._fault(number)
        by = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self._write_log("asked", digest, number, by)
        if self.latency:
            await asyncio.sleep(self.latency)
        if fault is not None and (broken := await failed(fault, request)) is not None:
            return broken
        prompt = self._prompt_tokens(body)
        if prompt + body.get("max_tokens", 16) > CONTEXT and "context" in self.can:
            return _error(400, f"This model's maximum context length is {CONTEXT} tokens. However, you asked for more.")
        n = body.get("n", 1) if "n" in self.can else 1
        choices = [self._choice(body, digest, i, fault) for i in range(n)]
        words = sum(len(choice["message"]["content"].split()) for choice in choices)
        prompt = min(prompt, self.cuts or prompt)
        usage = {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words}
        answer = {"id": f"chat-{number}", "object": "chat.completion", "model": body["model"], "choices": choices}
        response = _json({**answer, "usage": usage} if self.counts else answer)
        if self._log_file >= 0:
            await response.prepare(request)
            await response.write_eof()
            self._write_log("delivered", digest, number, by)
        return response

    def _prompt_tokens(self, body: Mapping[str, Any]) -> int:
        """Words, what a template adds around an assistant's turn, and an empty thought where thinking is off."""
        counted = sum(len(message["content"].split()) for message in body["messages"])
        if body["messages"] and body["messages"][-1]["role"] == "assistant" and not self._goes_on(body):
            counted += self.turn if body.get("add_generation_prompt", True) else 2
        off = (body.get("chat_template_kwargs") or {}).get("enable_thinking") is False
        return counted + (4 if off and self.thinks == "template" else 0)

    def _goes_on(self, body: Mapping[str, Any]) -> bool:
        asked = self.continues == "always" or (self.continues == "flags" and body.get("continue_final_message"))
        return bool(asked) and "prefix" in self.can

    def _thought(self, body: Mapping[str, Any]) -> bool:
        told = body.get("chat_template_kwargs") or {}
        return {
            "template": told.get("enable_thinking") is not False,
            "effort": body.get("reasoning_effort") != "none",
            "asked": told.get("thinking") is True,
            "always": True,
        }.get(self.thinks, False)

    def _fault(self, number: int) -> Fault | None:
        if self.faults:
            return self.faults.popleft()
        drawn = random.Random(f"{self.seed}:{number}").random()
        for name, rate in self.rates.items():
            if (drawn := drawn - rate) < 0:
                return RATE_FAULTS[name]
        return None

    def _write_log(self, event: str, digest: bytes, number: int, by: str) -> None:
        if self._log_file >= 0:
            line = {"event": event, "digest": digest.hex()[:16], "number": number, "by": by, "time": time.time()}
            os.write(self._log_file, orjson.dumps(line) + b"\n")

    def _choice(self, body: Mapping[str, Any], digest: bytes, index: int, fault: Fault | None) -> dict[str, Any]:
        drawn = body.get("temperature", 1.0) > 0
        seed = body.get("seed", 0) + index if "seed" in self.can else random.random()
        text = self._text(body, digest + (str(seed).encode() if drawn else b""))
        finish = "stop"
        if fault is not None and fault.kind == "malformed":
            text = text.replace('"', "", 1).rstrip("}")
        if (fault is not None and fault.kind == "truncated") or len(text.split()) > body.get("max_tokens", 1 << 20):
            finish, text = "length", text[: len(text) // 2]
        message = {"role": "assistant", "content": text}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self._thought(body) and self.shows_thoughts:
            message["reasoning_content"] = "Three cats have twelve legs."
        elif self._thought(body) and body.get("max_tokens", 1 << 20) < 64:
            message["content"], finish = "", "length"
        shown = body.get("logprobs") and "logprobs" in self.can
        logprobs = {"logprobs": {"content": self._logprobs(body, text)}} if shown else {}
        return {"index": index, "message": message, "finish_reason": finish, **logprobs}

    def _text(self, body: Mapping[str, Any], digest: bytes) -> str:
        if self.text is not None:
            return self.text
        choices = (body.get("structured_outputs") or {}).get("choice") if "choice" in self.can else None
        if choices:
            return random.Random(digest).choice(choices)
        shape = (body.get("response_format") or {}).get("json_schema") if "schema" in self.can else None
        last = body["messages"][-1]
        if shape:
            # a model that is shown what is wrong keeps to the bounds
            wordy = "bounds" not in self.can and "cannot be used" not in last["content"]
            found = fill(shape["schema"], Sayings(digest))
            return json.dumps(
                {name: f"{value} " * 200 if isinstance(value, str) else value for name, value in found.items()}
                if wordy
                else found
            )
        if last["role"] == "assistant" and self._goes_on(body):
            if last["content"].endswith(" Par"):
                return "is."
            counted = last["content"].split()[-1].rstrip(",")
            return f" {int(counted) + 1}" if counted.isdigit() else " and so on"
        return " ".join(random.Random(digest).choices(WORDS, k=8))

    def _logprobs(self, body: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
        logits = dict(self.logits) or {word: -float(i) for i, word in enumerate(WORDS)}
        total = math.log(sum(math.exp(logit) for logit in logits.values()))
        ranked = sorted(((logit - total, token) for token, logit in logits.items()), reverse=True)
        top = [{"token": token, "logprob": logprob} for logprob, token in ranked[: body.get("top_logprobs", 0)]]
        first = {"token": ranked[0][1], "logprob": ranked[0][0], "top_logprobs": top}
        rest = [{"token": f" {word}", "logprob": -1.0, "top_logprobs": []} for word in text.split()[1:]]
        return [first, *rest][: body.get("max_tokens", 1 << 20)]


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _error(status: int, message: str) -> web.Response:
    body = orjson.dumps({"error": {"message": message, "type": "invalid_request_error", "code": status}})
    return web.Response(status=status, body=body, content_type="application/json")


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--log", type=Path, help="file that gets one line per arrival and per delivery")
    parser.add_argument("--models", default="tiny", help="names, separated by commas")
    parser.add_argument("--faults", default="", help=f"name=rate,... of {', '.join(RATE_FAULTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", default="", help=f"abilities it lacks, of {', '.join(sorted(ABILITIES))}")
    given = parser.parse_args()
    rates = {name: float(rate) for name, rate in (pair.split("=") for pair in given.faults.split(",") if pair)}
    server = OpenAILike(
        latency=given.latency,
        log=given.log,
        models=tuple(given.models.split(",")),
        rates=rates,
        seed=given.seed,
        can=ABILITIES - set(given.without.split(",")),
        keep=False,
    )
    print(await server.start(given.port), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        sys.exit(130)
