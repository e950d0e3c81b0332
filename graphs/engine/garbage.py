"""Garbage collected seldom while graphs run.

LangGraph allocates some thousand short-lived objects per graph, and Python's default looks for cycles every 700 of them
and, now and then, through everything that was ever imported: 40 % of the CPU time of a run. What is there at the
start is set aside, and cycles are looked for every 20,000 new objects (what a run then holds: tests/checks/memory.py).

Loading data leaves much free memory in the C library's hands (138 of 314 MiB for 200,000 users of `world`), which other
allocators cannot use; it is given back before a run begins.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

_THRESHOLDS = (20_000, 5, 2)


@contextlib.contextmanager
def collect_seldom() -> Iterator[None]:
    """Collect seldom, and never what was there before."""
    before = gc.get_threshold()
    gc.collect()
    _give_back()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _give_back() -> None:
    """Return free memory to the operating system, where the C library can (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
