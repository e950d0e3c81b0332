"""What outcomes on several worlds say of a gain: tested over users and over worlds, and both have to agree.

A gain is method minus alternative, user by user, turned so that more is better. Over users: its mean with a bootstrap
that draws users anew inside every world, and a sign-flip permutation test (a user's sign is exchangeable whatever the
world). That holds for these worlds. Where something is made once per world (a template, a thought space, an expert),
worlds differ by more than their users, so the means of the worlds are taken as single values, too, with Student's t
interval. A gain counts as told apart from nothing where p < .05 over users and the interval over worlds leaves 0 out
on the same side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evals.metrics import Floats
from evals.statistics.aggregate import DRAWS, percentiles, permutation_p, resampled_means
from evals.summary import Paired, Summary

ALPHA = 0.05
LEAST_WORLDS = 5
Says = Literal["better", "worse", "not told apart", "the same"]


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


def says(users: Paired, p: float, worlds: Summary) -> Says:
    """What a gain comes to.

    Args:
        users: over users.
        p: of it, adjusted.
        worlds: over worlds, t interval.
    """
    if not users.wins and not users.losses:
        return "the same"
    if p < ALPHA and users.difference > 0 and worlds.low > 0:
        return "better"
    if p < ALPHA and users.difference < 0 and worlds.high < 0:
        return "worse"
    return "not told apart"


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
