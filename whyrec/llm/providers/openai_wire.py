"""The wire format of OpenAI-compatible servers: bodies written, answers read, errors named. No input or output here.

Speed is why this is not the openai package: a request body is its messages between two pieces of bytes that are
computed once per kind of call (sampling, answer format, number of samples), and an answer is read straight out of the
parsed JSON. `read_chat` is the border: whatever a server sends becomes replies or one `Malformed` with a sentence.
Nothing is validated twice: the shape of the *answer* is the agent's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import orjson

from whyrec.llm.capabilities import Capabilities, MaxTokensWay
from whyrec.llm.labels import choices_of
from whyrec.llm.model import (
    UNKNOWN,
    FinishReason,
    Malformed,
    Message,
    Refused,
    Reply,
    Request,
    TokenLogprob,
    Usage,
    read_count,
)
from whyrec.llm.naming.address import Address
from whyrec.llm.providers import openai_fields as fields
from whyrec.llm.reasoning import split_reasoning
from whyrec.llm.sent import CAPS, Sent, copies, longest, whole
from whyrec.llm.system_text import folded

_FINISH: dict[str, FinishReason] = {
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


def _limit_named(extra: dict[str, Any], name: str, dropped: frozenset[str]) -> dict[str, Any]:
    """`extra` with its limit on an answer called as this server calls it: none takes both names."""
    if name in dropped:
        return extra
    given = [key for key in extra if key in get_args(MaxTokensWay) and key not in dropped]
    return {name if [key] == given else key: value for key, value in extra.items()}


class RequestWriter:
    """Writes chat bodies for one model on one server."""

    def __init__(self, address: Address, capabilities: Capabilities) -> None:
        self._head = b'{"model":' + orjson.dumps(address.model) + b',"messages":'
        self._can = capabilities
        self._extra, self._drop = _limit_named(address.extra, capabilities.max_tokens, address.drop), address.drop
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
        own = self._limit(request) if self._own_cap else 0
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
        messages = folded(request.messages) if self._can.system == "user" else request.messages
        if request.prefix:
            messages = (*messages, Message("assistant", request.prefix))
        return self._head + dumps(messages) + tail

    def _tail(self, request: Request, n: int, first: int) -> bytes:
        can, sampling = self._can, request.sampling
        fields: dict[str, Any] = {can.max_tokens: self._limit(request), "temperature": sampling.temperature}
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
        fields |= self._thought(request) | self._extra
        if switch := self._switch(request):  # beside what the name says of the template, which goes before
            fields["chat_template_kwargs"] = switch | self._kwargs
        kept = {name: value for name, value in fields.items() if name not in self._drop}
        return b"," + orjson.dumps(kept)[1:]

    def _limit(self, request: Request) -> int:
        """Tokens allowed: the answer's, and beside them the thought's where there may be one."""
        sampling, way = request.sampling, self._can.thinking
        told = (self._switch(request) | self._kwargs).get("enable_thinking", True)
        thinks = way != "none" and not (way == "template" and told is False)
        return sampling.max_tokens + (sampling.thinking_tokens if thinks else 0)

    @property
    def _kwargs(self) -> dict[str, Any]:
        given = self._extra.get("chat_template_kwargs")
        return given if isinstance(given, dict) else {}

    def _switch(self, request: Request) -> dict[str, Any]:
        """What a template with a switch is told."""
        asked = request.sampling.thinking
        return {} if asked == "either" or self._can.thinking != "template" else {"enable_thinking": asked == "on"}

    def _thought(self, request: Request) -> dict[str, Any]:
        """What a model is told that takes an effort."""
        asked = request.sampling.thinking
        if asked == "either" or self._can.thinking != "effort":
            return {}
        return {"reasoning_effort": "medium" if asked == "on" else "low"}

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


def read_json(raw: bytes, name: str) -> Any:
    """The object or the list in a body.

    Raises:
        Malformed: it is neither.
    """
    try:
        found = fields.parse(raw)
    except ValueError:
        shown = raw[:80].decode("utf-8", errors="replace")
        if raw.lstrip().startswith((b"data:", b"event:")):
            raise Malformed(
                f"{name} answered with a stream of events, although none was asked for: switch it off, "
                f'for example by adding ?extra={{"stream":false}} to the name ({shown!r}).'
            ) from None
        raise Malformed(
            f"{name} answered with something that is no JSON object: {shown!r}. If that is a page, the URL may be "
            f"another program's; if it breaks off, ask again with --retry-failed.",
            lasting=False,
        ) from None
    if not isinstance(found, dict | list):
        raise Malformed(f"{name} answered with something that is no JSON object: {fields.shown(found)}. {_next(name)}")
    return found


def _next(name: str) -> str:
    """What to do about an answer of a wrong shape, which another try would bring again."""
    return f"It is not asked again: see what the server can do with `whyrec llm check {name}`, or name another one."


def error_of(body: Any) -> Any:
    """The error in a body that came with status 200 (OpenRouter, proxies), None where there is none.

    `"error": null` and an empty one beside a good answer are none.
    """
    return (body.get("error") or None) if isinstance(body, dict) else None


class Told(NamedTuple):
    """What the client knows of an answer: the model's name, the seconds it took, and its price where that is 0."""

    name: str
    seconds: float
    cost: float | None


