"""Places that are broken on purpose, for the harness's own tests. Not in `ROOMS`."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time

from hypothesis import strategies as st

from fuzzing.target import Target

_calls = itertools.count()


class Panic(BaseException):
    """As Rust's are."""


def place(what: str) -> object:
    from whyrec.errors import UsageError
    from whyrec.llm.model import Overloaded

    match what:
        case "usage":
            raise UsageError("The file cannot be read. Mend it.")
        case "model":
            raise Overloaded("The server is over its limit.")
        case "bare":
            raise UsageError("")
        case "foreign":
            return {}["a"]
        case "panic":
            raise Panic("index out of bounds")
        case "outside":
            return socket.create_connection(("192.0.2.1", 80), timeout=1)
        case "slow":
            _burn(30.0)
        case "memory":
            return len(bytes(b"x" * ((1 << 30) + (1 << 26))))
        case "first is slow":
            _burn(2.5 if next(_calls) == 0 else 0.0)
    return what


def drawn(number: int) -> object:
    from whyrec.errors import UsageError

    if number == 13:
        os._exit(3)
    if number >= 100:
        raise ZeroDivisionError(number)
    if number % 2:
        raise UsageError(f"{number} is odd, and an even number is needed.")
    return number


def endless(number: int) -> object:
    """Work that no signal stops, as some of C's is."""
    if number:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})
        _burn(300.0)
    return number


def _burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


TARGETS = (
    Target("broken.place", lambda: st.just("fine"), place, prepare=lambda: place("fine")),
    Target("broken.drawn", lambda: st.integers(0, 200) | st.just(13), drawn, prepare=lambda: drawn(0)),
    Target("broken.endless", lambda: st.sampled_from([0, 1]), endless),
)
