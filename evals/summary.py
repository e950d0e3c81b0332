"""A number with its interval, and a tested difference of two: what `evals.statistics` makes and tables show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """A mean over examples with its interval.

    Attributes:
        mean: over the scored examples.
        low: lower end of the 95 % interval.
        high: upper end.
        n: scored examples.
        unscored: examples that failed; in no mean.
        interval: how the interval was made ("bootstrap over users", "t over seeds", "DeLong").
    """

    mean: float
    low: float
    high: float
    n: int
    unscored: int = 0
    interval: str = "bootstrap over users"


@dataclass(frozen=True)
class Paired:
    """A paired difference `better - worse` over the same examples.

    Attributes:
        difference: mean of the per-example differences.
        low: lower end of its 95 % bootstrap interval over users.
        high: upper end.
        p: two-sided p-value of the sign-flip permutation test over users.
        n: examples with a value in both.
        wins: examples where the first is higher.
        losses: examples where the second is higher.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    wins: int
    losses: int
