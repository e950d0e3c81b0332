"""What servers answer: chats, errors, scorings, embeddings, lists of models; through the real client, on loopback."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import changed_json, dumps, edited, json_values, words
from fuzzing.served import response, served
from fuzzing.target import Target

_CHOICE = {"index": 0, "message": {"role": "assistant", "content": '{"a": 1}'}, "finish_reason": "stop"}
_LOGPROBS = {
    "content": [{"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": [{"token": "A", "logprob": -0.1}]}]
}
_CHAT = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{**_CHOICE, "logprobs": _LOGPROBS}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}},
}
_SEVERAL = {**_CHAT, "choices": [{**_CHOICE, "index": n} for n in (1, 0, 2)]}
_THOUGHT = {
    **_CHAT,
    "choices": [
        {
            "index": 0,
            "message": {"content": None, "reasoning": "<think>hm</think>", "refusal": None},
            "finish_reason": "length",
        }
    ],
}
_PARTS = {**_CHAT, "choices": [{"index": 0, "message": {"content": [{"type": "text", "text": "x"}]}}], "error": None}
_CHATS = (_CHAT, _SEVERAL, _THOUGHT, _PARTS)
_ERRORS = (
    {"error": {"message": "no", "type": "t", "param": "temperature", "code": 429}},
    {"error": "no"},
    {"detail": [{"loc": ["body", "max_tokens"], "msg": "too large", "type": "value_error"}]},
    {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'"},
    [{"error": {"code": "insufficient_quota", "message": "pay"}}],
)
_TOKENS = {"tokens": [1, 2, 3], "count": 3, "max_model_len": 4096}
_SCORED = {
    "choices": [
        {
            "index": n,
            "text": "",
            "prompt_logprobs": [
                None,
                *({str(i): {"logprob": -1.0, "rank": 1, "decoded_token": "?"}} for i in (2, 3, 1, 2, 3)),
            ],
        }
        for n in (0, 1)
    ]
}
_ECHOED = {
    "choices": [
        {
            "index": n,
            "text": "",
            "logprobs": {"tokens": ["a", " b"], "token_logprobs": [None, -1.0], "text_offset": [0, 3]},
        }
        for n in (0, 1)
    ]
}
_EMBEDDED = {
    "object": "list",
    "model": "m",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
    "data": [{"object": "embedding", "index": n, "embedding": [0.1, 0.2, -0.3]} for n in (1, 0)],
}
_MODELS = {"object": "list", "data": [{"id": "m", "max_model_len": 4096}, {"id": "n"}]}
_STATUSES = (200, 200, 200, 201, 204, 301, 307, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529, 599, 999)
_HEADERS = (
    "Retry-After",
    "retry-after-ms",
    "x-ratelimit-reset-requests",
    "x-ratelimit-remaining-requests",
    "Location",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Date",
)
_SAID = (
    "1",
    "-1",
    "1e400",
    "nan",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Wed, 99 Oct 99999 07:28:00 GMT",
    "6m0s",
    "9" * 400 + "s",
    "0",
    "gzip",
    "deflate",
    "chunked",
    "text/html",
    "application/json; charset=x",
    "x" * 9000,
    "http://[::1",
    "é",
)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@functools.cache
def _model(name: str) -> Any:
    from whyrec.llm import open_provider
    from whyrec.settings import read_settings

    model, _, query = name.partition("?")
    return open_provider(f"{model}@{served().url}{'?' if query else ''}{query}", settings=read_settings())


def _request(samples: int = 1) -> Any:
    from whyrec.llm.model import AnswerFormat, Message, Request

    shape = AnswerFormat("json", "A", '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}')
    return Request(
        (Message("system", "s"), Message("user", "u")), samples=tuple(range(samples)), format=shape, top_logprobs=2
    )


def _ask(answers: dict[str, bytes], samples: int = 1) -> Any:
    """One call; whatever comes back has to be something that a run can keep and pay for."""
    import json

    from whyrec.llm.prices import Price

    served().answers = answers
    replies = _loop().run_until_complete(_model("vllm:m").complete(_request(samples)))
    assert [reply.sample for reply in replies] == list(range(samples)), "one reply per sample"
    for reply in replies:
        assert isinstance(reply.text, str) and isinstance(reply.reasoning, str) and isinstance(reply.model, str)
        (reply.text + reply.reasoning + reply.model).encode()
        json.dumps([[t.token, float(t.logprob)] for t in reply.logprobs], allow_nan=False)
        Price(1.0, 1.0, 1.0).of(reply.usage)
    return replies


def chat(given: tuple[bytes, int]) -> object:
    body, samples = given
    return _ask({"": response(body)}, samples)


def error(given: tuple[bytes, int, dict[str, str]]) -> object:
    body, status, headers = given
    return _ask({"/models": response(dumps(_MODELS)), "": response(body, status=status, headers=headers)})


def raw(answer: bytes) -> object:
    return _ask({"": answer})


def scored(given: tuple[bytes, bytes, bool]) -> object:
    """By token ids, or by an echo."""
    tokens, completions, echo = given
    served().answers = {"/tokenize": response(tokens), "/completions": response(completions)}
    model = _model("openai:m?score=echo" if echo else "vllm:m")
    scores = _loop().run_until_complete(model.score(_request(), ["yes", "no"]))
    assert [score.continuation for score in scores] == ["yes", "no"]
    return [score.total + score.mean for score in scores]


@functools.cache
def _embedder() -> Any:
    from whyrec.embed.openai import OpenAIEmbedder

    served().answers = {"": response(dumps({**_EMBEDDED, "data": _EMBEDDED["data"][1:]}))}
    return OpenAIEmbedder(f"m@{served().url}")


def embedded(given: tuple[bytes, int]) -> object:
    import numpy as np

    body, status = given
    embedder = _embedder()
    served().answers = {"": response(body, status=status)}
    vectors = embedder.embed(["one", "two"])
    assert vectors.shape == (2, 3) and np.isfinite(vectors).all(), "two vectors of the width that it has"
    return vectors


def models(body: bytes) -> object:
    from whyrec.llm.servers.checking.asking import Asker
    from whyrec.llm.servers.checking.context import told_length

    served().answers = {"": response(body)}
    model = _model("vllm:m")
    names = _loop().run_until_complete(model.models())
    length = _loop().run_until_complete(told_length(Asker(model)))
    assert length is None or length > 0
    assert all(isinstance(name, str) for name in names)
    return names, length


def _errors() -> st.SearchStrategy[tuple[bytes, int, dict[str, str]]]:
    body = (
        changed_json(list(_ERRORS)) | st.builds(dumps, json_values) | edited([b"<html><h1>502</h1></html>", b"no", b""])
    )
    header = st.sampled_from(_SAID) | words.map(lambda word: "".join(c for c in word[:200] if c.isprintable()))
    # one that waits for more than it gets would only wait for its timeout
    headers = st.dictionaries(
        st.sampled_from([h for h in _HEADERS if h not in ("Content-Length", "Transfer-Encoding")]), header, max_size=2
    )
    return st.tuples(body, st.sampled_from(_STATUSES), headers)


def _scorings() -> st.SearchStrategy[tuple[bytes, bytes, bool]]:
    sound = st.tuples(st.just(dumps(_TOKENS)), changed_json([_SCORED]), st.just(False))
    echoed = st.tuples(st.just(b"{}"), changed_json([_ECHOED]), st.just(True))
    return sound | echoed | st.tuples(changed_json([_TOKENS]), st.just(dumps(_SCORED)), st.just(False))


TARGETS = (
    Target(
        "replies.chat",
        lambda: st.tuples(changed_json(list(_CHATS)), st.sampled_from([1, 1, 3])),
        chat,
        4.0,
        prepare=lambda: chat((dumps(_CHAT), 1)),
    ),
    Target("replies.error", _errors, error, 2.0, prepare=lambda: chat((dumps(_CHAT), 1)), accepts=False),
    Target(
        "replies.raw",
        lambda: edited([response(dumps(_CHAT)), response(b"data: x", headers={"Content-Type": "text/event-stream"})]),
        raw,
        0.5,
        prepare=lambda: chat((dumps(_CHAT), 1)),
    ),
    Target("replies.scored", _scorings, scored, 2.0, prepare=lambda: chat((dumps(_CHAT), 1))),
    Target(
        "replies.embedded",
        lambda: st.tuples(changed_json([_EMBEDDED]), st.sampled_from([200, 200, 200, 400, 404])),
        embedded,
        0.7,
        prepare=lambda: embedded((dumps(_EMBEDDED), 200)),
    ),
    Target("replies.models", lambda: changed_json([_MODELS]), models, 0.5, prepare=lambda: models(dumps(_MODELS))),
)
