"""A port to listen on, or a sentence on why not, and a server that waits for nobody forever.

Whoever connects has some seconds to say what they want and a minute to have said all of it; a head of more than 32 KiB,
and more connections at once than any person's browser opens, are refused. (uvicorn has no limits in time of its own.)
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from whyrec.errors import UsageError

HEAD_S, WHOLE_S = 10.0, 60.0
_HEAD_BYTES = 32_768
_CONNECTIONS = 200


class Impatient(H11Protocol):
    """A connection that is closed when a request does not arrive in time."""

    _deadline: asyncio.TimerHandle | None = None
    _reading: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From now on the head of a request is waited for."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """More of it has come: what is waited for now?"""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        super().connection_lost(exc)
        self._stop()

    def _wait(self) -> None:
        """A deadline for the head, then one for the body; data that trickles in moves neither."""
        state = self.conn.their_state
        reading = state if state in (h11.IDLE, h11.SEND_BODY) else None
        if reading is h11.IDLE and self.cycle is not None and not self.conn.trailing_data[0]:
            reading = None  # between two requests uvicorn's own timer runs
        if reading is self._reading:
            return
        self._stop()
        self._reading = reading
        if reading is not None:
            self._deadline = self.loop.call_later(HEAD_S if reading is h11.IDLE else WHOLE_S, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._reading = None


def server(app: ASGIApp) -> uvicorn.Server:
    """What serves the pages on a socket: `server(app).run(sockets=[listen(host, port)])`."""
    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        h11_max_incomplete_event_size=_HEAD_BYTES,
        limit_concurrency=_CONNECTIONS,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address, port 0 for a free one.

    Raises:
        UsageError: the address is not of this machine, or somebody else listens there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        raise UsageError(
            f"Nobody can listen on {host}:{port} ({error.strerror or error}). Choose another with --port, or 0 for any."
        ) from None
    return sock
