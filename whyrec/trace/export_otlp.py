"""Spans on their way to an OTLP/HTTP receiver: one batch at a time, sent again where that may help, counted.

A batch is made, sent and answered for before the next one is made, so a slow receiver slows the reading and nothing
piles up. What may pass is tried again with growing pauses, or after as many seconds as the receiver asks for; what a
receiver refuses is an error at once. A receiver may take a batch and refuse some of its spans: it says how many.

Unusual: protobuf is written here, without OpenTelemetry's SDK, whose exporter does not tell how many spans arrived.
"""

from __future__ import annotations

import gzip
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from whyrec.errors import UsageError
from whyrec.redaction import redact
from whyrec.trace.export_spans import Span

_AGAIN = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE_S = 30.0
_PATH = "/v1/traces"
PROJECT = "whyrec"


@dataclass(frozen=True)
class Sent:
    """What became of a batch: spans that arrived, spans the receiver refused and why, and how often it was sent."""

    arrived: int
    refused: int = 0
    why: str = ""
    tries: int = 1


@dataclass
class Receiver:
    """Where spans go.

    Attributes:
        url: of the receiver; /v1/traces is added where it names no path.
        headers: sent along, such as an authorisation.
        tries: how often a batch is sent before giving up.
        timeout: seconds for one answer.
        pause: seconds before the second try; doubled each time.
        sleep: how to wait.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tries: int = 6
    timeout: float = 30.0
    pause: float = 0.5
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Check the URL, and give it a path.

        Raises:
            UsageError: it is none that spans can be sent to, or protobuf is not installed.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{redact(self.url)!r} is no URL of an OTLP/HTTP receiver, as http://127.0.0.1:6006 is.")
        if parts.path in ("", "/"):
            self.url = self.url.rstrip("/") + _PATH
        _wire()

    def send(self, spans: Sequence[Span], resource: Mapping[str, str]) -> Sent:
        """Send a batch, as often as needed.

        Raises:
            UsageError: the receiver refuses it, or cannot be reached; nothing of the batch counts as arrived.
        """
        body = gzip.compress(encode(spans, resource), 1)
        pause, said = self.pause, ""
        for attempt in range(1, self.tries + 1):
            wait = 0.0
            try:
                refused, why = self._post(body)
            except urllib.error.HTTPError as error:
                said = f"{error.code} {error.reason}"
                with error:
                    if error.code not in _AGAIN:
                        told = error.read(300).decode("utf-8", "replace").strip()
                        raise UsageError(f"{redact(self.url)} refuses spans: {said}. {redact(told)}".strip()) from None
                    wait = _seconds(error.headers.get("Retry-After", ""))
            except (OSError, http.client.HTTPException) as error:
                said = str(error) or type(error).__name__
            else:
                return Sent(len(spans) - refused, refused, why, attempt)
            if attempt < self.tries:
                self.sleep(min(max(wait, pause), _LONGEST_PAUSE_S))
                pause *= 2
        raise UsageError(f"{redact(self.url)} did not take a batch of spans in {self.tries} tries: {redact(said)}.")

    def _post(self, body: bytes) -> tuple[int, str]:
        """(spans refused, why) of one answer."""
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **self.headers}
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=self.timeout) as reply:
            answer = reply.read()
            kind = reply.headers.get_content_type()
        if not answer or kind != "application/x-protobuf":
            return 0, ""
        said = _wire().response.FromString(answer).partial_success
        return int(said.rejected_spans), str(said.error_message)


@dataclass(frozen=True)
class _Wire:
    request: Any
    response: Any
    trace: Any
    value: Any
    pair: Any


def _wire() -> _Wire:
    """The protobuf classes.

    Raises:
        UsageError: they are not installed.
    """
    try:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
        from opentelemetry.proto.common.v1 import common_pb2 as common
        from opentelemetry.proto.trace.v1 import trace_pb2 as trace
    except ImportError:
        raise UsageError(
            "Sending spans needs the extra otel: pip install 'whyrec[otel]'. --jsonl FILE does without."
        ) from None
    return _Wire(
        service.ExportTraceServiceRequest,
        service.ExportTraceServiceResponse,
        trace,
        common.AnyValue,
        common.KeyValue,
    )


def encode(spans: Sequence[Span], resource: Mapping[str, str]) -> bytes:
    """A batch as an ExportTraceServiceRequest."""
    wire = _wire()
    made = wire.request()
    scope = made.resource_spans.add()
    scope.resource.attributes.extend(_pair(wire, name, value) for name, value in resource.items())
    inner = scope.scope_spans.add()
    inner.scope.name = PROJECT
    for span in spans:
        out = inner.spans.add()
        out.trace_id, out.span_id, out.parent_span_id = span.trace, span.id, span.parent
        out.name, out.kind = span.name, wire.trace.Span.SPAN_KIND_INTERNAL
        out.start_time_unix_nano, out.end_time_unix_nano = span.start, span.end
        out.attributes.extend(_pair(wire, name, value) for name, value in span.attributes.items())
        kind, message = span.error
        out.status.code = wire.trace.Status.STATUS_CODE_ERROR if kind else wire.trace.Status.STATUS_CODE_OK
        if kind:
            out.status.message = _utf8(f"{kind}: {message}")
            event = out.events.add()
            event.name, event.time_unix_nano = "exception", span.end
            told = {"exception.type": kind, "exception.message": message}
            event.attributes.extend(_pair(wire, name, value) for name, value in told.items())
    return bytes(made.SerializeToString())


def _pair(wire: _Wire, name: str, value: object) -> Any:
    if isinstance(value, bool):
        return wire.pair(key=name, value=wire.value(bool_value=value))
    if isinstance(value, int):
        return wire.pair(key=name, value=wire.value(int_value=value))
    if isinstance(value, float):
        return wire.pair(key=name, value=wire.value(double_value=value))
    return wire.pair(key=name, value=wire.value(string_value=_utf8(str(value))))


def _utf8(text: str) -> str:
    """Text that protobuf takes: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _seconds(text: str) -> float:
    """Retry-After in seconds; 0 where it says something else."""
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
