"""Questions whose right answers are known: ten notes, to be read in three shapes, and ten choices among four words.

They are far from any data set, and easy: a model that fails them will not do better on a user's history. The notes'
answers can be checked by word; the summary only has to be usable. The right letters are spread (3 A, 2 B, 3 C, 2 D), so
that always saying one of them gets at most three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agents.answers import Answer, Words


class Note(Answer):
    """What stands in a note: as in whyrec's own answers, short texts, a list, and a sentence."""

    thing: Annotated[str, Field(min_length=1, max_length=40, description="what was bought, in one word")]
    colour: Annotated[str, Field(min_length=1, max_length=20, description="its colour, in one word")]
    people: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=40)], ...],
        Field(min_length=1, max_length=4, description="the names of those who bought it"),
    ]
    summary: Annotated[
        str,
        Field(min_length=1, max_length=240, description="one whole sentence of 6 to 20 words that says all of this"),
        Words(30),
    ]


@dataclass(frozen=True, slots=True)
class Told:
    """A note and what stands in it."""

    note: str
    thing: str
    colour: str
    people: frozenset[str]

    def is_right(self, answer: Note) -> bool:
        """Whether thing, colour and people are those of the note, whatever else is said around the first two."""
        people = {" ".join(name.casefold().split()) for name in answer.people}
        named = self.thing in answer.thing.casefold() and self.colour in answer.colour.casefold()
        return named and people == {name.casefold() for name in self.people}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice among four words, and the letter of the right one."""

    question: str
    words: tuple[str, str, str, str]
    letter: str

    @property
    def options(self) -> str:
        """The four lines."""
        return "\n".join(f"{letter}. {word}" for letter, word in zip(LETTERS, self.words, strict=True))


LETTERS = ("A", "B", "C", "D")
NOTES = (
    Told(
        "On Monday Maria and Tom bought a red umbrella because it would not stop raining.",
        *("umbrella", "red", frozenset({"Maria", "Tom"})),
    ),
    Told("Ahmed picked a yellow bicycle for his way to work.", "bicycle", "yellow", frozenset({"Ahmed"})),
    Told("Lena chose a black teapot, since the old one had cracked.", "teapot", "black", frozenset({"Lena"})),
    Told("Olga and Pedro ordered a white sofa for their new flat.", "sofa", "white", frozenset({"Olga", "Pedro"})),
    Told("For the camping trip Kofi took an orange tent.", "tent", "orange", frozenset({"Kofi"})),
    Told("Yuki bought a blue violin after her first three lessons.", "violin", "blue", frozenset({"Yuki"})),
    Told("Samuel and Ruth wanted a brown ladder to pick apples.", "ladder", "brown", frozenset({"Samuel", "Ruth"})),
    Told("Nina got a pink backpack for school.", "backpack", "pink", frozenset({"Nina"})),
    Told("Ivan ordered a grey carpet, and his cat liked it at once.", "carpet", "grey", frozenset({"Ivan"})),
    Told("Grace and Leo chose a purple kite for windy days.", "kite", "purple", frozenset({"Grace", "Leo"})),
)
CHOICES = (
    Chosen("Which one is a fruit?", ("chair", "apple", "river", "hammer"), "B"),
    Chosen("Which one is an animal?", ("horse", "spoon", "cloud", "window"), "A"),
    Chosen("Which one cuts paper?", ("pillow", "lamp", "scissors", "soup"), "C"),
    Chosen("Which one is worn on the feet?", ("hat", "ring", "belt", "shoes"), "D"),
    Chosen("Which one is a colour?", ("Tuesday", "green", "bread", "piano"), "B"),
    Chosen("Which one is a musical instrument?", ("guitar", "carpet", "potato", "ladder"), "A"),
    Chosen("Which one is a drink?", ("stone", "shirt", "tea", "clock"), "C"),
    Chosen("Which one is a plant?", ("bus", "plate", "coin", "tree"), "D"),
    Chosen("Which one can fly by itself?", ("eagle", "table", "shovel", "sock"), "A"),
    Chosen("Which one is a country?", ("sugar", "door", "France", "candle"), "C"),
)
