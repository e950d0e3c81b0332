"""From rows as they stand in a file to a `Corpus`: the one pipeline, the same for every source.

Order (spec 1.1): a `position` column is the order. Without one, a user's rows are sorted by time to its full resolution
(fractions of a second count; only what is equal then is a tie), stably, and a row
without a time goes where the row before it goes (a leading one, where the next timed row goes), so that it never
moves against its neighbours in the file. Item ids play no part. Then duplicates (keep the first event of each user
and item), then k-core until nothing changes, then dense numbers in order of first appearance in the file.

Everything that was dropped, tied or guessed is counted in `Corpus.notes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from whyrec.data import joining
from whyrec.data.corpus import NO_TIME, Corpus, IntArray, ranks
from whyrec.data.raw import Raw
from whyrec.errors import UsageError

_YEAR_3000 = 32_503_680_000


def prepare(
    raw: Raw, name: str, *, dedup: bool = False, min_events: int = 0, users: int = 0, ids: Sequence[str] = ()
) -> Corpus:
    """Order, de-duplicate, k-core and number the rows of a data set.

    Args:
        raw: what a reader gave.
        name: name of the corpus.
        dedup: keep only the first event of each (user, item).
        min_events: every user and item keeps at least this many events, iterated until stable; 0 keeps all.
        users: only the first this many users of the file, for a quick look; 0 keeps all.
        ids: spellings of ids that do not count (`joining.rules_of`).

    Raises:
        UsageError: no rows, none left, positions that repeat, times after the year 3000, or ratings without end.
    """
    if raw.rows.is_empty():
        raise UsageError(f"{name} has no interactions.")
    raw, mapped = joining.mapped(raw, ids)
    (user, user_ids), (item, item_ids) = _codes(raw.rows["user"]), _codes(raw.rows["item"])
    times, nanos = _times(raw.rows, name)
    row = _order(raw.rows, user, _ranks(times, nanos), name)
    notes: dict[str, Any] = {"format": raw.format, "rows read": raw.rows.height, **raw.notes, **mapped}
    notes["order"] = "position" if "position" in raw.rows.columns else "time" if times is not None else "file"
    if users:
        row, notes["first users only"] = row[user[row] < users], users
    row, dropped = _thinned(row, user, item, dedup=dedup, min_events=min_events)
    if not len(row):
        raise UsageError(f"{name} has no {min_events}-core: nothing is left. Ask for a smaller kcore.")
    notes |= dropped
    if len(row) < raw.rows.height:
        kept = np.sort(row)
        user, user_ids = _renumber(user, user_ids, kept)
        item, item_ids = _renumber(item, item_ids, kept)
        row = row[np.argsort(user[row], kind="stable")]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user[row], minlength=len(user_ids)))]).astype(np.int64)
    catalogue, text_notes = joining.join(item_ids, raw)
    corpus = Corpus(
        name=name,
        offsets=offsets,
        items=(item[row] + 1).astype(np.int32),
        user_ids=user_ids,
        catalogue=catalogue,
        times=None if times is None else times[row],
        nanos=None if nanos is None else nanos[row],
        ratings=_ratings(raw.rows, row, name),
        reviews=raw.rows["review"].gather(row) if "review" in raw.rows.columns else None,
        notes=notes | text_notes | joining.odd_ids(user_ids, item_ids, described=bool(raw.items_from)),
    )
    return dataclasses.replace(corpus, notes={**corpus.notes, **ties(corpus)})


def _thinned(
    row: IntArray, user: IntArray, item: IntArray, *, dedup: bool, min_events: int
) -> tuple[IntArray, dict[str, Any]]:
    """The rows that de-duplication and k-core leave, in the order given, and notes on what they dropped."""
    notes: dict[str, Any] = {}
    if dedup:
        before = len(row)
        row = _first_events(row, user, item)
        notes["duplicates dropped"] = before - len(row)
    if min_events > 1:
        before = len(row)
        row, rounds = _k_core(row, user, item, min_events)
        notes["k-core"] = {"k": min_events, "rounds": rounds, "rows dropped": before - len(row)}
    return row, notes


def ties(corpus: Corpus) -> dict[str, Any]:
    """How often time does not decide the order: such an order is only that of the file (spec 1.1).

    Returns:
        Rows without a time; of the adjacent pairs of a user, the share with equal known times; of the
        users with a test target, the share whose test target and validation item have equal times. Nothing for a
        set without times.
    """
    if corpus.times is None:
        return {}
    assert corpus.moments is not None
    times, stops = corpus.moments, corpus.offsets[1:]
    known = times != NO_TIME
    same = (times[1:] == times[:-1]) & known[1:] & known[:-1]
    inside = np.ones(len(times) - 1, dtype=bool)
    inside[stops[:-1] - 1] = False
    pairs = int(inside.sum())
    last = stops[corpus.lengths >= 3] - 2  # pair (validation item, test target)
    return {
        "rows without time": int((~known).sum()),
        "tied adjacent pairs": float((same & inside).sum() / pairs) if pairs else 0.0,
        "tied test targets": float(same[last].mean()) if len(last) else 0.0,
    }


def _codes(ids: pl.Series) -> tuple[npt.NDArray[np.int64], pl.Series]:
    """Dense codes in order of first appearance, and the ids they stand for (as strings)."""
    unique = ids.unique(maintain_order=True)
    table = pl.DataFrame({"id": unique, "code": np.arange(len(unique))})
    codes = pl.DataFrame({"id": ids}).join(table, on="id", how="left", maintain_order="left")["code"]
    return codes.to_numpy(), unique.cast(pl.String)


def _renumber(codes: IntArray, ids: pl.Series, kept: IntArray) -> tuple[IntArray, pl.Series]:
    """Codes made dense again over the kept rows (ascending file order); codes of other rows become meaningless."""
    left = pl.Series(codes[kept]).unique(maintain_order=True).to_numpy()
    dense = np.full(len(ids), -1, dtype=np.int64)
    dense[left] = np.arange(len(left))
    return dense[codes], ids.gather(left)


def _times(rows: pl.DataFrame, name: str) -> tuple[IntArray | None, npt.NDArray[np.int32] | None]:
    """Unix seconds, and nanoseconds within the second where there are any."""
    if "time" not in rows.columns or rows["time"].null_count() == rows.height:
        return None, None
    latest = rows["time"].max()
    if isinstance(latest, int) and latest > _YEAR_3000:
        raise UsageError(
            f"{name} has the time {latest}, which is after the year 3000: times must be unix seconds. "
            "Divide milliseconds by 1000."
        )
    times: IntArray = rows["time"].fill_null(NO_TIME).to_numpy()
    return times, rows["nanos"].to_numpy() if "nanos" in rows.columns else None


def _ratings(rows: pl.DataFrame, row: IntArray, name: str) -> npt.NDArray[np.float32] | None:
    if "rating" not in rows.columns:
        return None
    with np.errstate(over="ignore"):
        ratings: npt.NDArray[np.float32] = rows["rating"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    endless = np.flatnonzero(np.isinf(ratings))
    if len(endless):
        who, what = rows["user"][int(endless[0])], rows["item"][int(endless[0])]
        raise UsageError(f"{name}: the rating of item {what} by user {who} is too large to be a rating, or infinite.")
    return ratings[row]


def _ranks(times: IntArray | None, nanos: npt.NDArray[np.int32] | None) -> IntArray | None:
    return times if times is None or nanos is None else ranks(times, nanos)


def _order(rows: pl.DataFrame, user: IntArray, times: IntArray | None, name: str) -> IntArray:
    """File rows, users together in order of first appearance, each user's in the order of spec 1.1."""
    if "position" in rows.columns:
        key = rows["position"].to_numpy()
    elif times is not None:
        key = _filled(times, user)
    else:
        key = np.zeros(len(user), dtype=np.int64)
    step_user, step_key = np.diff(user), np.diff(key)
    if bool(np.all((step_user > 0) | ((step_user == 0) & (step_key >= 0)))):
        row = np.arange(len(user))
    else:
        row = np.lexsort((key, user))
    if "position" in rows.columns:
        again = np.flatnonzero((np.diff(user[row]) == 0) & (np.diff(key[row]) == 0))
        if len(again):
            who, where = rows["user"][int(row[again[0]])], int(key[row[again[0]]])
            raise UsageError(f"{name}: user {who} has two rows with position {where}, so their order is unknown.")
    return row


