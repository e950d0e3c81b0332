"""Coroutines from plain code inside a running loop, as in a notebook, and what an interrupt does there."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

import whyrec
from whyrec.api.loop import aside, finish


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """As in a session of Python, whatever ran before in this process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def in_a_notebook(cell: Callable[[], object]) -> object:
    """Run a cell inside a running loop that leaves interrupts to Python, as a kernel's does."""

    async def main() -> object:
        return cell()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


def interrupt_in(seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_an_interrupt_is_handed_on_and_the_end_is_waited_for() -> None:
    """Of 3.11's Thread.join, an interrupt makes a living thread pass for dead: the run then went on unseen."""
    asked = asyncio.Event()
    steps: list[str] = []

    async def work() -> str:
        interrupt_in(0.05)
        await asyncio.wait_for(asked.wait(), 20)
        steps.append("asked")
        await asyncio.sleep(0.5)  # what is in flight
        steps.append("ended")
        return "result"

    assert in_a_notebook(lambda: finish(work, interrupted=asked.set)) == "result"
    assert steps == ["asked", "ended"]


def test_what_fails_in_the_thread_is_raised_here() -> None:
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        in_a_notebook(lambda: finish(work, interrupted=lambda: None))


def test_the_second_interrupt_leaves_work_that_does_not_listen() -> None:
    heard, let_go = [], threading.Event()

    def work() -> None:
        interrupt_in(0.05)
        interrupt_in(0.4)
        let_go.wait(20)

    with pytest.raises(KeyboardInterrupt):
        in_a_notebook(lambda: aside(work, interrupted=lambda: heard.append("once")))
    assert heard == ["once"] and not let_go.is_set()
    let_go.set()


def test_after_a_run_an_interrupt_interrupts_again(capfd: pytest.CaptureFixture[str]) -> None:
    """uvloop's handler stayed after its loop was closed: in a session of Python, Ctrl-C then did nothing any more."""
    run = whyrec.run("cot_rec.preference", "world:users=60,items=120", llm="extractive", users=2)
    assert run.complete and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert not capfd.readouterr().err
