"""Nobody calls out of a test: an audit hook in this process and, through PYTHONPATH, in every Python it starts.

`sys.addaudithook` sees each connection and each look-up of a name, whichever library makes it, and cannot be patched
away. What is refused is also written to the file that TESTS_CALLED_OUT names, so that a test fails even where the code
under test swallows the error. Elsewhere than under the tests (no such variable) this module does nothing.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

_LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "")
_ADDRESS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_NAME = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _ADDRESS:
        sock, address = arguments[0], arguments[1]
        if sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            _check(event, address[0])
    elif event in _NAME:
        _check(event, arguments[0])


def _check(event: str, host: Any) -> None:
    name = host.decode("latin-1") if isinstance(host, bytes) else host
    ours = name is None or name in _LOOPBACK or name.startswith("127.") or name == socket.gethostname()
    file = os.environ.get("TESTS_CALLED_OUT", "")
    if ours or not file:
        return
    with Path(file).open("a", encoding="utf-8") as told:
        told.write(f"{event} {name}\n")
    raise RuntimeError(f"A test tried to reach {name} ({event}); tests talk to 127.0.0.1 only.")


if os.environ.get("TESTS_CALLED_OUT") and not getattr(sys, "_whyrec_guarded", False):
    sys._whyrec_guarded = True  # type: ignore[attr-defined]
    sys.addaudithook(_watch)
