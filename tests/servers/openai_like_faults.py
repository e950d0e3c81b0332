"""What goes wrong at the server of openai_like.py, and how a request is failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    `kind`: "status" (with `status`, `headers`, `body`), "reset" (connection dropped), "hang" (no answer), "html" (a
    body that is no JSON), "malformed" (200, but the answer's JSON is broken), "truncated" (cut, finish_reason length),
    "error_body" (200 with an error object), "stream" (200 with server-sent events, though nobody asked for a stream).
    """

    kind: str = "status"
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "made to fail", "type": "server_error"}}'


RATE_FAULTS = {
    "json": Fault("malformed"),
    "timeout": Fault("hang"),
    "429": Fault("status", 429, {"Retry-After": "0.05"}),
    "500": Fault("status", 500),
    "truncated": Fault("truncated"),
    "reset": Fault("reset"),
}


async def failed(fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
    """The answer of a request that goes wrong in whole; None where the fault is within an answer."""
    match fault.kind:
        case "status":
            return web.Response(status=fault.status, text=fault.body, headers=dict(fault.headers))
        case "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        case "hang":
            await asyncio.sleep(60.0)
            return web.Response(status=504)
        case "html":
            return web.Response(text="<html>502 from a proxy</html>", content_type="text/html")
        case "error_body":
            return web.Response(text=fault.body, content_type="application/json")
        case "stream":
            chunk = '{"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}'
            return web.Response(text=f"data: {chunk}\n\ndata: [DONE]\n\n", content_type="text/event-stream")
    return None
