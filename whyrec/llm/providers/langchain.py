"""Any provider that LangChain knows, by its `init_chat_model` string: `langchain:anthropic:claude-sonnet-4-5`.

The road for providers without an OpenAI-compatible URL; it costs 3 to 6 ms of CPU a call, the thin client 0.2 (design
section 5). A JSON answer is asked for through `with_structured_output`, and what the model really said is kept, so
validation and repair are the same as everywhere. n samples are one call only where the chat model has a field `n`;
otherwise one call each. Options behind a question mark are arguments of `init_chat_model`, as
`langchain:openai:gpt-4o?base_url=http://...`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from pydantic import ValidationError

from whyrec.errors import UsageError
from whyrec.llm.model import (
    Disconnected,
    FinishReason,
    Malformed,
    ModelError,
    Overloaded,
    Refused,
    Reply,
    Request,
    Sampling,
    ServerFault,
    TimedOut,
    Usage,
    read_count,
)
from whyrec.llm.naming.address import read_options
from whyrec.llm.naming.keys import LANGCHAIN_URLS, langchain_key
from whyrec.llm.naming.urls import read_url
from whyrec.llm.providers.openai_errors import retry_after
from whyrec.llm.reasoning import split_reasoning
from whyrec.llm.sent import Sent, copies, longest
from whyrec.llm.wrappers.together import together
from whyrec.redaction import cut, redact
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

_ROLES = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
_CUT = ("length", "max_tokens", "MAX_TOKENS")
_FILTERED = ("content_filter", "refusal", "SAFETY", "safety")
_BUGS = (TypeError, AttributeError, LookupError, AssertionError)
_LOST = ("Connect", "Connection", "Disconnect", "Protocol", "Reset")


class LangChainModel:
    """A LangChain chat model as a `LanguageModel`.

    Args:
        model: any chat model; give it `max_retries=0`, since retries are ours.
        name: the string that opens it again.
        about_key: what to do when the provider refuses the key.
    """

    def __init__(self, model: BaseChatModel, *, name: str, about_key: str = "") -> None:
        self.name, self.revision = name, ""
        self._about_key = about_key
        self._model = model
        self._several = "n" in type(model).model_fields
        self._fields = set(type(model).model_fields)
        given = {name: getattr(model, name, None) or {} for name in ("model_kwargs", "extra_body")}
        self._longest = longest(given)
        self._copies = max(copies(fields) for fields in ({"n": getattr(model, "n", 1)}, *given.values()))
        self._added = len(json.dumps(given, default=str))

    def as_sent(self, request: Request) -> Sent:
        """What bounds the answers: `max_tokens` where the chat model has that field, else nobody knows."""
        if "max_tokens" not in self._fields:
            kind = type(self._model).__name__
            return Sent(None, advice=f"LangChain's {kind} has no field max_tokens; use the provider's own URL.")
        return Sent(max(request.sampling.max_tokens, self._longest), self._copies, self._added)

    async def complete(self, request: Request) -> list[Reply]:
        """One reply per sample index.

        Raises:
            ModelError: as the provider's own exception means; Refused for a prefix or log-probabilities.
        """
        if request.prefix or request.top_logprobs:
            raise Refused(
                f"{self.name}: through LangChain no answer can be begun and no log-probabilities are read; use an "
                f"OpenAI-compatible URL of the provider (openai:MODEL@URL) or local weights."
            )
        start = time.perf_counter()
        try:
            answers = await self._answers(request)
        except Exception as error:
            if isinstance(error, _BUGS) and _raised_here(error):
                raise
            failed = self._error(error)
            failed.paid = failed.paid or len(request.samples) > 1  # others of them may have been answered
            raise failed from None
        seconds = time.perf_counter() - start
        replies = [_reply(m, sample) for m, sample in zip(answers, request.samples, strict=True)]
        return [
            replace(_cut(reply), service_s=seconds, model=reply.model or redact(self.name), cost=None)
            for reply in replies
        ]

    async def _answers(self, request: Request) -> list[AIMessage]:
        messages = [_ROLES[message.role](message.content) for message in request.messages]
        options = self._options(request.sampling)
        if request.format.kind == "json":
            return await self._alone(self._structured(request.format.name, request.format.schema), request, messages)
        if len(request.samples) > 1 and self._several:
            result = await self._model.agenerate([messages], **options, n=len(request.samples))
            found = [cast(AIMessage, cast(Any, generation).message) for generation in result.generations[0]]
            if len(found) == len(request.samples):
                usage = (result.llm_output or {}).get("token_usage") or {}
                return [found[0], *found[1:]] if not usage else _share(found, usage)
        return await self._alone(self._model, request, messages)

    async def _alone(self, asked: Runnable[Any, Any], request: Request, messages: list[BaseMessage]) -> list[AIMessage]:
        calls = [
            asked.ainvoke(messages, **self._options(request.sampling, offset=sample)) for sample in request.samples
        ]
        found = await together(calls)
        return [answer["raw"] if isinstance(answer, dict) else answer for answer in found]

    def _structured(self, name: str, schema: str) -> Runnable[Any, Any]:
        shape = {"title": name or "answer", "description": "The answer.", **json.loads(schema)}
        return self._model.with_structured_output(shape, include_raw=True)

    def _options(self, sampling: Sampling, *, offset: int = 0) -> dict[str, Any]:
        """Sampling as this model's arguments; what it has no field for is left to the provider."""
        options: dict[str, Any] = {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens}
        if sampling.top_p != 1.0:
            options["top_p"] = sampling.top_p
        if sampling.stop:
            options["stop"] = list(sampling.stop)
        if sampling.seed is not None and "seed" in self._fields:
            options["seed"] = sampling.seed + offset
        return options

    def _error(self, error: Exception) -> ModelError:
        """Providers raise their own classes; status, name and headers tell what they mean."""
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        said = f"{self.name} failed ({type(error).__name__}): {redact(str(error))[:300].rstrip('.')}."
        if status in (401, 403) and self._about_key:
            said = f"{said.rstrip('.')}: {self._about_key}."
        names = [kind.__name__ for kind in type(error).__mro__]
        if isinstance(error, (*_BUGS, ValidationError)):  # LangChain's client broke over what the server answered
            return Malformed(
                f"{said.rstrip('.')}: the answer is none that LangChain can read, so it is not asked again."
            )
        if isinstance(error, TimeoutError) or any("Timeout" in name for name in names):
            return TimedOut(said)
        if status == 429:
            headers = getattr(getattr(error, "response", None), "headers", None) or {}
            return Overloaded(said, retry_after({str(k).lower(): str(v) for k, v in headers.items()}))
        if isinstance(status, int):
            return ServerFault(said) if status >= 500 else Refused(said)
        if isinstance(error, ConnectionError) or any(mark in name for name in names for mark in _LOST):
            return Disconnected(said)
        return ServerFault(said) if isinstance(error, json.JSONDecodeError) else Refused(said)

    async def close(self) -> None:
        """LangChain keeps its own connections; nothing to give back."""


