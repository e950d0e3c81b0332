"""Reasoning in steps, as the simulated model does it: its words tell what a step is for, and that decides what is read.

Three kinds. A step that looks at *change* ("preference trend analysis") reads the taste of the moment; without one a
chain sees the surface of a history, the mean of its items. A step that looks at *features* makes what is recommended
specific. Any other step costs words and finds nothing. Paths of the model's own take each of the two useful kinds half
of the time, so that there is something to be mined; a template made from paths keeps the kinds most of them have.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

from whyrec.llm.built_in.blocks import tokens

Kind = Literal["change", "features", "last", "summary"]

_LAST = "recommendation recommendations recommend recommending targeted"
_CHANGE = (
    "trend trends shift shifts recent latest evolution evolving change changes drift current progression temporal "
    "dynamic dynamics emerging"
)
_FEATURES = (
    "feature features attribute attributes tag tags brand brands category categories function functions functional "
    "specification need needs requirement requirements"
)
_WORDS: Final[dict[Kind, frozenset[str]]] = {
    "last": frozenset(tokens(_LAST)),
    "change": frozenset(tokens(_CHANGE)),
    "features": frozenset(tokens(_FEATURES)),
}
_PHRASES: Final[dict[Kind, tuple[str, ...]]] = {
    "summary": (
        "Behaviour summary",
        "User profile summary",
        "User interest extraction",
        "Interest pattern recognition",
        "Purchase habit analysis",
    ),
    "change": ("Preference trend analysis", "Recent interest shift detection", "Latest taste identification"),
    "features": ("Key feature extraction", "Brand and attribute matching", "Item tag prediction"),
    "last": ("Item recommendation",),
}
_NAMED: Final[tuple[Kind, ...]] = get_args(Kind)[:3]
_USEFUL: Final[tuple[Kind, ...]] = get_args(Kind)[:2]
_ORDER: Final[tuple[Kind, ...]] = ("summary", "change", "features", "last")


def kind_of(step: str) -> Kind:
    """What a step is for, by its words; the first kind it has a word of."""
    said = set(tokens(step))
    for kind in _NAMED:
        if said & _WORDS[kind]:
            return kind
    return "summary"


def looks_at(steps: Iterable[str], kind: Kind) -> bool:
    """Whether one of the steps is of this kind."""
    return any(kind_of(step) == kind for step in steps)


def own_path(rng: random.Random, *, plain: bool = False) -> tuple[str, ...]:
    """A path of two to six steps: one or two summaries, each useful kind half of the time, the recommendation.

    `plain`: each kind goes by one name.
    """
    kinds: list[Kind] = []
    kinds.append("summary")
    if rng.random() < 0.5:
        kinds.append("summary")
    for kind in _USEFUL:
        if rng.random() < 0.5:
            kinds.append(kind)
    known = {kind: phrases[:1] if plain else phrases for kind, phrases in _PHRASES.items()}
    path = [known[kind][rng.randrange(len(known[kind]))] for kind in (*kinds, "last")]
    return tuple(dict.fromkeys(path))


def template_of(paths: Sequence[str]) -> tuple[str, ...]:
    """The steps that paths ("a → b → c") have in common: the commonest of each kind that most of them have."""
    taken = [tuple(step.strip() for step in path.split("→") if step.strip()) for path in paths]
    steps = []
    for kind in _ORDER:
        of_kind = [[step for step in path if kind_of(step) == kind] for path in taken]
        if 2 * sum(map(bool, of_kind)) > len(taken):
            steps.append(Counter(step for some in of_kind for step in some).most_common(1)[0][0])
    return tuple(steps) if len(steps) > 1 else (_PHRASES["summary"][0], _PHRASES["last"][0])
