"""Why what a cell says cannot speak of its method: texts, letters or items that tell nobody from another.

Whoever computes a cell asks these functions of what it alone knows and hands the sentences on (`Told.doubts`); what the
outcomes themselves show, and what a pair of rows can say, is in `evals.statistics.informative`. Every function returns
sentences that follow "ROW says nothing: ", and () where there is nothing to doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from evals.metrics import Floats

READ_BY = "labels read by"  # in a cell's note: the ways in which its labels were read
ENOUGH = 10  # examples below which being alike may be chance


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
