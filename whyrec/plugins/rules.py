"""What may stand where: the words in which a graph says what its prompts show and what its results hold.

`whyrec audit` holds every recorded call and result against them. A graph declares them beside itself, one of the house
as one of one's own: `Workflow(..., audit=Rules(...))`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

LEAK = "i-know-this-leaks"
"""How the value of an option ends that leaks on purpose."""


class Rule(Enum):
    """What may stand in a place; the value is the reason."""

    HISTORY = "only events before the moment that is predicted, as the user rated and reviewed them"
    NEIGHBOURS = "training events of other users, so the target may be among them where others met it in training"
    CANDIDATES = "items to choose from, the target unmarked among them: each exactly as the catalogue has it"
    QUESTION = "the item a row asks about is no secret, whether it was liked is"
    EXPLAINED = "a rationale of phase I explains the target of the train split, and no later one"
    CATALOGUE = "any item, as the catalogue has it: descriptions are made of items alone"
    OF_CANDIDATES = "a model wrote it about the candidates, so it may name the split's target, and no later one"
    OF_EXPLAINED = "a model wrote it about the item explained, so it may name that, and no later one"
    OF_QUESTION = "a model wrote it about the row's item, so it may name that, and no later one"
    SAID = "a model said it of the history alone: it may name what a recorded answer guessed, and nothing else"
    BEHAVIOUR = "the history as text, after a preference that a model made of it"
    PARAGRAPHS = "the question's own paragraphs, whole sentences from the beginning"
    ASKED = "the question, as the data set has it"
    STEPS = "what a model thought, and what the paragraphs answered"
    OVER_USERS = "made of many users' training or validation examples, for nobody in particular"
    GIVEN = "the same for everybody, or data about the user that is no event: nothing later may stand in it"
    NUMBERS = "numbers, names of rules and ids that say nothing of what is later"


@dataclass(frozen=True)
class Builds:
    """What an option that names an earlier run may name.

    Attributes:
        splits: of that run: "same" (equal to this run's), "" where it has none, else those listed.
        why: the reason.
        same_data: whether it has to be of the same data.
    """

    splits: tuple[str, ...]
    why: str
    same_data: bool = True


@dataclass(frozen=True)
class Switch:
    """An option that leaks on purpose: what it is for, and which rules it lifts."""

    what: str
    lifts: frozenset[Rule]


@dataclass(frozen=True)
class Rules:
    """What a graph says of itself to the audit. What it does not name is held to the strictest rule.

    Attributes:
        blanks: prompt -> blank -> rule, of the prompts it may ask with; what a graph of the house says of a prompt, a
            plug-in cannot say otherwise, nor need it be said again.
        numbered: those of these prompts that show items by their numbers, so that a number may name an item.
        results: field of a result -> rule.
        order: the field of a result that says in which order items were shown, by number; "" for none. Where it is
            there, the audit looks whether the target's place among them tells which one it is.
        earlier: option that names an earlier run -> what it may name.
        switches: option that leaks on purpose -> what it lifts.
    """

    blanks: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)
    numbered: tuple[str, ...] = ()
    results: Mapping[str, Rule] = field(default_factory=dict)
    order: str = ""
    earlier: Mapping[str, Builds] = field(default_factory=dict)
    switches: Mapping[str, Switch] = field(default_factory=dict)
