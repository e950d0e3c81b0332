"""How far something is that takes more than a moment: a bar on standard error, so that output can be piped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell: TypeAlias = Callable[[str, int, int], None]

_LINE_EVERY_S = 5.0


@contextlib.contextmanager
def bar() -> Iterator[Tell]:
    """Tells (what, done, all): a bar on a terminal, a line every few seconds elsewhere; 0 for all is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        told = [time.monotonic()]

        def line(what: str, done: int, total: int) -> None:
            if time.monotonic() - told[0] >= _LINE_EVERY_S:
                told[0] = time.monotonic()
                console.print(f"{what}: {done:,}" + (f" of {total:,}" if total else ""), markup=False)

        yield line
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        tasks = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total or None)
            shown.update(tasks[what], completed=done, total=total or None)

        yield step
