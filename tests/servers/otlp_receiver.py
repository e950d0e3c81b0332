"""An OTLP/HTTP receiver on loopback that decodes what it gets, and fails or refuses when told to."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service


class Receiver:
    """A receiver in a thread.

    Attributes:
        spans: everything that arrived, decoded, in order; what came twice is here twice.
        resources: attributes of the resource, per batch.
        faults: status codes for the next posts, each with headers; taken from the front.
        refuse: names of spans that are refused although the rest of their batch is taken.
        headers: of the last post.
    """

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.refuse: set[str] = set()
        self.headers: dict[str, str] = {}
        self.posts = 0
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: bytes) -> bytes:
        """Keep the spans of a request; the answer."""
        request = service.ExportTraceServiceRequest.FromString(body)
        refused = 0
        for resource in request.resource_spans:
            self.resources.append({a.key: value(a.value) for a in resource.resource.attributes})
            for scope in resource.scope_spans:
                taken = [span for span in scope.spans if span.name not in self.refuse]
                refused += len(scope.spans) - len(taken)
                self.spans += taken
        answer = service.ExportTraceServiceResponse()
        if refused:
            answer.partial_success.rejected_spans = refused
            answer.partial_success.error_message = "not wanted"
        return answer.SerializeToString()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        receiver = self.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.posts += 1
        receiver.headers = dict(self.headers)
        code, headers, answer = 200, {}, b""
        if receiver.faults:
            code, headers = receiver.faults.pop(0)
            answer = b"something about it"
        elif self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            code = 404
        else:
            answer = receiver.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(code)
        for name, text in {"Content-Type": "application/x-protobuf", **headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Silence."""


def value(any_value: Any) -> Any:
    """An AnyValue as Python has it."""
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes(span: Any) -> dict[str, Any]:
    """A span's attributes by name."""
    return {a.key: value(a.value) for a in span.attributes}
