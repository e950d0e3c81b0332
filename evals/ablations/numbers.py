"""What an ablation's outcomes say: users of several worlds pooled, each world a stratum, and tested two ways.

A gain is method minus alternative, user by user, turned so that more is better. Over users: its mean with a bootstrap
that draws users anew inside every world, and a sign-flip permutation test (a user's sign is exchangeable whatever the
world). That holds for these worlds. Where something is made once per world (a template, a thought space, an expert),
worlds differ by more than their users, so the same gains are also tested over worlds: the mean of the worlds' means
with Student's t interval, and the exact sign-flip test, whose p cannot fall below 2 / 2^worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evals.metrics import Floats
from evals.statistics.aggregate import DRAWS, over_seeds, percentiles, permutation_p, resampled_means
from evals.summary import Paired, Summary

ALPHA = 0.05
MOST_EXACT = 16  # worlds up to which every sign pattern is counted
Says = Literal["as claimed", "not decided", "contradicted"]


def pooled(worlds: Sequence[Floats], *, unscored: int = 0) -> Summary:
    """Mean over the users of all worlds, its interval by drawing users anew inside each.

    Args:
        worlds: values per user, one array per world, none empty.
        unscored: users without a value.
    """
    values = np.concatenate(worlds)
    low, high = percentiles(_stratified(worlds))
    return Summary(float(values.mean()), low, high, len(values), unscored, "bootstrap over users, world by world")


def gain(worlds: Sequence[Floats]) -> Paired:
    """The pooled gain with its interval and p-value.

    Args:
        worlds: gains per user, one array per world, none empty.
    """
    values = np.concatenate(worlds)
    low, high = percentiles(_stratified(worlds))
    return Paired(
        difference=float(values.mean()),
        low=low,
        high=high,
        p=permutation_p(values),
        n=len(values),
        wins=int((values > 0).sum()),
        losses=int((values < 0).sum()),
    )


def over_worlds(means: Sequence[float]) -> tuple[Summary, float]:
    """(mean of the worlds' gains with its t interval, exact two-sided sign-flip p-value).

    Raises:
        ValueError: fewer than two worlds.
    """
    found = over_seeds(means)
    size = np.abs(np.array(means))
    observed = abs(float(np.sum(means))) - 1e-12
    if len(size) > MOST_EXACT:
        return found, permutation_p(np.array(means))
    sums = np.zeros(1)
    for one in size:
        sums = np.concatenate([sums - one, sums + one])
    return found, float((np.abs(sums) >= observed).mean())


def says(difference: float, p: float) -> Says:
    """What a gain with this adjusted p-value means for the claim that it is positive."""
    if p >= ALPHA or difference == 0:
        return "not decided"
    return "as claimed" if difference > 0 else "contradicted"


def detectable(worlds: Sequence[Floats]) -> float:
    """The gain that this many users would show at p < .05 in four of five tries, from the spread seen."""
    z = 1.959964 + 0.841621
    values = np.concatenate(worlds)
    spread = np.concatenate([w - w.mean() for w in worlds]).std()
    return float(z * spread / np.sqrt(len(values)))


def _stratified(worlds: Sequence[Floats]) -> Floats:
    """Resampled means over all users, float64[R]; every world keeps its number of users."""
    total = sum(map(len, worlds))
    drawn = np.zeros(DRAWS)
    for at, values in enumerate(worlds):
        drawn += len(values) / total * resampled_means(values, seed=at, draws=DRAWS)
    return drawn
