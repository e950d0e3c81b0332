"""A loopback server, in a thread, that answers every request with the bytes it was last given."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Mapping

_REASONS = {200: "OK", 206: "Partial Content", 400: "Bad Request", 404: "Not Found", 429: "Too Many", 500: "Oops"}


class Served:
    """Set `answers` (path ending -> raw response; "" for all others), then ask `url`."""

    def __init__(self) -> None:
        self.answers: Mapping[str, bytes] = {}
        self.url = ""
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait(10)

    def _run(self, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            path = lines[0].split(" ")[1]
            length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
            await reader.readexactly(length)
            answer = next((raw for end, raw in self.answers.items() if end and path.endswith(end)), None)
            writer.write(answer if answer is not None else self.answers.get("", b""))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError):
            pass
        finally:
            writer.close()


@functools.cache
def served() -> Served:
    """One for the process."""
    return Served()


def response(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """A raw response, its connection closed after it. A header may replace the ones given here."""
    kept = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = "".join(f"{k}: {v}\r\n" for k, v in kept.items()).encode("latin-1", "replace")
    return f"HTTP/1.1 {status} {_REASONS.get(status, 'Said')}\r\n".encode() + lines + b"\r\n" + body
