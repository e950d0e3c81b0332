"""Some of many users or questions: the first ones, or a draw that is the same every time.

The first users of a file are seldom like the rest: on Beauty the first 500 have 12.7 events of history, all have 7.9.
`Drawn(n)` takes n at random instead, always the same ones: more hold fewer, every split draws the same people, and
what is drawn of the first thousand does not change when more come after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

_SEED = 20_260
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Drawn:
    """So many, drawn."""

    n: int

    def __str__(self) -> str:
        return f"{self.n} drawn"


HowMany: TypeAlias = int | Drawn | None  # the first so many, so many drawn, or all


def how_many(n: int | None, *, drawn: bool) -> HowMany:
    """The first n or n drawn; None is all either way."""
    return Drawn(n) if drawn and n is not None else n


def some(among: npt.NDArray[np.int64], wanted: HowMany) -> npt.NDArray[np.int64]:
    """Those of `among` (indices, ascending) that are meant, ascending."""
    return np.sort(in_turn(among, wanted))


def in_turn(among: npt.NDArray[np.int64], wanted: HowMany) -> npt.NDArray[np.int64]:
    """The same in the order in which they are taken, in which nobody's place depends on how many are taken."""
    if not isinstance(wanted, Drawn) or not len(among):
        return among[: at_most(wanted)]
    # the i-th number of the stream belongs to index i, however many there are
    places = np.random.default_rng(_SEED).random(int(among[-1]) + 1)[among]
    return among[np.argsort(places, kind="stable")[: wanted.n]]


def only(told: Sequence[T], among: npt.NDArray[np.int64], wanted: HowMany) -> list[T]:
    """Of one thing per index of `among`, those of the indices that are meant; nothing stays nothing."""
    return [told[i] for i in np.searchsorted(among, some(among, wanted))] if told else []


def at_most(wanted: HowMany) -> int | None:
    """How many at most; None for all."""
    return wanted.n if isinstance(wanted, Drawn) else wanted


def named(wanted: HowMany) -> int | str | None:
    """The same for JSON: 500, "500 drawn" or None."""
    return str(wanted) if isinstance(wanted, Drawn) else wanted


def in_words(wanted: HowMany, what: str) -> str:
    """ "all users", "the first 500 users", "500 users drawn at random (always the same)"."""
    if wanted is None:
        return f"all {what}"
    if isinstance(wanted, Drawn):
        return f"{wanted.n:,} {what} drawn at random (always the same)"
    return f"the first {wanted:,} {what}"
