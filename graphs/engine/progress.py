"""How far a run is: counted by the runner, shown by whoever asked to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from whyrec.runs import Counts


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        run: the run's id.
        examples: how many there are to do in all.
        before: how many of them an earlier start had settled.
        done, failed: settled since this start.
        in_flight: begun and not settled.
        seconds: since the first example of this start.
        calls: the model calls of this start, by outcome.
    """

    run: str
    examples: int
    before: int
    done: int
    failed: int
    in_flight: int
    seconds: float
    calls: Counts

    @property
    def left(self) -> int:
        """Examples not settled."""
        return self.examples - self.before - self.done - self.failed

    @property
    def rate(self) -> float:
        """Examples settled per second of this start."""
        return (self.done + self.failed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate; None before anything is settled."""
        return self.left / self.rate if self.rate > 0 else None


Progress: TypeAlias = Callable[[Snapshot], None]


def since(now: Counts, before: Counts) -> Counts:
    """What was counted between two moments."""
    return Counts(**{name: getattr(now, name) - getattr(before, name) for name in Counts.__slots__})
