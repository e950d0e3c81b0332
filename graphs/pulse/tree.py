"""A tree of reasons, and the rules that pick one of its leaves. Pure functions; no model is asked here.

Thoughts are kept in one tuple: the base reason is number 0, then level by level, each with the number of its parent.
The leaves that say nothing new (cosine above .95 with an earlier one) are left out, the rest are the candidates of
*every* rule, so rules differ in nothing but the rule (PULSE 5.5, ablation A).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whyrec.embed import Vectors
from whyrec.errors import UnknownNameError, UsageError

SPACE, EMBEDDING, LIKELIHOOD, RANDOM, LONGEST, BASE = "space", "embedding", "likelihood", "random", "longest", "base"
SELECTORS = (SPACE, EMBEDDING, LIKELIHOOD, RANDOM, LONGEST, BASE)
JUDGED = "judged"  # by the model that pruned the tree, so only where it is pruned
SAME = 0.95
_DEEPEST, _WIDEST, _MOST = 5, 20, 200


@dataclass(frozen=True)
class Thought:
    """One reason of a tree: `depth` 0 is the base reason, `parent` the number of the thought it refines (-1 for it)."""

    text: str
    depth: int = 0
    parent: int = -1


def read_widths(text: str) -> tuple[int, ...]:
    """Children per thought, level by level, from "3,3"; "" for no tree.

    Raises:
        UsageError: not whole numbers from 1, or a tree too large.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdigit() and 0 < int(part) <= _WIDEST for part in parts) or len(parts) > _DEEPEST:
        raise UsageError(
            f"Option widths is a list of at most {_DEEPEST} numbers from 1 to {_WIDEST}, one per level, such as 3,3; "
            f"not {text!r}."
        )
    widths = tuple(int(part) for part in parts)
    if math.prod(widths) > _MOST:
        raise UsageError(f"Widths {text} make {math.prod(widths)} leaves, but at most {_MOST} are grown.")
    return widths


def read_selectors(text: str) -> tuple[str, ...]:
    """Rules from "space,random".

    Raises:
        UnknownNameError: there is no such rule.
        UsageError: none is named.
    """
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in found:
        if name not in (*SELECTORS, JUDGED):
            raise UnknownNameError("selector", name, (*SELECTORS, JUDGED))
    if not found:
        raise UsageError(f"Option selectors names at least one of {', '.join((*SELECTORS, JUDGED))}.")
    return found


def level(thoughts: Sequence[Thought], depth: int) -> tuple[int, ...]:
    """Numbers of the thoughts of a depth."""
    return tuple(n for n, thought in enumerate(thoughts) if thought.depth == depth)


def distinct(numbers: Sequence[int], thoughts: Sequence[Thought], vectors: Vectors) -> tuple[int, ...]:
    """The thoughts that differ from all earlier ones kept.

    Args:
        numbers: of the thoughts.
        thoughts: of the tree.
        vectors: unit rows, one per number; zero rows are compared as texts.
    """
    kept: list[int] = []
    for place, number in enumerate(numbers):
        text = thoughts[number].text
        same = any(thoughts[numbers[k]].text == text or float(vectors[k] @ vectors[place]) > SAME for k in kept)
        if not same:
            kept.append(place)
    return tuple(numbers[place] for place in kept)


def pick(name: str, pool: Sequence[int], scores: Sequence[float], *, key: str, seed: int) -> int:
    """The number of the thought that a rule chooses.

    Args:
        name: of the rule.
        pool: candidates.
        scores: one per candidate; the first of the best wins. Not looked at by "random" and "base".
        key: of the example, for the random rule.
        seed: of the random rule.
    """
    if name == BASE:
        return 0
    if name == RANDOM:
        draw = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
        return pool[int.from_bytes(draw, "big") % len(pool)]
    return pool[max(range(len(pool)), key=lambda i: (scores[i], -i))]


def lengths(pool: Sequence[int], thoughts: Sequence[Thought]) -> list[float]:
    """Words of each candidate."""
    return [float(len(thoughts[number].text.split())) for number in pool]


def chosen_text(payload: Mapping[str, object], selector: str) -> str | None:
    """The reason a rule chose in a stored result of pulse.refine; None where the rule could not choose."""
    chosen = payload["chosen"]
    thoughts = payload["thoughts"]
    assert isinstance(chosen, Mapping) and isinstance(thoughts, Sequence)
    number = chosen.get(selector)
    return None if number is None else str(thoughts[int(number)]["text"])
