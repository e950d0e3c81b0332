"""What can say nothing, whatever its p-value: found here, by code, for every table.

A comparison speaks of a claim only where the two sides could have come out otherwise. It does not where all examples of
both came to the same; where one side is a constant predictor (the same probability, place, item or letter for
everybody); where what a model wrote was never read (empty texts, the same text for all, a merged number that is the
expert's own in every row); or where the metric stands at its end, 0 or 1, for every example. Whoever computes a cell
says of what it alone knows (texts, letters, items) by `evals.doubts`; what outcomes show is seen here.

Reference rows (chance, the base rate) may be constant: that is what they are for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evals.doubts import ENOUGH, READ_BY
from evals.inputs.outcomes import Outcomes
from evals.metrics import metric
from evals.results import Difference, Row
from evals.summary import Summary


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
