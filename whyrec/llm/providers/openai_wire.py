"""The wire format of OpenAI-compatible servers: bodies written, answers read, errors named. No input or output here.

Speed is why this is not the openai package: a request body is its messages between two pieces of bytes that are
computed once per kind of call (sampling, answer format, number of samples), and an answer is read straight out of the
parsed JSON. Nothing is validated twice: the shape of the *answer* is the agent's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from whyrec.llm.capabilities import Capabilities
from whyrec.llm.labels import choices_of
from whyrec.llm.model import (
    UNKNOWN,
    FinishReason,
    Message,
    Refused,
    Reply,
    Request,
    ServerFault,
    TokenLogprob,
    Usage,
    read_count,
)
from whyrec.llm.naming.address import Address
from whyrec.llm.reasoning import split_reasoning
from whyrec.llm.sent import CAPS, Sent, copies, longest, whole

_FINISH: dict[str | None, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filtered",
    "error": "error",
    "abort": "error",
}
# What OpenAI's strict mode refuses in a schema; its own list changes, these are safe to leave out because every answer
# is validated again by us.
_NOT_STRICT = frozenset({"default", "minLength", "maxLength", "title", "examples"})


def dumps(value: Any) -> bytes:
    """JSON bytes; lone surrogates, which no JSON can hold, become question marks."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, default=_as_dict)
        return text.encode("utf-8", errors="replace")


def _as_dict(value: Any) -> Any:
    assert isinstance(value, Message)
    return {"role": value.role, "content": value.content}


