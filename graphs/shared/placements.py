"""In which orders a ranker's options are shown, so that its position bias can be measured (spec 1.5).

As in CoT-Rec's code, the target changes places with whatever stands at each place in turn, and the others keep theirs
(`swap`). Rotations (`rotate`) need not know the target: every candidate stands at each place once, the others following
in the same circular order. `both` asks about both, the order they have in common only once.

Who asks for swaps has to look at the target. That is done where inputs are made, before any state exists: a state holds
orders of the same candidates, and each prompt shows one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from whyrec.errors import UsageError

Placing: TypeAlias = Literal["rotate", "swap", "both"]
Order: TypeAlias = tuple[int, ...]


def check(placements: int, candidates: int, placing: Placing) -> None:
    """Refuse numbers of placements that are neither one nor all.

    Raises:
        UsageError: says which there are.
    """
    if placements not in (1, candidates):
        raise UsageError(
            f"Option placements is 1 or all {candidates} rotations of the candidates (with placing=swap, all places of "
            f"the target), not {placements}."
        )
    if placements == 1 and placing != "rotate":
        raise UsageError(f"Option placing={placing} measures position bias: add placements={candidates}.")


def rotations(first: Sequence[int], placements: int, placing: Placing) -> tuple[Order, ...]:
    """The first order and, unless only swaps are wanted, its rotations: number r begins r places later."""
    turns = 1 if placing == "swap" else placements
    return tuple((*first[r:], *first[:r]) for r in range(turns))


def swaps(first: Sequence[int], target: int, placing: Placing) -> tuple[Order, ...]:
    """The first order with the target and what stands at place j exchanged, for each j; () where none are wanted.

    Nothing either where the target is not among them.
    """
    if placing == "rotate" or target not in first:
        return ()
    at, found = list(first).index(target), []
    for place in range(len(first)):
        order = list(first)
        order[place], order[at] = order[at], order[place]
        found.append(tuple(order))
    return tuple(found)


def calls(placements: int, candidates: int, placing: Placing) -> int:
    """How often one example is asked about at most."""
    if placements == 1:
        return 1
    return placements + candidates - 1 if placing == "both" else placements


def rank_of(probabilities: Sequence[float], at: int) -> float:
    """The place (from 1) of the option shown at `at`, equals in the middle."""
    ours = probabilities[at]
    better, equal = sum(p > ours for p in probabilities), sum(p == ours for p in probabilities) - 1
    return better + equal / 2 + 1


def places_rotated(probabilities: Sequence[Sequence[float]], first: int) -> list[float]:
    """The target's rank when it stood at each place, from all rotations.

    Args:
        probabilities: of the letters, per rotation.
        first: where the target stood in the first order, from 0.
    """
    n = len(probabilities)
    found = {(first - turn) % n: rank_of(told, (first - turn) % n) for turn, told in enumerate(probabilities)}
    return [found[at] for at in range(n)]


def places_swapped(probabilities: Sequence[Sequence[float]]) -> list[float]:
    """The target's rank when it was put at each place; `probabilities` are those of the letters, by the place."""
    return [rank_of(told, at) for at, told in enumerate(probabilities)]


def told(readings: Sequence[Any], orders: int) -> dict[str, Any]:
    """What a result keeps of readings of so many orders and, after them, of the target's places.

    `probabilities` are those of the letters per rotation, the first order first; `swapped` per place of the target;
    `way` is how they were read, all of them alike, or several joined by "+".
    """
    rows = [list(reading.probabilities.values()) for reading in readings]
    kept: dict[str, Any] = {
        "probabilities": rows[:orders],
        "way": "+".join(sorted({str(reading.way) for reading in readings})),
    }
    return kept | ({"swapped": rows[orders:]} if len(rows) > orders else {})
