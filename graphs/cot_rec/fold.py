"""How a history is cut for the fold: batches of B events, the last o of each shown again in the next.

The paper leaves batch size and overlap open; spec 2.a sets B = 10, o = 2 (a stride of 8) and keeps the last 50
events. Every event is in at least one batch, order is kept, and only the last batch may be short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from whyrec.errors import UsageError

T = TypeVar("T")


def check(batch: int, overlap: int, cap: int) -> None:
    """Refuse sizes that make no batches.

    Raises:
        UsageError: unless 0 <= overlap < batch <= cap.
    """
    if not 0 <= overlap < batch <= cap:
        raise UsageError(
            f"A fold needs 0 <= overlap < batch <= cap, not overlap={overlap}, batch={batch}, cap={cap}. "
            f"The defaults are overlap=2, batch=10, cap=50."
        )


def batch_count(length: int, batch: int, overlap: int) -> int:
    """n_b = max(1, ceil((L - o) / (B - o))), and 0 for an empty history (spec 2.a)."""
    return max(1, -(-(length - overlap) // (batch - overlap))) if length else 0


def batches(events: Sequence[T], batch: int, overlap: int) -> tuple[tuple[T, ...], ...]:
    """Cut events, oldest first, into overlapping batches, oldest first."""
    stride = batch - overlap
    return tuple(
        tuple(events[k * stride : k * stride + batch]) for k in range(batch_count(len(events), batch, overlap))
    )


def fold_calls(length: int, batch: int, overlap: int, *, more: bool = False) -> int:
    """Calls of a fold over `length` events: n_b summaries and a merge after each but the first.

    With `more`, the fold goes on from a stored preference, and the first summary is merged too.
    """
    n = batch_count(length, batch, overlap)
    return 2 * n - (0 if more or not n else 1)