def _filled(times: IntArray, user: IntArray) -> IntArray:
    """Sort keys: a missing time takes that of the user's row before it in the file, or of the first timed row after."""
    missing = times == NO_TIME
    if not missing.any():
        return times
    by_user = np.argsort(user, kind="stable")
    table = pl.DataFrame(
        {"user": user[by_user], "time": pl.Series(times[by_user]).set(pl.Series(missing[by_user]), None)}
    )
    filled = table.select(pl.col("time").forward_fill().backward_fill().over("user").fill_null(0))["time"].to_numpy()
    key = np.empty_like(times)
    key[by_user] = filled
    return key


def _first_events(row: IntArray, user: IntArray, item: IntArray) -> IntArray:
    """Rows without the later events of a (user, item) met before."""
    pair = user[row] * (int(item.max()) + 1) + item[row]
    first: npt.NDArray[np.bool_] = pl.Series(pair).is_first_distinct().to_numpy()
    return row[first]


def _k_core(row: IntArray, user: IntArray, item: IntArray, k: int) -> tuple[IntArray, int]:
    """Rows whose user and item both have at least k of the rows, iterated until stable, and the rounds it took."""
    rounds = 0
    while True:
        users, items = np.bincount(user[row]), np.bincount(item[row])
        keep = (users[user[row]] >= k) & (items[item[row]] >= k)
        if keep.all():
            return row, rounds
        row, rounds = row[keep], rounds + 1
