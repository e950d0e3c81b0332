"""The things of a generated world of facts, their names, and the paragraph that tells of each.

Names are put together from syllables, so that none is a real one that a model may know something about. Surnames and
towns repeat on purpose: looking up half a name finds several.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final, TypeAlias

from whyrec.data.questions import Paragraph

TOWNS, PEOPLE, WORKS = 60, 300, 300
_MAKERS: Final = {"novel": "author", "opera": "composer", "film": "director", "painting": "painter"}
_TRADES: Final = {"author": "novelist", "composer": "composer", "director": "film director", "painter": "painter"}
_SCHOOLS: Final = ("a school of navigation", "the guild of clockmakers", "a music academy", "an abbey school")
_HABITS: Final = ("bees", "old maps", "pipe organs", "sundials", "mountain huts", "glass bottles", "kites", "locks")
_GOODS: Final = ("salt", "barges", "felt hats", "millstones", "linen", "church bells", "smoked fish", "ropes")
_THEMES: Final = ("a lost lighthouse", "two rival bakers", "a winter without post", "a stolen bell", "a failed voyage")

# fmt: off
_GIVEN: Final = (
    "Tavin", "Oshel", "Mirelda", "Jorvan", "Pelka", "Sindre", "Ulmara", "Corvin", "Hestra", "Dovik", "Annelka", "Ravo",
    "Lisbetra", "Gundar", "Yselle", "Brannick", "Ordella", "Faskin", "Nevra", "Timoren", "Wilhka", "Zandor", "Ermina",
    "Kestrin", "Aldo-Ven", "Marisk", "Petrana", "Halvo", "Ingrisa", "Loden",
)
_FRONT: Final = ("Or", "Bel", "Tam", "Hes", "Kar", "Ved", "Lun", "Mir", "Dov", "Ras", "Gal", "Fen", "Wil", "Sor", "Pel",
                 "Nar")
_MIDDLE: Final = ("a", "e", "i", "o", "en", "ar", "il", "or")
_TOWN_END: Final = ("mouth", "stead", "wick", "holm", "ness", "dal", "gate", "brook")
_NAME_END: Final = ("lesk", "vand", "quist", "mond", "rell", "tsen", "bram", "gard")
_ADJECTIVES: Final = (
    "Silent", "Crooked", "Amber", "Seventh", "Hollow", "Distant", "Borrowed", "Paper", "Drowned", "Patient", "Copper",
    "Unlit", "Wandering", "Salted", "Narrow", "Forgotten", "Double", "Velvet", "Northern", "Broken",
)
_NOUNS: Final = (
    "Ferry", "Orchard", "Ledger", "Staircase", "Lantern", "Harvest", "Compass", "Tenant", "Bridge", "Mirror",
    "Gardener",     "Chapel", "Anchor", "Winter", "Messenger", "Quarry", "Harbour", "Carousel", "Vineyard", "Signal",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Town:
    """A town in a province, on a river."""

    name: str
    region: str
    river: str
    founded: int
    makes: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody born in a town (index)."""

    name: str
    trade: str
    town: int
    born: int
    school: str
    hobby: str


@dataclass(frozen=True, slots=True)
class Work:
    """Something made by a person (index) and set in a town (index)."""

    name: str
    kind: str
    maker: int
    town: int
    year: int
    theme: str

    @property
    def by(self) -> str:
        """What its maker is called: "author"."""
        return _MAKERS[self.kind]


Thing: TypeAlias = Town | Person | Work


@dataclass(frozen=True, eq=False)
class Land:
    """Everything there is."""

    towns: tuple[Town, ...]
    people: tuple[Person, ...]
    works: tuple[Work, ...]

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        """All of them, in a fixed order."""
        return (*self.towns, *self.people, *self.works)


def land(rng: random.Random) -> Land:
    """Draw everything there is; names are unique."""
    stems = ["".join(parts) for parts in product(_FRONT, _MIDDLE)]
    regions = [f"{stem}ia" for stem in rng.sample(stems, 10)]
    rivers = [f"{stem}va" for stem in rng.sample(stems, 16)]
    towns = tuple(
        Town(name, rng.choice(regions), rng.choice(rivers), rng.randrange(900, 1700), rng.choice(_GOODS))
        for name in rng.sample(["".join(parts) for parts in product(stems, _TOWN_END)], TOWNS)
    )
    surnames = rng.sample(["".join(parts) for parts in product(stems, _NAME_END)], 90)
    named = rng.sample([f"{given} {surname}" for given, surname in product(_GIVEN, surnames)], PEOPLE)
    trades = list(_TRADES.values())
    people = tuple(
        Person(
            n, trades[i % 4], rng.randrange(TOWNS), rng.randrange(1790, 1930), rng.choice(_SCHOOLS), rng.choice(_HABITS)
        )
        for i, n in enumerate(named)
    )
    titles = rng.sample([f"The {a} {n}" for a, n in product(_ADJECTIVES, _NOUNS)], WORKS)
    return Land(towns, people, tuple(_work(title, people, rng) for title in titles))


def _work(title: str, people: tuple[Person, ...], rng: random.Random) -> Work:
    kind, by = rng.choice(list(_MAKERS.items()))
    maker = rng.choice([i for i, p in enumerate(people) if p.trade == _TRADES[by]])
    year = people[maker].born + rng.randrange(22, 60)
    return Work(title, kind, maker, rng.randrange(TOWNS), year, rng.choice(_THEMES))


def paragraph(of: Land, thing: Thing) -> Paragraph:
    """What is written about a thing; the sentence numbers are those that proofs name."""
    match thing:
        case Town():
            told = (
                f"{thing.name} is a town in the province of {thing.region}.",
                f"It lies on the river {thing.river} and was founded in {thing.founded}.",
                f"The town is known for its {thing.makes}.",
            )
        case Person():
            last = thing.name.split()[-1]
            told = (
                f"{thing.name} was a {thing.trade}.",
                f"{last} was born in {of.towns[thing.town].name} in {thing.born} and was sent to {thing.school}.",
                f"Friends remembered a large collection of {thing.hobby}.",
            )
        case Work():
            told = (
                f"{thing.name} is {_a(thing.kind)} by {of.people[thing.maker].name} that appeared in {thing.year}.",
                f"It is set in the town of {of.towns[thing.town].name} and tells of {thing.theme}.",
                "Early critics were divided, and it was soon revived.",
            )
    return Paragraph(thing.name, told)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
