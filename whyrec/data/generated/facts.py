"""`facts`: a generated world of towns, people and works, with questions that take two paragraphs to answer.

Nothing in it exists, so no model can know an answer: it has to be read. A bridge question names one thing and asks
about another that only the first one's paragraph names ("Where was the author of the novel X born?"); a comparison
names both. Each question comes with ten paragraphs, two of which prove the answer; of the others half are near them
(same surname, maker, trade or theme). `FactWorld.questions` looks like any questions, `FactWorld.truths` holds what
nobody else can know. Equal arguments give equal worlds, and fewer questions are the beginning of more; a test pins
the digest.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from whyrec.data.generated.facts_text import Land, Person, Thing, Town, Work, land, paragraph
from whyrec.data.questions import Question, Questions, Solution
from whyrec.errors import UnknownNameError, UsageError

NAME: Final = "facts"
QUESTIONS, MOST_QUESTIONS = 500, 20_000
_DEFAULTS: Final = {"questions": QUESTIONS, "seed": 0}
_PARAGRAPHS: Final = 10


@dataclass(frozen=True, slots=True)
class Truth:
    """What a question was made from.

    Attributes:
        hops: titles of the two paragraphs that prove the answer, in reading order.
        named: whether the question names both; else the second is found by reading the first.
        answer: what is right.
        reason: why, in a sentence.
        difficulty: latent difficulty in [0, 1), whatever the method: how likely a true step is lost.
    """

    hops: tuple[str, str]
    named: bool
    answer: str
    reason: str
    difficulty: float


@dataclass(frozen=True, eq=False)
class FactWorld:
    """Generated questions and the truth behind each, in the same order."""

    questions: Questions
    truths: tuple[Truth, ...]


def make(questions: int = QUESTIONS, *, seed: int = 0) -> FactWorld:
    """Generate a world of facts.

    Args:
        questions: how many, up to 20,000.
        seed: of everything drawn.

    Raises:
        UsageError: too few or too many questions, or a negative seed.
    """
    if not 1 <= questions <= MOST_QUESTIONS or seed < 0:
        raise UsageError(
            f"A world of facts has 1 to {MOST_QUESTIONS:,} questions and a seed of 0 or more; "
            f"it was asked for {questions:,} questions and seed {seed}."
        )
    of = land(_rng(seed, "land"))
    made: list[tuple[Question, Solution, Truth]] = []
    known: set[str] = set()
    for index in range(questions):
        attempt = 0
        while (one := _ask(of, _rng(seed, f"{index}/{attempt}"), f"s{seed}q{index}", seed))[0].text in known:
            attempt += 1
        known.add(one[0].text)
        made.append(one)
    asked = {"questions": questions, "seed": seed}
    said = ",".join(f"{k}={v}" for k, v in asked.items() if v != _DEFAULTS[k])
    name = f"{NAME}:{said}" if said else NAME
    data = Questions(name, tuple(q for q, _, _ in made), tuple(s for _, s, _ in made))
    return FactWorld(data, tuple(t for _, _, t in made))


def load(spec: str) -> FactWorld:
    """The world a name stands for: "facts", "facts:questions=500,seed=1".

    Raises:
        UnknownNameError: no such option.
        UsageError: a value that is not a whole number.
    """
    options = dict(_DEFAULTS)
    rest = spec.partition(":")[2]
    for part in rest.split(",") if rest else ():
        key, _, value = part.strip().partition("=")
        if key not in options:
            raise UnknownNameError(f"option of {NAME}", key, options, hint="As in facts:questions=500,seed=1.")
        if not value.isdecimal():
            raise UsageError(f"{key} of {NAME} is a whole number, as in facts:{key}=7, not {value!r}.")
        options[key] = int(value)
    return make(options["questions"], seed=options["seed"])


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question without its paragraphs: what is asked, the proof, the answer, the type."""

    text: str
    first: tuple[Thing, int]
    second: tuple[Thing, int]
    answer: str
    reason: str
    type: str = "bridge"


def _birthplace_of_maker(of: Land, rng: random.Random) -> _Draft:
    work = rng.choice(of.works)
    person = of.people[work.maker]
    town = of.towns[person.town]
    asked = f"In which town was the {work.by} of the {work.kind} {work.name} born?"
    return _Draft(asked, (work, 0), (person, 1), town.name, f"{person.name} made it and was born in {town.name}")


def _year_of_maker(of: Land, rng: random.Random) -> _Draft:
    work = rng.choice(of.works)
    person = of.people[work.maker]
    asked = f"In which year was the {work.by} of the {work.kind} {work.name} born?"
    return _Draft(asked, (work, 0), (person, 1), str(person.born), f"{person.name} made it, born in {person.born}")


