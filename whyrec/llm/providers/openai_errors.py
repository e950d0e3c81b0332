"""Which of our errors a server's refusal is, in a sentence that says what to do.

Retrying and the limiter act on the class alone, so the class must be right: 429 is `Overloaded` unless the account has
no money left, 5xx is a `ServerFault`, an error object inside a 200 counts as the status it names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from whyrec.llm.model import ModelError, Overloaded, Refused, ServerFault, TimedOut
from whyrec.llm.naming.address import Address
from whyrec.llm.naming.keys import Key
from whyrec.llm.providers.openai_fields import entries, mapping, parse, shown, text, whole

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "payment_required")
_TAG = re.compile(r"(?s)<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>")
# How templates and services without a system role say so: Gemma, old Mistral templates, Google's Gemma, o1-mini.
_NO_SYSTEM = re.compile(
    r"(?i)system (?:role|messages?|prompts?)\b.{0,20}\bnot\b|not support.{0,20}(?:'system'|system (?:role|message))"
    r"|developer instruction is not|roles must alternate|only user and assistant roles"
    r"|(?:invalid|unknown) role\W+system"
)
_LIMITS = ("max_tokens", "max_completion_tokens")
_TOO_MANY = re.compile(
    r"(?i)too (?:large|many|high|long)|at most|exceed|less than|maximum (?:context|value|of)|greater"
)
_REFUSING = re.compile(
    r"(?i)support|unrecogni|unknown|unexpected|permitted|allowed|forbidden|deprecated|unavailable|invalid|must be"
)
# Options of a model's name that say more than to drop a field.
_OPTIONS = {
    "response_format": "schema=none",
    "structured_outputs": "schema=none&choice=no",
    "n": "n=no",
    "logprobs": "logprobs=0",
    "top_logprobs": "logprobs=0",
    "continue_final_message": "prefix=prefill",
    "add_generation_prompt": "prefix=prefill",
}
_FIELDS = frozenset({*_LIMITS, *_OPTIONS, "temperature", "top_p", "stop", "seed"})
_WORDS = frozenset({"n", "stop"})  # fields whose name may be a word of the sentence
_TOLD = re.compile(r"nsupported (?:parameter|value): '(\w+)'|'loc': \('body', '(\w+)'")  # OpenAI; vLLM's pydantic
_MISSING = re.compile(r"(?i)field required|missing")
_ABOUT_ITSELF = ("messages", "model", "prompt", "input")  # no field that could be left out


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait a server asks for in seconds: retry-after-ms, Retry-After as seconds or date, or OpenAI's reset times.

    Of OpenAI's `x-ratelimit-reset-*` only those count whose `x-ratelimit-remaining-*` is used up; if none is, none.
    """
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    if said := headers.get("retry-after"):
        if (seconds := _number(said)) is not None:
            return seconds
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return None
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    waits = [
        _duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0"
    ]
    return max((w for w in waits if w is not None), default=None)


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


