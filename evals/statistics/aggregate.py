"""From one value per example to a number with an interval, and from two cells to a tested difference.

Everything resamples *users* (rows, questions), because these are what the claim is about; training noise is another
matter and is shown by the seeds (a t-interval over them and a sign test). Where several values belong to one user
(the responses of one row), it is the users that are drawn, each with all that is theirs. Bootstrap draws are made on
the counts of distinct values where these are few (ranking metrics), which has exactly the law of drawing users one by
one and takes milliseconds.

An example without an outcome is not a value: it is counted in `unscored` and enters no mean (design rule 6).
All functions are deterministic by `seed`. Shape legend: N examples, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from evals.metrics import Floats, Ints, columns, placements
from evals.summary import Paired, Summary
from whyrec.records import Click

DRAWS = 10_000
LEVEL = 0.95
_CHUNK = 2_000_000


def summarise(
    values: Floats, *, units: Ints | None = None, unscored: int = 0, seed: int = 0, draws: int = DRAWS
) -> Summary:
    """Mean and percentile bootstrap interval over users.

    Args:
        values: float64[N], one per scored example.
        units: int64[N], whom each value belongs to; several of one unit are drawn together, and the summary's `n`
            counts units. Without it each value is its own unit.
        unscored: how many examples have no value.
        seed: of the draws.
        draws: bootstrap resamples.

    Raises:
        ValueError: there is nothing to average.
    """
    if not len(values):
        raise ValueError(f"No example was scored ({unscored} failed), so there is no mean.")
    counts = np.ones(0) if units is None else np.unique(units, return_counts=True)[1]
    if units is None or len(counts) == len(values):
        low, high = percentiles(resampled_means(values, seed=seed, draws=draws))
        return Summary(float(values.mean()), low, high, len(values), unscored)
    low, high = percentiles(_resampled_by_unit(values, units, seed=seed, draws=draws))
    return Summary(float(values.mean()), low, high, len(counts), unscored, "bootstrap over units, all of each")


def _resampled_by_unit(values: Floats, units: Ints, *, seed: int, draws: int) -> Floats:
    """Means of resamples of whole units, float64[R]: sum of the drawn units' values by how many these are."""
    _, place = np.unique(units, return_inverse=True)
    sums, sizes = np.bincount(place, weights=values), np.bincount(place).astype(np.float64)
    rng, n = np.random.default_rng([seed, 3]), len(sums)
    means, step = np.empty(draws), max(1, _CHUNK // n)
    for start in range(0, draws, step):
        drawn = rng.integers(0, n, size=(min(step, draws - start), n))
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def over_seeds(means: Sequence[float]) -> Summary:
    """Mean of several seeds' means with Student's t interval over the seeds: the noise of training.

    Raises:
        ValueError: fewer than two seeds say nothing about noise.
    """
    if len(means) < 2:
        raise ValueError("An interval over seeds needs at least two seeds.")
    mean, spread = float(np.mean(means)), float(np.std(means, ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(means) - 1)) * spread / math.sqrt(len(means))
    return Summary(mean, mean - half, mean + half, len(means), interval="t over seeds")


def auc_summary(clicks: Sequence[Click], *, unscored: int = 0) -> Summary:
    """AUC with DeLong's interval (DeLong, DeLong and Clarke-Pearson 1988), which takes each click for one of its own.

    Where several clicks are of one row (responses), whole rows are drawn instead.

    Raises:
        ValueError: all rows have the same label.
    """
    rows = np.array([click.row for click in clicks], dtype=np.int64)
    if len(np.unique(rows)) < len(rows):
        return _auc_by_row(clicks, rows, unscored)
    positive, negative = placements(*columns(clicks))
    mean = float(positive.mean())
    variance = sum(float(v.var(ddof=1)) / len(v) if len(v) > 1 else 0.25 for v in (positive, negative))
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt(variance)
    return Summary(mean, max(0.0, mean - half), min(1.0, mean + half), len(clicks), unscored, "DeLong")


def _auc_by_row(clicks: Sequence[Click], rows: Ints, unscored: int, *, seed: int = 0, draws: int = 2000) -> Summary:
    """AUC with a bootstrap interval over rows, each drawn with all its clicks; draws of one label only are left out."""
    probability, clicked = columns(clicks)
    mean = float(placements(probability, clicked)[0].mean())
    rng, names = np.random.default_rng([seed, 4]), np.unique(rows)
    place = [np.flatnonzero(rows == name) for name in names]
    found = []
    for _ in range(draws):
        drawn = np.concatenate([place[i] for i in rng.integers(0, len(names), len(names))])
        if clicked[drawn].any() and not clicked[drawn].all():
            found.append(float(placements(probability[drawn], clicked[drawn])[0].mean()))
    low, high = percentiles(np.array(found or [mean]))
    return Summary(mean, low, high, len(names), unscored, "bootstrap over rows, all of each")


def compare(better: Floats, worse: Floats, *, seed: int = 0, draws: int = DRAWS) -> Paired:
    """Test `better - worse`, example by example: bootstrap interval and sign-flip permutation p-value over users.

    Args:
        better: float64[N].
        worse: float64[N], the same examples in the same order.
        seed: of the draws.
        draws: resamples of each test.

    Raises:
        ValueError: the two do not hold the same examples, or none.
    """
    if len(better) != len(worse) or not len(better):
        raise ValueError(
            f"A paired test needs the same examples on both sides, here are {len(better)} and {len(worse)}."
        )
    difference = better - worse
    low, high = percentiles(resampled_means(difference, seed=seed, draws=draws))
    return Paired(
        difference=float(difference.mean()),
        low=low,
        high=high,
        p=permutation_p(difference, seed=seed, draws=draws),
        n=len(difference),
        wins=int((difference > 0).sum()),
        losses=int((difference < 0).sum()),
    )


def permutation_p(difference: Floats, *, seed: int = 0, draws: int = DRAWS) -> float:
    """Two-sided p-value of mean(difference) when each example's sign is flipped by a fair coin.

    The smallest value it can give is 1 / (draws + 1).
    """
    moved = difference[difference != 0]
    if not len(moved):
        return 1.0
    rng = np.random.default_rng([seed, 2])
    observed, slack = abs(float(moved.sum())), 1e-9 * float(np.abs(moved).sum())
    extreme, step = 0, max(1, _CHUNK // len(moved))
    for start in range(0, draws, step):
        flips = min(step, draws - start)
        raw = np.frombuffer(rng.bytes(flips * (len(moved) // 8 + 1)), np.uint8).reshape(flips, -1)
        heads = np.unpackbits(raw, axis=1)
        total = 2 * (heads[:, : len(moved)].astype(np.float64) @ moved) - moved.sum()
        extreme += int((np.abs(total) >= observed - slack).sum())
    return (1 + extreme) / (draws + 1)


def sign_p(differences: Sequence[float]) -> float:
    """Two-sided exact sign test over seeds; n seeds cannot give less than 2 / 2^n (3 seeds .25, 5 seeds .0625)."""
    signs = [d for d in differences if d != 0]
    if not signs:
        return 1.0
    return float(stats.binomtest(sum(d > 0 for d in signs), len(signs)).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment for testing several claims at once, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = worst
    return adjusted


def resampled_means(values: Floats, *, seed: int, draws: int) -> Floats:
    """Means of `draws` resamples of the examples with replacement, float64[R].

    Args:
        values: float64[N].
        seed: of the draws.
        draws: R.
    """
    rng = np.random.default_rng([seed, 1])
    n = len(values)
    distinct, count = np.unique(_rounded(values), return_counts=True)
    if len(distinct) * 8 <= n:
        means: Floats = rng.multinomial(n, count / n, size=draws) @ distinct / n
        return means
    means = np.empty(draws)
    step = max(1, _CHUNK // n)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        means[start : start + size] = values[rng.integers(0, n, size=(size, n))].mean(axis=1)
    return means


def _rounded(values: Floats) -> Floats:
    """Values equal up to rounding errors are the same value."""
    return np.round(values, 12)


def percentiles(means: Floats) -> tuple[float, float]:
    """Ends of the 95 % interval of resampled means."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)