def strict_schema(node: Any) -> Any:
    """A JSON schema within the subset that OpenAI's strict mode takes: every field required, nothing extra."""
    if isinstance(node, list):
        return [strict_schema(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    made = {k: v for k, v in node.items() if k not in _NOT_STRICT or not isinstance(v, str | int | type(None))}
    for key, value in made.items():
        if key in ("properties", "$defs"):
            made[key] = {name: strict_schema(sub) for name, sub in value.items()}
        elif key not in ("enum", "const", "required"):
            made[key] = strict_schema(value)
    made.pop("default", None)
    if "properties" in made:
        made |= {"additionalProperties": False, "required": list(made["properties"])}
    return made


class RequestWriter:
    """Writes chat bodies for one model on one server."""

    def __init__(self, address: Address, capabilities: Capabilities) -> None:
        self._head = b'{"model":' + orjson.dumps(address.model) + b',"messages":'
        self._can = capabilities
        self._extra, self._drop = address.extra, address.drop
        self._tails: dict[tuple[Any, ...], bytes] = {}
        self._bounds()

    def _bounds(self) -> None:
        """What options of the name make of the limit on an answer, once: `sent` is asked for every request."""
        own = object()
        asked = {self._can.max_tokens: own, **self._extra}
        fields = {name: value for name, value in asked.items() if name not in self._drop}
        caps = [value for name in CAPS if (value := fields.get(name)) is not None]
        self._own_cap = own in caps
        fixed = [whole(value) or 0 for value in caps if value is not own]
        self._capped = bool(caps) and min(fixed, default=1) > 0
        given = {name: value for name, value in self._extra.items() if name not in self._drop}
        self._longest, self._copies = longest(given), copies(given)
        self._added = len(dumps(given)) if given else 0

    def sent(self, request: Request) -> Sent:
        """What bounds the answers to a request in the body that asks for it."""
        if not self._capped:
            return Sent(None, self._copies, self._added, self._uncapped())
        own = request.sampling.max_tokens if self._own_cap else 0
        return Sent(max(own, self._longest), self._copies, self._added)

    def _uncapped(self) -> str:
        if self._can.max_tokens in self._drop:
            return (
                f"?drop={self._can.max_tokens} leaves the limit out: where the server refuses that field, name the one "
                f"it takes instead, with ?max_tokens={next(cap for cap in CAPS if cap != self._can.max_tokens)}."
            )
        return f"?extra= sets {self._can.max_tokens} to something that is no limit: leave it out of extra."

    def chat(self, request: Request, *, n: int, first: int) -> bytes:
        """The body that asks for `n` samples starting at sample index `first`.

        A server draws its i-th choice with the seed plus i (vLLM does), so the body's seed is that of its first.
        """
        key = (request.sampling, request.format, request.top_logprobs, request.prefix != "", n, first)
        tail = self._tails.get(key)
        if tail is None:
            if len(self._tails) >= 1_000:
                self._tails.clear()
            tail = self._tails[key] = self._tail(request, n, first)
        messages = request.messages
        if request.prefix:
            messages = (*messages, Message("assistant", request.prefix))
        return self._head + dumps(messages) + tail

    def _tail(self, request: Request, n: int, first: int) -> bytes:
        can, sampling = self._can, request.sampling
        fields: dict[str, Any] = {can.max_tokens: sampling.max_tokens, "temperature": sampling.temperature}
        if sampling.top_p != 1.0:
            fields["top_p"] = sampling.top_p
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            fields["seed"] = sampling.seed + first
        if n > 1:
            fields["n"] = n
        if request.top_logprobs:
            fields |= {"logprobs": True, "top_logprobs": min(request.top_logprobs, can.logprobs)}
        if request.prefix and can.prefix == "continue":
            fields |= {"continue_final_message": True, "add_generation_prompt": False}
        fields |= self._shape(request)
        fields |= self._extra
        kept = {name: value for name, value in fields.items() if name not in self._drop}
        return b"," + orjson.dumps(kept)[1:]

    def _shape(self, request: Request) -> dict[str, Any]:
        choices = choices_of(request.format)
        if choices:
            return {"structured_outputs": {"choice": list(choices)}} if self._can.choice else {}
        if request.format.kind != "json" or self._can.schema == "none":
            return {}
        schema = orjson.loads(request.format.schema)
        if self._can.schema == "structured_outputs":
            return {"structured_outputs": {"json": schema}}
        if self._can.schema == "strict":
            schema = strict_schema(schema)
        named = {"name": request.format.name or "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}


def read_json(raw: bytes, name: str) -> dict[str, Any]:
    """The object in a body.

    Raises:
        ServerFault: it is none.
    """
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        shown = raw[:80].decode("utf-8", errors="replace")
        raise ServerFault(f"{name} answered with something that is no JSON object: {shown!r}.")
    return found


class Told(NamedTuple):
    """What the client knows of an answer: the model's name, the seconds it took, and its price where that is 0."""

    name: str
    seconds: float
    cost: float | None


def read_chat(body: Mapping[str, Any], request: Request, samples: tuple[int, ...], told: Told) -> list[Reply]:
    """The replies in an answer: at most one per wanted sample, fewer where the server ignored `n`.

    Raises:
        ServerFault: the answer holds an error, has no choices, or a choice has no message.
    """
    if error := body.get("error"):  # OpenRouter and proxies: an error inside a 200, beside empty choices or none
        said = error.get("message", error) if isinstance(error, Mapping) else error
        raise ServerFault(f"{told.name} answered 200 with an error: {str(said)[:300]}.")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ServerFault(f"{told.name} answered 200 without any choices.")
    if len(choices) > 1:
        choices = sorted(choices, key=lambda choice: choice.get("index", 0))
    usages = _usages(body.get("usage") or {}, choices[: len(samples)])
    model = body.get("model") or ""
    try:
        return [
            _reply(choice, request.prefix, (sample, usage, model), told)
            for choice, sample, usage in zip(choices, samples, usages, strict=False)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ServerFault(f"{told.name} answered with a choice that is not one of the protocol ({error!r}).") from None


def _reply(choice: Mapping[str, Any], prefix: str, facts: tuple[int, Usage, str], told: Told) -> Reply:
    (sample, usage, model), message = facts, choice["message"]
    text = message.get("content") or ""
    finish = _FINISH.get(choice.get("finish_reason"), "stop")
    if not text and message.get("refusal"):
        text, finish = message["refusal"], "filtered"
    if prefix and text.startswith(prefix):
        text = text[len(prefix) :]  # some servers repeat what they continue
    said = message.get("reasoning") or message.get("reasoning_content") or ""
    thought, answer = split_reasoning(text, prefix=prefix)
    entries = (choice.get("logprobs") or {}).get("content") or ()
    return Reply(
        text=answer,
        reasoning=f"{said}\n{thought}" if said and thought else said or thought,
        sample=sample,
        usage=usage,
        finish_reason=finish,
        logprobs=tuple(map(_token, entries)),
        model=model,
        service_s=told.seconds,
        cost=told.cost,
    )


def _token(entry: Mapping[str, Any]) -> TokenLogprob:
    top = entry.get("top_logprobs") or ()
    return TokenLogprob(entry["token"], entry["logprob"], tuple((t["token"], t["logprob"]) for t in top))


def _usages(usage: Mapping[str, Any], choices: list[Any]) -> list[Usage]:
    """Tokens per reply. A server gives one sum: it is divided by the texts' lengths, and the parts add up to it."""
    prompt, total = read_count(usage.get("prompt_tokens")), read_count(usage.get("completion_tokens"))
    cached = read_count((usage.get("prompt_tokens_details") or {}).get("cached_tokens"))
    if len(choices) == 1 or prompt is None or total is None:
        return [Usage(prompt, total, cached)] if len(choices) == 1 else [UNKNOWN] * len(choices)
    lengths = [1 + len(str((choice.get("message") or {}).get("content") or "")) for choice in choices]
    ends = [round(total * sum(lengths[: i + 1]) / sum(lengths)) for i in range(len(lengths))]
    parts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return [Usage(prompt if i == 0 else 0, part, cached if i == 0 else 0) for i, part in enumerate(parts)]


def refused_prefix(name: str) -> Refused:
    """Said where an answer cannot be continued."""
    return Refused(
        f"{name} is not known to continue a given beginning of an answer. Run `whyrec llm check {name}` to find out, "
        f"or add ?prefix=continue (vLLM) or ?prefix=prefill (llama.cpp, Ollama, LM Studio) to its name."
    )