def _duration(text: str) -> float | None:
    """Seconds of "6m0s", "1.5s" or "20ms"."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    return sum(float(amount) * _UNITS[unit] for amount, unit in parts) if parts else None


class Complaint(NamedTuple):
    """What an error body says: the words, its code, a status it names (0: none), and the request field it is about."""

    said: str
    code: str
    status: int
    field: str


def error_in(body: bytes) -> Complaint:
    """The complaint in an error body; OpenAI's, vLLM's, Ollama's, Mistral's and FastAPI's shapes, or a page's words."""
    try:
        found = parse(body)
    except ValueError:
        words = body[:20_000].decode("utf-8", errors="replace")
        return Complaint(" ".join((_TAG.sub(" ", words) if is_page(body) else words).split())[:300], "", 0, "")
    inner = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(inner, dict):
        return Complaint(shown(inner), "", 0, "")
    message = inner.get("message") or inner.get("detail") or inner
    if isinstance(message, dict):  # Mistral wraps FastAPI's list once more
        message = message.get("detail") or message
    number = whole(inner.get("code"))
    code = (text(inner.get("code")) if number is None else str(number)) or text(inner.get("type"))
    status = int(code) if re.fullmatch(r"[1-5][0-9]{2}", code) else 0
    said, field = _detail(message) if isinstance(message, list) else (shown(message), "")
    return Complaint(said, code[:100], status, field or text(inner.get("param")))


def _detail(found: list[Any]) -> tuple[str, str]:
    """(words, field) of the list of complaints that FastAPI sends with status 422."""
    first = mapping(found[0]) if found else {}
    path = [part for part in entries(first.get("loc")) if isinstance(part, str) and part != "body"]
    said = text(first.get("msg"))
    if not said:
        return shown(found), ""
    return f"{said} ({'.'.join(path)})"[:300] if path else said[:300], path[0] if path else ""


def is_page(body: bytes) -> bool:
    """Whether a body is a web page and no answer of an API."""
    return body.lstrip()[:1] == b"<"


def add_v1(address: Address) -> str:
    """What to do where the URL looks as if its end were missing; "" where it does not."""
    if "/v1" in urlsplit(address.url).path:
        return ""
    return f" Its URL has no /v1: add /v1, as in {address.url}/v1."


def error_for(
    status: int, headers: Mapping[str, str], body: bytes, address: Address, *, key: Key, folds: bool = False
) -> ModelError:
    """The error that a status and its body mean (404 is completed by the client, which knows the models).

    Args:
        status, headers, body: of the response.
        address: of the server.
        key: what was sent as a key, and where it came from.
        folds: whether system text was sent within the first question.
    """
    complaint = error_in(body)
    if status == 200:
        status = complaint.status or 500
    said = complaint.said.rstrip(".") or "nothing"
    where = address.where
    hint = add_v1(address) if status in (404, 405) or is_page(body) or 300 <= status < 400 else ""
    if status == 429 and complaint.code not in _NO_MONEY:
        return Overloaded(f"{where} is over its rate limit: {said}.", retry_after(headers))
    if status == 503 and "retry-after" in headers:
        return Overloaded(f"{where} is overloaded: {said}.", retry_after(headers))
    if status == 408:
        return TimedOut(f"{where} gave up waiting: {said}.")
    if not folds and status >= 400 and _NO_SYSTEM.search(said):
        return Refused(
            f"{where} takes no system message ({said}): add ?system=user to the model's name, which puts system text "
            f"at the head of the first question, or let `whyrec llm check {address.name}` find out what it takes."
        )
    if status >= 500:
        return ServerFault(f"{where} failed with status {status}: {said}.{hint}")
    return Refused(f"{where} {_why(status, complaint._replace(said=said), key.advice(address.host))}{hint}")


def _why(status: int, complaint: Complaint, about_key: str) -> str:
    said = complaint.said
    if status in (401, 403):
        return f"refused the key with status {status} ({said}): {about_key}."
    if status == 402 or complaint.code in _NO_MONEY:
        return f"has no money left on the account ({said}): top it up or use another key."
    if 300 <= status < 400:
        return f"redirects elsewhere (status {status}); give the URL it redirects to."
    if status in (400, 422) and (field := _refused_field(complaint)):
        return f"does not take {field!r} ({said}): {_instead(field, said)}."
    return f"refused the request with status {status}: {said}."


def _refused_field(complaint: Complaint) -> str:
    """The field of a request that a complaint refuses, "" where it is about something else."""
    said, named = complaint.said, re.split(r"[.\[]", complaint.field)[0]
    if named in _ABOUT_ITSELF or _MISSING.search(said) or not (named or _REFUSING.search(said)):
        return ""
    if named:
        return named
    if told := _TOLD.search(said):
        return "" if (name := told[1] or told[2]) in _ABOUT_ITSELF else name
    quoted = [name for name in re.findall(r"['\"`](\w+)[\w.]*['\"`]", said) if name in _FIELDS]
    return next(
        (name for name in [*quoted, *re.findall(r"[a-z_]+", said)] if name in _FIELDS - _WORDS or name in quoted), ""
    )


def _instead(field: str, said: str) -> str:
    """What to write instead of a refused field. An answer's limit is never dropped: nothing would end an answer."""
    if field in _LIMITS:
        if _TOO_MANY.search(said):
            return f'lower it with ?extra={{"{field}":NUMBER}} behind the model\'s name, or max_tokens in the prompt'
        other = next(name for name in _LIMITS if name != field)
        return f"add ?max_tokens={other} to the model's name"
    return f"add ?{_OPTIONS.get(field, f'drop={field}')} to the model's name"