def read_chat(body: Any, request: Request, samples: tuple[int, ...], told: Told) -> list[Reply]:
    """The replies in an answer, one per wanted sample at most.

    Fewer come back where the server ignored `n`: they are to be asked for alone. Where one of several choices cannot be
    read, it was paid for all the same, and asking for it again could pass a budget that reserved each sample once.
    What cannot be known (tokens, log-probabilities) is left unknown.

    Raises:
        Malformed: the answer holds an error, has no choices, or one that cannot be read.
    """
    if (error := error_of(body)) is not None:
        said = error.get("message", error) if isinstance(error, dict) else error
        raise Malformed(f"{told.name} answered 200 with an error: {fields.shown(said)}.")
    if not isinstance(body, dict):
        raise Malformed(
            f"{told.name} answered with something that is no JSON object: {fields.shown(body)}. {_next(told.name)}"
        )
    choices = fields.entries(body.get("choices"))
    if not choices:
        raise Malformed(f"{told.name} answered 200 without any choices. {_next(told.name)}")
    found = [(at, choice) for at, choice in fields.placed(choices, len(samples)) if at < len(samples)]
    said = [(at, choice, _message(choice)) for at, choice in found]
    read = [(samples[at], choice, message) for at, choice, message in said if message is not None]
    if len(read) < min(len(choices), len(samples)):
        good = [choice for _, choice, _ in read]
        shown = fields.shown(next(choice for choice in choices if choice not in good))
        raise Malformed(
            f"{told.name} answered with a choice that is not one of the protocol ({shown}). {_next(told.name)}"
        )
    usages = _usages(fields.mapping(body.get("usage")), [message for _, _, message in read])
    model = fields.text(body.get("model"))
    return [
        _reply(choice, message, request.prefix, (sample, usage, model), told)
        for (sample, choice, message), usage in zip(read, usages, strict=True)
    ]


class _Said(NamedTuple):
    """A message: its text, its thought, and whether the text is a refusal."""

    text: str
    thought: str
    refused: bool


def _message(choice: Mapping[str, Any]) -> _Said | None:
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    content = fields.content(message.get("content"))
    if content is None:
        return None
    said, thought = content
    thought = fields.thought(message.get("reasoning") or message.get("reasoning_content")) or thought
    if not said and (refusal := fields.text(message.get("refusal"))):
        return _Said(refusal, thought, refused=True)
    return _Said(said, thought, refused=False)


def _reply(choice: Mapping[str, Any], message: _Said, prefix: str, facts: tuple[int, Usage, str], told: Told) -> Reply:
    (sample, usage, model), text = facts, message.text
    if prefix and text.startswith(prefix):
        text = text[len(prefix) :]  # some servers repeat what they continue
    thought, answer = split_reasoning(text, prefix=prefix)
    said = message.thought
    shown = choice.get("logprobs")
    return Reply(
        text=answer,
        reasoning=f"{said}\n{thought}" if said and thought else said or thought,
        sample=sample,
        usage=usage,
        finish_reason="filtered" if message.refused else _FINISH.get(fields.text(choice.get("finish_reason")), "stop"),
        logprobs=_logprobs(shown) if shown else (),
        model=model,
        service_s=told.seconds,
        cost=told.cost,
    )


def _logprobs(shown: Any) -> tuple[TokenLogprob, ...]:
    """Those of every token, or of none: where one cannot be read, the others would stand in another's place."""
    read = [_token(fields.mapping(entry)) for entry in fields.entries(fields.mapping(shown).get("content"))]
    kept = [token for token in read if token is not None]
    return tuple(kept) if len(kept) == len(read) else ()


def _token(entry: Mapping[str, Any]) -> TokenLogprob | None:
    token, logprob = entry.get("token"), fields.logprob(entry.get("logprob"))
    if not isinstance(token, str) or logprob is None:
        return None
    shown = [(one.get("token"), fields.logprob(one.get("logprob"))) for one in _objects(entry.get("top_logprobs"))]
    top = tuple((text, value) for text, value in shown if isinstance(text, str) and value is not None)
    return TokenLogprob(token, logprob, top)


def _objects(found: Any) -> list[dict[str, Any]]:
    return [entry for entry in fields.entries(found) if isinstance(entry, dict)]


def _usages(usage: Mapping[str, Any], messages: list[_Said]) -> list[Usage]:
    """Tokens per reply. A server gives one sum: it is divided by the texts' lengths, and the parts add up to it."""
    prompt, total = read_count(usage.get("prompt_tokens")), read_count(usage.get("completion_tokens"))
    cached = read_count(fields.mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
    if len(messages) == 1 or prompt is None or total is None:
        return [Usage(prompt, total, cached)] if len(messages) == 1 else [UNKNOWN] * len(messages)
    lengths = [1 + len(message.text) for message in messages]
    ends = [round(total * sum(lengths[: i + 1]) / sum(lengths)) for i in range(len(lengths))]
    parts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return [Usage(prompt if i == 0 else 0, part, cached if i == 0 else 0) for i, part in enumerate(parts)]


def refused_prefix(name: str) -> Refused:
    """Said where an answer cannot be continued."""
    return Refused(
        f"{name} is not known to continue a given beginning of an answer. Run `whyrec llm check {name}` to find out, "
        f"or add ?prefix=continue (vLLM) or ?prefix=prefill (llama.cpp, Ollama, LM Studio) to its name."
    )
