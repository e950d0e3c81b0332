"""How the people of `world` choose: numbers only, drawn in blocks of users so that millions fit.

Every user drifts from one topic to another; an event follows the taste of that moment, or the last item's topic, or
continues the last item (a sequel), or is whatever is popular. Draws of block b come from a generator keyed by
(seed, b) and are laid out user by user, so a user's events do not depend on how many users there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from whyrec.data.corpus import NO_TIME
from whyrec.data.generated.world_text import TOPICS, Untidiness

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

N_TOPICS: Final = len(TOPICS)
BLOCK: Final = 2048
SHORTEST, LONGEST = 5, 50
TRIES: Final = 6  # draws per event before the walk to the next unseen item
SEQUELS: Final = 2
_DRAWS: Final = 5 + TRIES + 9  # uniform numbers per event: for the choice, the rating, the day and the review
DAY: Final = 86_400
FIRST_DAY: Final = 16_000  # days since 1970: October 2013


@dataclass(frozen=True, slots=True)
class Setting:
    """How hard a world is. Frozen: a change of any number changes the pinned digests.

    Attributes:
        whim: share of events that follow popularity alone.
        follow: share of the others that follow the last item's topic instead of the taste.
        sequel: share of events that continue the last item.
        focus: weight of the first topic in an item's mixture (the rest goes to a second topic and a little to all).
        sharp: exponent of an item's topic weight when a topic looks for an item.
        skew: exponent of the popularity law.
        untidy: the catalogue's text.
    """

    whim: float
    follow: float
    sequel: float
    focus: float
    sharp: float
    skew: float
    untidy: Untidiness


SETTINGS: Final[dict[str, Setting]] = {
    "easy": Setting(0.15, 0.10, 0.10, 0.95, 4.0, 0.65, Untidiness(0.0, 0.04)),
    "default": Setting(0.30, 0.10, 0.12, 0.90, 4.0, 0.65, Untidiness(0.15, 0.10)),
    "hard": Setting(0.40, 0.12, 0.15, 0.80, 4.0, 0.60, Untidiness(0.35, 0.25)),
}


@dataclass(frozen=True, slots=True)
class Shop:
    """The items' side of the truth.

    Attributes:
        topics: [I, T] mixtures, rows sum to 1.
        popularity: [I], sums to 1.
        brand_of: [I] which brand of its first topic.
        sequels: [I, SEQUELS] what continues it (0-based).
        reach: [T + 1, I] chance of each item when a topic asks; row T is popularity.
    """

    topics: Floats
    popularity: Floats
    brand_of: Ints
    sequels: Ints
    reach: Floats


def stock(setting: Setting, items: int, rng: np.random.Generator) -> Shop:
    """Draw the items."""
    u = rng.random((items, 6 + SEQUELS))
    first = (u[:, 0] * N_TOPICS).astype(np.int64)
    second = (first + 1 + (u[:, 1] * (N_TOPICS - 1)).astype(np.int64)) % N_TOPICS
    lead = setting.focus * (0.75 + 0.25 * u[:, 2])
    topics = np.full((items, N_TOPICS), 0.05 / N_TOPICS)
    topics[np.arange(items), first] += 0.95 * lead
    topics[np.arange(items), second] += 0.95 * (1 - lead)
    popularity = (np.argsort(np.argsort(u[:, 3], kind="stable")) + 10.0) ** -setting.skew
    shares: Floats = (popularity / popularity.sum()).astype(np.float64)
    reach = np.vstack([(shares[:, None] * topics**setting.sharp).T, shares])
    reach /= reach.sum(axis=1, keepdims=True)
    order = np.argsort(first, kind="stable")  # sequels: the next ones of the same first topic, in a ring
    place = np.empty(items, np.int64)
    place[order] = np.arange(items)
    step = 1 + (u[:, 6:] * 4).astype(np.int64)
    sequels = order[(place[:, None] + step) % items]
    return Shop(topics, shares, (u[:, 4] * 64).astype(np.int64), sequels, reach)


@dataclass(frozen=True, slots=True)
class Crowd:
    """A block of users and what they did.

    Attributes:
        old, new: [n] topic each user comes from and goes to.
        turn: [n] event number around which the taste turns; below 0 for those who turned before their first event.
        lengths: [n] events.
        items, times: [sum(lengths)] 1-based items and unix seconds, user by user in time order.
        ratings: [sum(lengths)] stars.
        draws: [sum(lengths), 8] uniform numbers for the reviews' words.
    """

    old: npt.NDArray[np.int8]
    new: npt.NDArray[np.int8]
    turn: npt.NDArray[np.float32]
    lengths: Ints
    items: npt.NDArray[np.int32]
    times: Ints
    ratings: npt.NDArray[np.float32]
    draws: Floats


def tastes(old: Ints, new: Ints, turn: Floats, event: Floats) -> Floats:
    """Taste [n, T] that governs event number `event` (0-based).

    `new` grows from 15 % to 85 % around event `turn`, `old` shrinks as it does; 4 % are for all topics.
    """
    share = 0.15 + 0.7 / (1.0 + np.exp(-(event - turn) / 1.5))
    taste = np.full((len(old), N_TOPICS), 0.04 / N_TOPICS)
    rows = np.arange(len(old))
    taste[rows, old] += 0.96 * (1 - share)
    taste[rows, new] += 0.96 * share
    return taste


def crowds(shop: Shop, setting: Setting, users: int, seed: int) -> Iterator[Crowd]:
    """The users, a block at a time."""
    for block, start in enumerate(range(0, users, BLOCK)):
        n = min(BLOCK, users - start)
        # Rows are filled one after the other, so what one user draws does not depend on the users after them.
        people = source(seed, 7, block).random((n, 4))
        longest = min(LONGEST, max(SHORTEST, len(shop.topics) // 2))
        yield _crowd(shop, setting, people, source(seed, 8, block).random((n, longest, _DRAWS)))


def source(*key: int) -> np.random.Generator:
    """A generator of its own for each key."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _crowd(shop: Shop, setting: Setting, people: Floats, u: Floats) -> Crowd:
    """One block: who they are, then all first events, all second events, and so on."""
    n, longest = u.shape[:2]
    old = (people[:, 0] * N_TOPICS).astype(np.int64)
    new = (old + 1 + (people[:, 1] * (N_TOPICS - 1)).astype(np.int64)) % N_TOPICS
    lengths = np.minimum(longest, SHORTEST + (-np.log1p(-people[:, 2]) * 4.0).astype(np.int64))
    turn = (people[:, 3] - 0.3) * lengths
    items = np.zeros((n, longest), np.int64)
    stars = np.zeros((n, longest), np.float32)
    days = np.zeros((n, longest), np.int64)
    ladder = np.cumsum(shop.reach, axis=1)
    ladder /= ladder[:, -1:]
    flat = (ladder + np.arange(N_TOPICS + 1)[:, None]).ravel()
    for t in range(longest):
        here = np.flatnonzero(lengths > t)
        if not len(here):
            break
        taste = tastes(old[here], new[here], turn[here], np.full(len(here), float(t)))
        draws = u[here, t]
        items[here, t] = _choose(shop, setting, taste, items[here, :t], draws, flat)
        match = (taste * shop.topics[items[here, t]]).sum(axis=1) / np.sqrt((taste**2).sum(axis=1))
        noise = draws[:, 1] + draws[:, 2] + draws[:, 3] - 1.5
        stars[here, t] = np.clip(np.rint(2.4 + 3.4 * match + 1.2 * noise), 1, 5)
        gap = np.where(draws[:, 4] < 0.3, 0, 1 + (draws[:, 4] * 40).astype(np.int64))
        days[here, t] = gap * (t > 0) + (days[here, t - 1] if t else FIRST_DAY + (draws[:, 3] * 700).astype(np.int64))
    real = np.arange(longest)[None, :] < lengths[:, None]
    return Crowd(
        old=old.astype(np.int8),
        new=new.astype(np.int8),
        turn=turn.astype(np.float32),
        lengths=lengths,
        items=(items[real] + 1).astype(np.int32),
        times=np.where(u[:, :, 11][real] < 0.005, NO_TIME, days[real] * DAY),
        ratings=stars[real],
        draws=u[:, :, -8:][real],
    )


