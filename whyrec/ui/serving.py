"""A port to listen on, or a sentence on why not."""

from __future__ import annotations

import socket

from whyrec.errors import UsageError


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
