"""Coroutines from plain code, also where an event loop is running already, as in a notebook."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_LOOK_S = 0.2


def loop_factory() -> Any:
    """uvloop's event loop where it is installed: a quarter less CPU per call."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def finish(main: Callable[[], Coroutine[Any, Any, T]], *, interrupted: Callable[[], None]) -> T:
    """Run a coroutine to its end and give what it gives.

    Where this thread's event loop is running, it runs in a thread of its own, and interrupts of this one are handed on.

    Args:
        main: makes the coroutine.
        interrupted: called in the coroutine's loop at every interrupt that this thread gets.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with _handlers_kept(), asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(main())
    return _in_a_thread(main, interrupted)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Give signals back to whoever had them: uvloop leaves its own, by which a later Ctrl-C would do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    had = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in had.items():
            if handler is not None:
                signal.signal(number, handler)


def aside(work: Callable[[], T], *, interrupted: Callable[[], None]) -> T:
    """Do work that runs loops of its own: in a thread where this thread's loop is running, else here.

    Args:
        work: what to do.
        interrupted: called at an interrupt while the work is in a thread; the second one is raised, and the work left.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    asked: list[bool] = []

    def once() -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)
        interrupted()

    return _joined(work, once)


def _in_a_thread(main: Callable[[], Coroutine[Any, Any, T]], interrupted: Callable[[], None]) -> T:
    loops: list[asyncio.AbstractEventLoop] = []

    def work() -> T:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            loops.append(runner.get_loop())
            return runner.run(main())

    def hand_on() -> None:
        if loops:
            loops[0].call_soon_threadsafe(interrupted)

    return _joined(work, hand_on)


def _joined(work: Callable[[], T], interrupted: Callable[[], None]) -> T:
    """What work in a thread gives, waited for here."""
    found: list[T] = []
    failed: list[BaseException] = []
    ended = threading.Event()  # a thread whose join is interrupted passes for dead (CPython 3.11)

    def outcome() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    threading.Thread(target=outcome, name="whyrec", daemon=True).start()
    while True:
        try:
            if ended.wait(_LOOK_S):
                break
        except KeyboardInterrupt:
            interrupted()
    if failed:
        raise failed[0]
    return found[0]
