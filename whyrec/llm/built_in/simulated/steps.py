"""Paths of reasoning as the simulated model writes them: names of steps, and nothing behind the names.

A path of its own is drawn from a list of names; a template is what paths that are shown have in common. Whatever a
step is called, and whether there are steps at all, an answer reads its prompt in one and the same way
(whyrec/llm/built_in/simulated/reading.py).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final

_NAMES: Final = (
    "Behaviour summary",
    "User profile summary",
    "User interest extraction",
    "Interest pattern recognition",
    "Purchase habit analysis",
    "Preference trend analysis",
    "Recent interest shift detection",
    "Key feature extraction",
    "Brand and attribute matching",
    "Item tag prediction",
)
_LAST: Final = "Item recommendation"


def own_path(rng: random.Random) -> tuple[str, ...]:
    """One to five of the names, drawn by lot, then the recommendation."""
    return (*rng.sample(_NAMES, rng.randint(1, 5)), _LAST)


def shared(paths: Sequence[str]) -> tuple[str, ...]:
    """The steps that paths ("a → b → c") share: the most frequent, as many as a middling path has, in their order.

    Args:
        paths: at least one.
    """
    taken = [tuple(step.strip() for step in path.split("→") if step.strip()) for path in paths]
    counts = Counter(step for path in taken for step in dict.fromkeys(path))
    places: dict[str, list[float]] = {}
    for path in taken:
        for place, step in enumerate(path, 1):
            places.setdefault(step, []).append(place / len(path))
    most = sorted(map(len, taken))[len(taken) // 2]
    chosen = [step for step, _ in counts.most_common(max(2, most))]
    return tuple(sorted(chosen, key=lambda step: sum(places[step]) / len(places[step])))
