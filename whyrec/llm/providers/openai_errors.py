"""Which of our errors a server's refusal is, in a sentence that says what to do.

Retrying and the limiter act on the class alone, so the class must be right: 429 is `Overloaded` unless the account has
no money left, 5xx is a `ServerFault`, an error object inside a 200 counts as the status it names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from whyrec.llm.model import ModelError, Overloaded, Refused, ServerFault, TimedOut
from whyrec.llm.naming.address import Address
from whyrec.llm.naming.keys import Key

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "payment_required")


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


def error_in(body: bytes) -> tuple[str, str, int]:
    """(message, code, status) of an error body; OpenAI's, vLLM's, Ollama's and FastAPI's shapes."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:300].decode("utf-8", errors="replace").strip(), "", 0
    inner: Any = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(inner, dict):
        return str(inner)[:300], "", 0
    message = inner.get("message") or inner.get("detail") or inner
    code = inner.get("code") or inner.get("type") or ""
    status = int(code) if str(code).isdigit() else 0
    return str(message)[:300], str(code), status


def error_for(status: int, headers: Mapping[str, str], body: bytes, address: Address, *, key: Key) -> ModelError:
    """The error that a status and its body mean (404 is completed by the client, which knows the models)."""
    said, code, inner_status = error_in(body)
    if status == 200:
        status = inner_status or 500
    said = said.rstrip(".") or "nothing"
    where = address.where
    if status == 429 and code not in _NO_MONEY:
        return Overloaded(f"{where} is over its rate limit: {said}.", retry_after(headers))
    if status == 503 and "retry-after" in headers:
        return Overloaded(f"{where} is overloaded: {said}.", retry_after(headers))
    if status == 408:
        return TimedOut(f"{where} gave up waiting: {said}.")
    if status >= 500:
        return ServerFault(f"{where} failed with status {status}: {said}.")
    return Refused(f"{where} {_why(status, code, said, key.advice(address.host))}")


def _why(status: int, code: str, said: str, about_key: str) -> str:
    if status in (401, 403):
        return f"refused the key with status {status} ({said}): {about_key}."
    if status == 402 or code in _NO_MONEY:
        return f"has no money left on the account ({said}): top it up or use another key."
    if 300 <= status < 400:
        return f"redirects elsewhere (status {status}); give the URL it redirects to."
    unsupported = re.search(r"nsupported (?:parameter|value): '(\w+)'", said)
    if unsupported:
        field = unsupported.group(1)
        return f"does not take {field!r} ({said}): add ?drop={field} to the model's name."
    return f"refused the request with status {status}: {said}."
