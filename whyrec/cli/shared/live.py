"""The live display of a run: one table that is redrawn on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from whyrec.runs.amounts import span, spent, sums

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from graphs.engine.progress import Snapshot

__all__ = ["Live", "facts", "span"]

_LINE_EVERY_S = 5.0


def facts(now: Snapshot) -> list[tuple[str, str]]:
    """What a person wants to know, name and value."""
    calls = now.calls
    settled = now.before + now.done + now.failed
    left = "" if now.eta_s is None else span(now.eta_s)
    return [
        ("examples", f"{settled}/{now.examples}"),
        ("failed", str(now.failed)),
        ("examples/s", f"{now.rate:.1f}"),
        ("in flight", str(now.in_flight)),
        ("calls", str(calls.calls)),
        ("cache hits", str(calls.hits + calls.joined)),
        ("errors", str(calls.errors)),
        ("unreadable", str(calls.unreadable)),
        ("repairs", str(calls.repairs)),
        ("tokens", sums(calls.tokens_in, calls.tokens_out, calls.unmetered, calls.sent)),
        ("spend", spent(calls.cost, calls.unpriced, calls.sent)),
        ("time left", left),
    ]


class Live:
    """Shows snapshots. `quiet` shows nothing.

    Args:
        console: where.
        quiet: show nothing.
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._display: Any = None
        self._told_at = float("-inf")

    def __enter__(self) -> Live:
        """Nothing is shown before `begin`."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the terminal as it was."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def begin(self) -> None:
        """From now on snapshots are shown."""
        if self._console.is_terminal and not self._quiet:
            from rich.live import Live as Display

            self._display = Display(console=self._console, auto_refresh=False, transient=True)
            self._display.start()

    def show(self, now: Snapshot) -> None:
        """Show a snapshot, if it is time to."""
        if self._quiet:
            return
        if self._display is not None:
            self._display.update(_table(now), refresh=True)
        elif not self._console.is_terminal and time.monotonic() - self._told_at >= _LINE_EVERY_S:
            self._told_at = time.monotonic()
            self._console.print(", ".join(f"{name} {value}" for name, value in facts(now) if value), soft_wrap=True)

    def say(self, line: str) -> None:
        """Print a line above the display, even when quiet."""
        self._console.print(line)


def _table(now: Snapshot) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    pairs = facts(now)
    for left, right in zip(pairs[::2], pairs[1::2], strict=True):
        table.add_row(f"[dim]{left[0]}", left[1], f"[dim]{right[0]}", right[1])
    settled = now.before + now.done + now.failed
    return Group(f"[bold]{now.run}", ProgressBar(total=max(now.examples, 1), completed=settled, width=60), table)
