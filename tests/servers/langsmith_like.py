"""A LangSmith on loopback: keeps what it is sent, and reads runs from it."""

from __future__ import annotations

import json
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LangSmithLike:
    """A server in a thread of its own.

    Attributes:
        address: where it listens, for LANGSMITH_ENDPOINT.
        seen: paths of all requests.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._bodies: list[tuple[str, bytes]] = []
        seen, bodies = self.seen, self._bodies

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                bodies.append((self.headers.get("Content-Type", ""), body))
                seen.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_PATCH = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def runs(self) -> dict[str, dict[str, Any]]:
        """Id -> a run: what stands in its own part, and "inputs", "outputs", "extra" and so on."""
        found: dict[str, dict[str, Any]] = {}
        for kind, body in self._bodies:
            if not kind.startswith("multipart/"):
                continue
            for part in message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).walk():
                name = part.get_param("name", "", "content-disposition")
                if not isinstance(name, str) or not name.startswith(("post.", "patch.")):
                    continue
                _, run, field = [*name.split("."), ""][:3]
                raw = part.get_payload(decode=True)
                assert isinstance(raw, bytes)
                told = json.loads(raw)
                found.setdefault(run, {}).update({field: told} if field else told)
        return found

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
