"""A file server on 127.0.0.1 that answers ranges, and drops connections or lies on demand."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """`files` maps paths ("/a.zip") to bytes; the rest are faults.

    Attributes:
        drops: after how many bytes each of the next answers breaks off.
        statuses: statuses of the next answers, instead of an answer.
        ranges: whether Range is honoured. `etag`: sent where not empty, and checked against If-Range.
        requests: (path, Range header or "") of every request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.drops: list[int] = []
        self.statuses: list[int] = []
        self.ranges, self.etag = True, '"v1"'
        self.requests: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.requests.append((handler.path, wanted))
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        if handler.path not in self.files:
            handler.send_error(404)
            return
        data = self.files[handler.path]
        fresh = handler.headers.get("If-Range", self.etag) == self.etag
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges and fresh else None
        if start is not None and start >= len(data):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(data)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = data[start or 0 :]
        handler.send_response(200 if start is None else 206)
        if start is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.drops:
            body = body[: self.drops.pop(0)]
            handler.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client may have left
            handler.wfile.write(body)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