def _river_of_birthplace(of: Land, rng: random.Random) -> _Draft:
    person = rng.choice(of.people)
    town = of.towns[person.town]
    asked = f"On which river lies the town in which the {person.trade} {person.name} was born?"
    return _Draft(asked, (person, 1), (town, 1), town.river, f"{person.name} is from {town.name}, on the {town.river}")


def _region_of_setting(of: Land, rng: random.Random) -> _Draft:
    work = rng.choice(of.works)
    town = of.towns[work.town]
    asked = f"In which province is the town in which the {work.kind} {work.name} is set?"
    return _Draft(asked, (work, 1), (town, 0), town.region, f"it is set in {town.name}, a town in {town.region}")


def _same_birthplace(of: Land, rng: random.Random) -> _Draft:
    one = rng.choice(of.people)
    same = rng.random() < 0.5
    other = rng.choice([p for p in of.people if p is not one and (p.town == one.town) == same])
    asked = f"Were {one.name} and {other.name} born in the same town?"
    reason = f"{one.name} was born in {of.towns[one.town].name}, {other.name} in {of.towns[other.town].name}"
    return _Draft(asked, (one, 1), (other, 1), "yes" if same else "no", reason, "comparison")


def _older_person(of: Land, rng: random.Random) -> _Draft:
    one = rng.choice(of.people)
    other = rng.choice([p for p in of.people if p.born != one.born])
    older = one if one.born < other.born else other
    asked = f"Who was born first, {one.name} or {other.name}?"
    reason = f"{one.name} was born in {one.born} and {other.name} in {other.born}"
    return _Draft(asked, (one, 1), (other, 1), older.name, reason, "comparison")


def _earlier_work(of: Land, rng: random.Random) -> _Draft:
    one = rng.choice(of.works)
    other = rng.choice([w for w in of.works if w.year != one.year])
    earlier = one if one.year < other.year else other
    asked = f"Which appeared first, the {one.kind} {one.name} or the {other.kind} {other.name}?"
    reason = f"{one.name} appeared in {one.year} and {other.name} in {other.year}"
    return _Draft(asked, (one, 0), (other, 0), earlier.name, reason, "comparison")


_KINDS: Final[tuple[tuple[Callable[[Land, random.Random], _Draft], float], ...]] = (
    (_birthplace_of_maker, 3),
    (_year_of_maker, 1),
    (_river_of_birthplace, 2),
    (_region_of_setting, 2),
    (_same_birthplace, 1),
    (_older_person, 1),
    (_earlier_work, 1),
)


def _ask(of: Land, rng: random.Random, id_: str, seed: int) -> tuple[Question, Solution, Truth]:
    """One question with its paragraphs in a drawn order, its solution and its truth."""
    kinds, weights = zip(*_KINDS, strict=True)
    draft: _Draft = rng.choices(kinds, weights)[0](of, rng)
    proof = (draft.first, draft.second)
    shown = [thing for thing, _ in proof]
    shown += _distractors(of, rng, shown)
    rng.shuffle(shown)
    paragraphs = tuple(paragraph(of, thing) for thing in shown)
    facts = tuple((thing.name, sentence) for thing, sentence in proof)
    truth = Truth(
        hops=(draft.first[0].name, draft.second[0].name),
        named=draft.type == "comparison",
        answer=draft.answer,
        reason=draft.reason,
        difficulty=_unit(f"{seed}/difficulty/{draft.text}"),
    )
    return Question(id_, draft.text, paragraphs, draft.type, "hard"), Solution(draft.answer, facts), truth


def _distractors(of: Land, rng: random.Random, proof: list[Thing]) -> list[Thing]:
    """Things that prove nothing: half near the proof, half any."""
    taken = {thing.name for thing in proof}
    near = [thing for thing in of.things if thing.name not in taken and any(_near(thing, p) for p in proof)]
    found = rng.sample(near, min(len(near), (_PARAGRAPHS - 2) // 2))
    taken |= {thing.name for thing in found}
    rest = [thing for thing in of.things if thing.name not in taken]
    return found + rng.sample(rest, _PARAGRAPHS - 2 - len(found))


def _near(one: Thing, other: Thing) -> bool:
    """Whether two things are easily taken for each other; what is asked about is not what they share."""
    match one, other:
        case Person(), Person():
            return one.name.split()[-1] == other.name.split()[-1] or (
                one.trade == other.trade and one.school == other.school
            )
        case Work(), Work():
            return one.maker == other.maker or (one.kind == other.kind and one.theme == other.theme)
        case Town(), Town():
            return one.makes == other.makes
    return False


def _rng(seed: int, what: str) -> random.Random:
    digest = hashlib.blake2b(f"facts/{seed}/{what}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def _unit(what: str) -> float:
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), "big") / 2.0**64
