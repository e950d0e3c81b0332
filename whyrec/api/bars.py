"""How far something is, shown while it lasts: rich's bar in a terminal, HTML in a notebook, nothing where nobody looks.

rich's bar in a notebook needs ipywidgets, which many front ends lack. A part of a cell's output that is replaced needs
nothing, and what is left of it in a saved notebook is one line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from whyrec.api.shown import say, text

Tell: TypeAlias = Callable[[str, int, int | None], None]
"""Told of what is being done, how much of it is done, and of how much (None where that is not known)."""

_EVERY_S = 0.1


@contextmanager
def bar(wanted: bool) -> Iterator[Tell | None]:
    """Who is to be told, while it is open; None where nobody looks or nobody wants to."""
    if not wanted:
        yield None
    elif (display := _notebook()) is not None:
        cell = _Cell(display)
        try:
            yield cell.tell
        finally:
            cell.show()
    else:
        with _terminal() as tell:
            yield tell


def lines(wanted: bool) -> Callable[[str], None]:
    """Who is to be told of one thing after the other: standard error, or one line of a notebook's cell."""
    if not wanted:
        return _nothing
    display = _notebook()
    return say if display is None else _Cell(display).line


@contextmanager
def _terminal() -> Iterator[Tell | None]:
    from rich import progress
    from rich.console import Console

    console = Console(file=sys.stderr, force_jupyter=False)
    if not console.is_terminal:
        yield None
        return
    told = progress.TextColumn("{task.description}", markup=False)
    columns = (told, progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=console) as shown:
        task = shown.add_task("", total=None)
        yield lambda said, done, of: shown.update(task, description=said, total=of, completed=done)


def _notebook() -> Callable[..., Any] | None:
    """IPython's `display` in a notebook's kernel, else None. IPython is looked for only where it is loaded already."""
    if "IPython" not in sys.modules:
        return None
    ipython: Any = sys.modules["IPython"]
    if not hasattr(ipython.get_ipython(), "kernel"):
        return None
    display: Callable[..., Any] = ipython.display.display
    return display


class _Cell:
    """A part of a cell's output that is replaced as things go on."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._now: dict[str, str] = {}
        self._last = float("-inf")

    def tell(self, said: str, done: int, of: int | None) -> None:
        """A bar, drawn at most ten times a second; `show` draws the last one."""
        told = f"{done:,} of {of:,}" if of else f"{done:,}"
        drawn = f"<progress value='{done}' max='{of}' style='width:16em'></progress> " if of else ""
        self._now = {"text/html": f"{drawn}{told} <span>{text(said)}</span>", "text/plain": f"{told} {said}"}
        if time.monotonic() - self._last >= _EVERY_S:
            self.show()

    def line(self, said: str) -> None:
        """A line in place of the one before it."""
        self._now = {"text/html": f"<span>{text(said)}</span>", "text/plain": said}
        self.show()

    def show(self) -> None:
        """Draw what was told last."""
        self._last = time.monotonic()
        if self._handle is not None:
            self._handle.update(self._now, raw=True)
        elif self._now:
            self._handle = self._display(self._now, raw=True, display_id=True)


def _nothing(_line: str) -> None:
    pass
