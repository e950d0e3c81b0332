"""What a dial's outcomes say: intervals over worlds, the start beside no model at all, and a tested slope.

Outcomes come in a table of seeds by levels; each seed is a world of its own with users of its own, so the seeds are
independent replications and each value is a mean (or an AUC) over the users inside one.

Intervals are Student's t over the seeds' values, S - 1 degrees of freedom. In a balanced two-level design (users inside
worlds) that is the exact hierarchical interval: the spread of the seeds' values holds both the noise of the users
inside a world and the differences between worlds, so nothing is drawn from users again. Resampling five worlds would
give intervals that are too short.

The slope is that of a regression of the outcome on the level with an effect of its own for every seed. It is tested by
permuting the levels *within* each seed: had quality no effect, every seed's values would be exchangeable over levels,
whatever the worlds are like. n is seeds times levels. Its interval is t over the seeds' own slopes, so it also says
how far the slope may be from this in another world.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from evals.metrics import Floats
from evals.statistics.aggregate import over_seeds
from evals.summary import Summary

DRAWS = 99_999
ALPHA = 0.01
Beside = Literal["above", "not above", "below"]


class Slope(BaseModel):
    """How much the outcome changes from level 0 to level 1.

    Attributes:
        value: slope per unit of quality, the mean of the seeds' slopes.
        low: lower end of its 95 % interval, t over seeds.
        high: upper end.
        p: two-sided, permutation within seeds; at least 1 / (draws + 1).
        n: values it was fitted to.
        seeds: slope of each seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float
    p: float
    n: int
    seeds: tuple[float, ...]


def slope(levels: Sequence[float], values_SL: Floats, *, draws: int = DRAWS, seed: int = 0) -> Slope:
    """Slope of the outcome over the levels with an effect per seed, and its test (see the module).

    Args:
        levels: [L], at least two different ones.
        values_SL: outcome per seed and level, at least two seeds.
        draws: permutations.
        seed: of the draws.

    Raises:
        ValueError: too few levels or seeds.
    """
    if len(set(levels)) < 2 or len(values_SL) < 2:
        raise ValueError(f"A slope needs two levels and two seeds; here are levels {list(levels)}, {len(values_SL)}.")
    x_L = np.array(levels) - np.mean(levels)
    size = float(x_L @ x_L)
    centred_SL = values_SL - values_SL.mean(axis=1, keepdims=True)
    slopes_S = centred_SL @ x_L / size
    interval = over_seeds(slopes_S.tolist())
    observed = abs(float(slopes_S.sum()))
    slack = 1e-9 * float(np.abs(centred_SL).sum()) + 1e-15
    rng = np.random.default_rng([seed, 3])
    drawn_D = np.zeros(draws)
    for row_L in centred_SL:
        drawn_D += rng.permuted(np.tile(row_L, (draws, 1)), axis=1) @ x_L / size
    extreme = int((np.abs(drawn_D) >= observed - slack).sum())
    return Slope(
        value=interval.mean,
        low=interval.low,
        high=interval.high,
        p=(1 + extreme) / (draws + 1),
        n=int(values_SL.size),
        seeds=tuple(slopes_S.tolist()),
    )


def beyond(method_S: Floats, without_S: Floats) -> Summary:
    """How far one is above the other, world by world: mean difference with its interval over seeds."""
    return over_seeds((method_S - without_S).tolist())


def beside(difference: Summary, *, lower: bool = False) -> Beside:
    """What a difference at level 0 means: better ("above"), worse ("below"), or not shown to be either.

    Args:
        difference: method minus no model.
        lower: lower is better.
    """
    low, high = (-difference.high, -difference.low) if lower else (difference.low, difference.high)
    return "above" if low > 0 else "below" if high < 0 else "not above"


def rises(found: Slope, *, lower: bool = False) -> bool:
    """Whether better models have better outcomes: the slope's sign is right and p < .01."""
    return found.p < ALPHA and (found.value < 0 if lower else found.value > 0)
