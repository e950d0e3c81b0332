"""A loopback server that gives as many tokens as a request allows, and keeps the account that a provider would bill.

`counts` says how it tells them: "true", "none" (no usage), "absurd" (negative and text), "lost" (billed, but the body
cannot be read). Every answer is the same text, so a small schema-less prompt can be asked of it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNCAPPED = 50_000  # tokens of an answer that nothing caps


class Spending:
    """The server. `billed` is what it charges, in tokens; `asked` the bodies it got."""

    def __init__(self, *, counts: str = "true", text: str = "tea") -> None:
        self.counts, self.text = counts, text
        self.billed = 0
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send({"object": "list", "data": [{"id": "m", "object": "model"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(outer.answer(body))

            def _send(self, value: Any) -> None:
                raw = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, body: dict[str, Any]) -> Any:
        """Charge for a request as dearly as it allows, and answer."""
        self.asked.append(body)
        prompt = sum(len(message["content"]) for message in body["messages"]) // 4
        caps = [body[name] for name in ("max_tokens", "max_completion_tokens") if body.get(name)]
        completion = max(caps, default=UNCAPPED) * (body.get("n") or 1)
        self.billed += prompt + completion
        choice = {"index": 0, "message": {"role": "assistant", "content": self.text}, "finish_reason": "stop"}
        answer = {"model": "m", "choices": [choice]}
        match self.counts:
            case "true":
                answer["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
            case "absurd":
                answer["usage"] = {"prompt_tokens": -5, "completion_tokens": 10**15}
            case "lost":
                return b'{"choices": [{"index": 0, "message": {"role": "assist'
        return answer

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
