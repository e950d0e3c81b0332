"""What can say nothing, whatever its p-value: found here, by code, for every table.

A comparison speaks of a claim only where the two sides could have come out otherwise. It does not where all examples of
both came to the same; where one side is a constant predictor (the same probability, place, item or letter for
everybody); where what a model wrote was never read (empty texts, the same text for all, a merged number that is the
expert's own in every row); or where the metric stands at its end, 0 or 1, for every example. Whoever computes a cell
says of what it alone knows (texts, letters, items) by the functions here; what outcomes show is seen in `of_outcomes`.

Reference rows (chance, the base rate) may be constant: that is what they are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evals.inputs.outcomes import Outcomes
from evals.metrics import Floats, metric
from evals.results import Difference, Row
from evals.summary import Summary

READ_BY = "labels read by"  # in a cell's note: the ways in which its labels were read
ENOUGH = 10  # examples below which being alike may be chance


def of_outcomes(told: Outcomes) -> tuple[str, ...]:
    """Why outcomes are those of a constant predictor; () where they are not."""
    n = len(told.users)
    if n < ENOUGH or told.of_matches:
        return ()
    if not told.of_rankings:
        same = float(np.ptp(np.round(told.first, 12))) == 0.0
        return (f"it says the same probability, {float(told.first[0]):.4g}, of all {n:,} rows",) if same else ()
    if np.ptp(told.first) == 0 and np.ptp(told.second) == 0:
        return (f"it has the target at the same place for all {n:,} users",)
    return ()


def of_letters(readings: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """Why a ranker's readings of option letters do not depend on the options; () where they may.

    Args:
        readings: per user, the probability of each letter in the order first shown.
    """
    n = len(readings)
    if n < ENOUGH or len({len(row) for row in readings}) != 1:
        return ()
    told = np.round(np.asarray(readings, dtype=np.float64), 9)
    if (np.ptp(told, axis=1) == 0).all():
        return (f"all letters are equally likely to it for all {n:,} users",)
    if (np.ptp(told, axis=0) == 0).all():
        return (f"it gives the letters the same probabilities for all {n:,} users",)
    first = told.argmax(axis=1)
    if (first == first[0]).all() and told.shape[1] > 2:
        return (f"the letter {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[int(first[0])]} is the likeliest to it for all {n:,} users",)
    return ()


def of_texts(texts: Iterable[str], what: str) -> tuple[str, ...]:
    """Why texts that a model wrote tell nobody from another; () where they may.

    Args:
        texts: one per user, item or question.
        what: they are, for the sentence ("preference").
    """
    said = list(texts)
    if len(said) < ENOUGH:
        return ()
    if not any(text.strip() for text in said):
        return (f"there is not one {what}: what the model wrote was not read",)
    if len({text.strip() for text in said}) == 1:
        return (f"every {what} is the same text",)
    return ()


def of_items(lists: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Why lists of recommended items are those of a constant predictor; () where they are not."""
    n = len(lists)
    if n < ENOUGH:
        return ()
    if not any(lists):
        return (f"it recommends nothing to any of {n:,} users",)
    if len({tuple(one) for one in lists}) == 1:
        return (f"it recommends the same items to all {n:,} users",)
    return ()


def unread(told: Floats, without: Floats, *, whose: str) -> tuple[str, ...]:
    """Why a model had no part in what was told: it is, row by row, what somebody else says without it."""
    if len(told) and np.array_equal(told, without):
        return (f"the model is unread: what is told is {whose} in all {len(told):,} rows",)
    return ()


def of_ways(ways: Iterable[str]) -> tuple[str, ...]:
    """Why labels read in several ways make no one row; () where all were read alike."""
    found = sorted(set(ways))
    return (f"its labels were read in different ways ({', '.join(found)})",) if len(found) > 1 else ()


def of_pair(rows: Mapping[str, Row], found: Difference) -> str:
    """Why a pair of rows says nothing of its claim; "" where it can speak."""
    sides = [rows[name] for name in (found.better, found.worse) if name in rows]
    test = found.users
    if not test.wins and not test.losses:
        both = [row.users.get(found.metric) for row in sides]
        values = {_only_value(summary) for summary in both if summary is not None}
        if len(values) == 1 and None not in values:
            return f"all examples of both came to {values.pop():g}"
        return f"both came to the same in all {test.n:,} examples"
    for row in sides:
        if doubts := _doubts(row):
            return f"{row.name}: {doubts[0]}"
        summary = row.users.get(found.metric)
        value = None if summary is None else _only_value(summary)
        if value in (0.0, 1.0) and metric(found.metric).name != "log_loss":
            return f"{row.name}: {found.metric} is {value:g} for every example"
    ways = {way for row in sides for run in row.runs if (way := str(run.about.get(READ_BY, "")))}
    if len(ways) > 1:
        return f"the two were read in different ways ({'; '.join(sorted(ways))})"
    return ""


def _doubts(row: Row) -> tuple[str, ...]:
    """What its runs were found to be; a reference row is meant to be so."""
    return () if row.anchor else tuple(dict.fromkeys(why for run in row.runs for why in run.doubts))


def _only_value(summary: Summary) -> float | None:
    """The value that all examples have, None where they differ."""
    return summary.mean if summary.n > 1 and summary.low == summary.mean == summary.high else None
