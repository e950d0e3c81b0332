"""Click prediction: one row per rating, asked in the order of time, and nothing later than the row to be seen.

A row is an event of a user with at least five earlier ones; its label says whether the rating was above a threshold
(RALLRec+ 5.1; spec 1.2, 5.d). Two protocols:

    timeline   every such event, ordered by (time, user, the user's own order), first 80 % train, next 10 % valid, rest
               test. The user's earlier ratings are the row's history, those of earlier test rows too (prequential).
    shuffled   for data without any time (BookCrossing): a user's ratings in random order, the last one is the user's
               only row; users in random order, last 10 % test, and the last 10 % of the others valid.

Rows are columns (numpy), a record is made when one is asked for. `CtrView` hands out histories and labels up to a
split's end and refuses everything later, as `SplitView` does for next items. What is asked about (the row's item) is
no secret here; whether it was liked is.

Unusual: the published code sorts equal times by item id, which can put a user's later rating before an earlier one;
here the user's own order decides (spec 1.1), so a few rows at a split's border may differ, their number never does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from whyrec.data.corpus import NO_TIME, Corpus, IntArray
from whyrec.errors import LeakageError, UsageError
from whyrec.records import Event, Item, Split

Protocol: TypeAlias = Literal["timeline", "shuffled"]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

MIN_HISTORY: Final = 5
SHUFFLE_SEED: Final = 42
_SHUFFLED: Final = ("bookcrossing",)  # formats without any time
_LIKED_ABOVE: Final[Mapping[str, float]] = {"bookcrossing": 4.0}  # ratings from 1 to 10; the notebooks say >= 5
_STARS: Final = 3.0
_ORDER: Final[tuple[Split, ...]] = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Row:
    """One question: would this user like this item?

    Attributes:
        key: "test/row-123", unique in the data set.
        index: the row's number, from 0 in the order of the protocol.
        user, user_index: whose row it is.
        split: where the row lies.
        history: the user's earlier events, oldest first, with ratings.
        item: what is asked about.
    """

    key: str
    index: int
    user: str
    user_index: int
    split: Split
    history: tuple[Event, ...]
    item: Item


@dataclass(frozen=True, eq=False)
class CtrRows:
    """All rows of a data set in the order they are asked.

    Attributes:
        corpus: the data; for "shuffled", with every user's events in the order drawn.
        protocol: how rows were made.
        above: a rating above this is a click.
        events: int64[R], the place of each row's event in the corpus' columns.
        users: int64[R], whose row it is.
        bounds: rows before bounds[0] are train, before bounds[1] valid, the rest test.
    """

    corpus: Corpus
    protocol: Protocol
    above: float
    events: IntArray
    users: IntArray
    bounds: tuple[int, int]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.events)

    @property
    def has_time(self) -> bool:
        """Whether "recent" means anything."""
        return self.protocol == "timeline"

    @cached_property
    def digest(self) -> str:
        """Digest of data and protocol, 16 hex digits."""
        said = f"{self.corpus.digest} {self.protocol} {self.above} {len(self)} {self.bounds}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @cached_property
    def items(self) -> npt.NDArray[np.int32]:
        """Item index of each row."""
        found: npt.NDArray[np.int32] = self.corpus.items[self.events]
        return found

    def span(self, split: Split) -> tuple[int, int]:
        """(first row, row after the last) of a split."""
        edges = (0, *self.bounds, len(self))
        at = _ORDER.index(split)
        return edges[at], edges[at + 1]

    def split_of(self, row: int) -> Split:
        """The split a row lies in."""
        return _ORDER[int(np.searchsorted(self.bounds, row, side="right"))]

    def training_likes(self, *, without: IntArray | None = None) -> tuple[IntArray, IntArray]:
        """(users, items) of the liked events that parameters may be fitted on.

        On a timeline the train rows with label 1. Shuffled, where a user has one row, also the liked events of the
        train rows' histories; users of valid and test rows are not among them.

        Args:
            without: rows whose own events are left out, for parameters that these rows will be described by.
        """
        stop = self.bounds[0]
        if self.protocol == "timeline":
            events, users = self.events[:stop], self.users[:stop]
        else:
            users_mask = np.zeros(self.corpus.n_users, dtype=bool)
            users_mask[self.users[:stop]] = True
            owner = np.repeat(np.arange(self.corpus.n_users), self.corpus.lengths)
            events = np.flatnonzero(users_mask[owner])
            users = owner[events]
        liked = self._liked(events)
        if without is not None:
            liked &= ~np.isin(events, self.events[without])
        return users[liked], self.corpus.items[events[liked]].astype(np.int64)

    def _liked(self, events: IntArray) -> BoolArray:
        assert self.corpus.ratings is not None
        found: BoolArray = self.corpus.ratings[events] > self.above
        return found


def ctr_rows(
    corpus: Corpus, *, protocol: Protocol | None = None, above: float | None = None, min_history: int = MIN_HISTORY
) -> CtrRows:
    """The rows of a data set.

    Args:
        corpus: with ratings; of rows without a rating none is made.
        protocol: "timeline" or "shuffled"; by default shuffled for BookCrossing, timeline for all others (without
            times, the place in the user's history stands for time).
        above: a rating above this is a click; by default 3 (4 for Book-Crossing, whose ratings go up to 10).
        min_history: earlier events a row needs.

    Raises:
        UsageError: the data have no ratings, or no user has enough events.
    """
    if corpus.ratings is None:
        raise UsageError(
            f"{corpus.name} has no ratings, so nothing says whether an item was liked. Click prediction needs ratings, "
            "as ml-1m, ml-100k, book-crossing or world have."
        )
    source = str(corpus.notes.get("format", ""))
    chosen: Protocol = protocol or ("shuffled" if source in _SHUFFLED else "timeline")
    made = _timeline if chosen == "timeline" else _shuffled
    rows = made(corpus, _LIKED_ABOVE.get(source, _STARS) if above is None else above, min_history)
    if not len(rows):
        raise UsageError(
            f"No user of {corpus.name} has a rating after {min_history} earlier ones, so it has no rows for click "
            "prediction."
        )
    _check_border(rows)
    return rows


def _check_border(rows: CtrRows) -> None:
    """Refuse a border between liked and not liked that no rating lies above.

    Raises:
        UsageError: so it is; says where they lie and which option moves the border.
    """
    assert rows.corpus.ratings is not None
    ratings = rows.corpus.ratings[rows.events]
    if (ratings > rows.above).any():
        return
    lowest, highest = float(ratings.min()), float(ratings.max())
    raise UsageError(
        f"{rows.corpus.name} has ratings from {lowest:g} to {highest:g}, and a click is a rating above {rows.above:g}: "
        "nothing would be liked. Say where likes begin with the option liked_above, as in "
        f"-o liked_above={(lowest + highest) / 2 if lowest < highest else lowest - 1:g}."
    )


def _timeline(corpus: Corpus, above: float, min_history: int) -> CtrRows:
    owner = np.repeat(np.arange(corpus.n_users), corpus.lengths)
    place = np.arange(corpus.n_interactions) - np.repeat(corpus.offsets[:-1], corpus.lengths)
    assert corpus.ratings is not None
    events = np.flatnonzero((place >= min_history) & ~np.isnan(corpus.ratings))
    when = place if corpus.moments is None else _moments(corpus.moments, owner, corpus)
    events = events[np.lexsort((events, owner[events], when[events]))]
    train, valid = int(0.8 * len(events)), int(0.1 * len(events))
    return CtrRows(corpus, "timeline", above, events, owner[events], (train, train + valid))


def _moments(times: IntArray, owner: IntArray, corpus: Corpus) -> IntArray:
    """A moment per event that never runs against the user's own order: the latest time so far (int64 ranks).

    An event without a time happens with the one before it; a leading one, with the user's first known time.
    """
    ranks = np.unique(times, return_inverse=True)[1].astype(np.int64)
    known = np.where(times == NO_TIME, len(times), ranks)
    filled = corpus.lengths > 0
    first = np.zeros(corpus.n_users, dtype=np.int64)
    first[filled] = np.minimum.reduceat(known, corpus.offsets[:-1][filled]) if len(times) else 0
    first[first == len(times)] = 0
    ranks = np.maximum(np.where(times == NO_TIME, 0, ranks), first[owner])
    step = len(times) + 1
    moments: IntArray = np.maximum.accumulate(ranks + owner * step) - owner * step
    return moments


def _shuffled(corpus: Corpus, above: float, min_history: int) -> CtrRows:
    rng = np.random.default_rng(SHUFFLE_SEED)
    owner = np.repeat(np.arange(corpus.n_users), corpus.lengths)
    order = np.lexsort((rng.random(corpus.n_interactions), owner))
    shuffled = replace(
        corpus,
        items=corpus.items[order],
        ratings=None if corpus.ratings is None else corpus.ratings[order],
        times=None if corpus.times is None else corpus.times[order],
        nanos=None if corpus.nanos is None else corpus.nanos[order],
        reviews=None if corpus.reviews is None else corpus.reviews.gather(order),
    )
    assert shuffled.ratings is not None
    last = corpus.offsets[1:] - 1
    users = np.flatnonzero(corpus.lengths > min_history)
    users = users[~np.isnan(shuffled.ratings[last[users]])]
    users = rng.permutation(users)
    seen = int(0.9 * len(users))
    return CtrRows(shuffled, "shuffled", above, last[users], users, (seen - seen // 10, seen))


class CtrView:
    """Rows seen from a split: histories and labels of its own and of earlier splits, nothing of later ones.

    Args:
        rows: the rows.
        split: "train", "valid" or "test".
    """

    def __init__(self, rows: CtrRows, split: Split) -> None:
        self.data, self.split = rows, split
        self.corpus = rows.corpus
        self._first, self._stop = rows.span(split)

    @cached_property
    def rows(self) -> IntArray:
        """Numbers of this split's rows, ascending."""
        return np.arange(self._first, self._stop, dtype=np.int64)

    def key(self, row: int) -> str:
        """Key of a row: "test/row-123"."""
        return f"{self.data.split_of(row)}/row-{row}"

    def item(self, row: int) -> int:
        """Index of the item asked about."""
        return int(self.corpus.items[self._event(row)])

    def user(self, row: int) -> int:
        """Dense index of the row's user."""
        self._event(row)
        return int(self.data.users[row])

    def span(self, row: int) -> tuple[int, int]:
        """Where in the corpus' columns the row's history lies: the user's events before it."""
        event = self._event(row)
        return int(self.corpus.offsets[self.data.users[row]]), event

    def history(self, row: int) -> npt.NDArray[np.int32]:
        """Items of the row's history, oldest first (a view, do not write)."""
        start, stop = self.span(row)
        return self.corpus.items[start:stop]

    def ratings(self, row: int) -> npt.NDArray[np.float32]:
        """Ratings of the row's history, NaN where missing."""
        start, stop = self.span(row)
        assert self.corpus.ratings is not None
        return self.corpus.ratings[start:stop]

    def clicked(self, rows: IntArray) -> BoolArray:
        """Labels of rows of this split or earlier ones. For training on train rows and for evaluation, never a prompt.

        Raises:
            LeakageError: one of the rows lies in a later split.
        """
        for row in (rows.min(), rows.max()) if len(rows) else ():
            self._event(int(row))
        return self.data._liked(self.data.events[rows])

    def example(self, row: int) -> Row:
        """The row as a record, without its label."""
        start, stop = self.span(row)
        return Row(
            key=self.key(row),
            index=row,
            user=str(self.corpus.user_ids[self.user(row)]),
            user_index=self.user(row),
            split=self.data.split_of(row),
            history=self.events(np.arange(start, stop)),
            item=self.corpus.item(self.item(row)),
        )

    def events(self, places: IntArray) -> tuple[Event, ...]:
        """Records of events that stand at these places of the corpus' columns (see `span`)."""
        c = self.corpus
        assert c.ratings is not None
        return tuple(
            Event(c.item(int(c.items[p])), None if np.isnan(c.ratings[p]) else float(c.ratings[p]), _time(c, int(p)))
            for p in places
        )

    def prefix_digest(self, row: int) -> str:
        """Digest of exactly the history (items and ratings) of a row."""
        h = hashlib.sha256(self.history(row).tobytes())
        h.update(self.ratings(row).tobytes())
        return h.hexdigest()[:16]

    def _event(self, row: int) -> int:
        if not 0 <= row < len(self.data):
            raise IndexError(f"Row {row} is outside 0..{len(self.data) - 1} of {self.corpus.name}.")
        if row >= self._stop:
            raise LeakageError(
                f"A {self.split} view of the rows of {self.corpus.name} was asked for row {row}, which is a "
                f"{self.data.split_of(row)} row. Open CtrView(rows, {self.data.split_of(row)!r}) where it may be known."
            )
        return int(self.data.events[row])


def _time(corpus: Corpus, place: int) -> int | None:
    if corpus.times is None or corpus.times[place] == NO_TIME:
        return None
    return int(corpus.times[place])
