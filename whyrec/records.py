"""The nouns everything else speaks of: frozen, without behaviour.

`Item`, `Event` and `Example` are what a prompt may see; `Ranking`, `Click` and `Match` are the only outcomes an
evaluation knows. An example that failed is a `Failure` with a reason, never a zero and never a NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class Domain:
    """What a data set is about, in the words that a prompt says of it: one thing, several, who has to do with them.

    `did` and `do` are what the user did with the things of the history and is to do with the next one.
    """

    item: str = "item"
    items: str = "items"
    user: str = "user"
    did: str = "chose"
    do: str = "choose"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the catalogue.

    `index` is dense, from 1 (0 is padding); `id` is the data set's own id. Missing text is the empty string.
    """

    index: int
    id: str
    title: str = ""
    description: str = ""
    brand: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A user met an item. `time` is unix seconds; a data set without times, ratings or reviews leaves them empty."""

    item: Item
    rating: float | None = None
    time: int | None = None
    review: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A history in time order and, where the holder may know it, what came next.

    `target` stays None in everything that is handed to a prompt; only evaluation and training on the train split ask
    for it (`SplitView.example(u, with_target=True)`). `user_index` is dense, from 0; `key` is unique in a split.
    """

    key: str
    user: str
    user_index: int
    split: Split
    history: tuple[Event, ...]
    target: Item | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where the target came among the candidates.

    `better` candidates scored strictly above it and `ties` others equal to it, so that metrics can take the
    expectation over a random order of ties (spec 1.5). `items` are the best candidates, best first, if kept (item
    indices). `candidates` is how many there were.
    """

    user: int
    better: int
    ties: int
    candidates: int
    items: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Click:
    """A predicted probability of a click and whether it came."""

    row: int
    probability: float
    clicked: bool


@dataclass(frozen=True, slots=True)
class Match:
    """How an answer agrees with the right one: exactly or not, and by shared words (graphs/hotpotqa/answers.py)."""

    question: int
    exact: bool
    f1: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An example without an outcome, and why. `user` is the row of a click, or the question, where there is no user."""

    user: int
    reason: str


Outcome: TypeAlias = Ranking | Click | Match | Failure