def _cut(reply: Reply) -> Reply:
    """Some servers say the key they were shown."""
    return replace(reply, text=cut(reply.text), reasoning=cut(reply.reasoning), model=cut(reply.model))


def _raised_here(error: Exception) -> bool:
    """Whether this file raised it: then it is a bug of ours, and no answer of a server."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename == __file__


def _share(found: Sequence[AIMessage], usage: dict[str, Any]) -> list[AIMessage]:
    """The request's tokens on its first message: a call with n samples reports one sum."""
    total = {"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")}
    nothing = dict.fromkeys(total, 0 if None not in total.values() else None)
    counts = [total, *[nothing] * (len(found) - 1)]
    return [m.model_copy(update={"usage_metadata": count}) for m, count in zip(found, counts, strict=True)]


def _reply(message: AIMessage, sample: int) -> Reply:
    said, thought = _texts(message)
    reasoning, text = split_reasoning(said)
    metadata = message.response_metadata
    usage: dict[str, Any] = dict(message.usage_metadata or {})
    reason = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "")
    finish: FinishReason = "length" if reason in _CUT else "filtered" if reason in _FILTERED else "stop"
    cached = (usage.get("input_token_details") or {}).get("cache_read")
    return Reply(
        text=text,
        reasoning="\n".join(filter(None, (thought, reasoning))),
        sample=sample,
        usage=Usage(read_count(usage.get("input_tokens")), read_count(usage.get("output_tokens")), read_count(cached)),
        finish_reason=finish,
        model=str(metadata.get("model_name") or metadata.get("model") or ""),
    )


def _texts(message: AIMessage | AIMessageChunk) -> tuple[str, str]:
    """(answer, reasoning). A structured answer may be the arguments of a tool call; content may come in blocks."""
    if message.tool_calls:
        return json.dumps(message.tool_calls[0]["args"], ensure_ascii=False), ""
    thought = str(message.additional_kwargs.get("reasoning_content") or "")
    if isinstance(message.content, str):
        return message.content, thought
    blocks = [block for block in message.content if isinstance(block, dict)]
    thoughts = [str(b.get("thinking") or b.get("reasoning") or "") for b in blocks]
    texts = [str(b.get("text") or "") for b in blocks] + [b for b in message.content if isinstance(b, str)]
    return "".join(texts), "\n".join(filter(None, [thought, *thoughts]))


def _value(text: str) -> Any:
    """An option as LangChain wants it: a number, a truth value, JSON, or else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def open_langchain(rest: str, *, settings: Settings, world: World | None) -> LangChainModel:
    """`langchain:PROVIDER:MODEL?argument=value&...`.

    Raises:
        UsageError: the provider's package or key is missing, or LangChain does not know the string.
    """
    string, _, query = rest.partition("?")
    given = read_options(query, "&")
    if ":" not in string:
        raise UsageError(
            f"langchain:{rest} must name a provider and a model, as langchain:anthropic:claude-sonnet-4-5."
        )
    key = langchain_key(string.partition(":")[0], given)
    options = {name: _value(value) for name, value in given.items() if name != "key"}
    if key is not None:
        options["api_key"] = key.value
    try:
        model = init_chat_model(string, max_retries=0, **cast(Any, options))
    except (ImportError, ValueError) as error:
        raise UsageError(f"LangChain cannot open {string!r}: {redact(str(error)).strip().rstrip('.')}.") from None
    except Exception as error:  # each provider has its own error for a missing key
        raise UsageError(
            f"LangChain cannot open {string!r} ({type(error).__name__}): {redact(str(error))[:300]}"
        ) from None
    url = next((given[name] for name in LANGCHAIN_URLS if name in given), "")
    advice = key.advice(read_url(url, string).host if url else "this provider") if key is not None else ""
    return LangChainModel(model, name=f"langchain:{rest}", about_key=advice)