def _choose(shop: Shop, setting: Setting, taste: Floats, seen: Ints, draws: Floats, flat: Floats) -> Ints:
    """The next item (0-based) of each row: the first of several draws that is not in `seen`."""
    n, n_items = len(taste), shop.topics.shape[0]
    wish = taste
    if seen.shape[1]:
        wish = (1 - setting.follow) * taste + setting.follow * shop.topics[seen[:, -1]]
    ladder = wish.cumsum(axis=1)
    topic = (draws[:, 0, None] * ladder[:, -1:] >= ladder[:, :-1]).sum(axis=1)
    topic = np.where(draws[:, 1] < setting.whim, N_TOPICS, topic)
    found = np.searchsorted(flat, topic[:, None] + draws[:, 5 : 5 + TRIES], side="right") - (topic * n_items)[:, None]
    found = np.clip(found, 0, n_items - 1)
    if seen.shape[1]:
        goes_on = draws[:, 2] < setting.sequel
        which = (draws[:, 2] / setting.sequel * SEQUELS).astype(np.int64) % SEQUELS
        found[goes_on, 0] = shop.sequels[seen[goes_on, -1], which[goes_on]]
    fresh = ~(found[:, :, None] == seen[:, None, :]).any(axis=2)
    chosen: Ints = found[np.arange(n), fresh.argmax(axis=1)]
    for row in np.flatnonzero(~fresh.any(axis=1)):
        walk = (found[row, -1] + np.arange(1, seen.shape[1] + 2)) % n_items
        chosen[row] = walk[~np.isin(walk, seen[row])][0]
    return chosen
