"""What sentences of `facts` say and what its questions ask, by their words alone.

A sentence says that something (a subject) has something (a relation) of some value: "It is set in the town of Wilwick"
says where the work named before is set. A question asks for the end of a path of relations, or compares one relation
of two subjects. Whether what is said is true is not known here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Relation: TypeAlias = Literal["maker", "appeared", "setting", "birthplace", "born", "province", "river"]

_NAME: Final = r"[A-Z][\w-]*(?: [A-Z][\w-]*)*"
_SAID: Final = re.compile(
    rf"(?P<set>It|The [A-Z]\w* [A-Z]\w*) is set in the town of (?P<setting>[A-Z]\w*)"
    rf"|(?P<work>The [A-Z]\w* [A-Z]\w*) (?:is (?:an? \w+ )?by (?P<maker>{_NAME})(?: that)?)?(?: ?appeared in "
    rf"(?P<appeared>\d+))?"
    rf"|(?P<town>[A-Z]\w*) is a town in the province of (?P<province>[A-Z]\w*)"
    rf"|(?P<lies>It|[A-Z]\w*) lies on the river (?P<river>[A-Z]\w*)"
    rf"|(?P<person>{_NAME}) was an? [a-z]"
    rf"|(?P<who>{_NAME}) was born in (?P<birthplace>[A-Z]\w*)?(?: in )?(?P<born>\d+)?"
)
_VALUES: Final[tuple[Relation, ...]] = ("maker", "appeared", "setting", "birthplace", "born", "province", "river")
_SUBJECTS: Final = ("work", "set", "town", "lies", "person", "who")
_WORDED: Final[Mapping[Relation, str]] = {
    "maker": "{0} is by {1}.",
    "appeared": "{0} appeared in {1}.",
    "setting": "{0} is set in the town of {1}.",
    "birthplace": "{0} was born in {1}.",
    "born": "{0} was born in {1}.",
    "province": "{0} is a town in the province of {1}.",
    "river": "{0} lies on the river {1}.",
}
_PATHS: Final[tuple[tuple[re.Pattern[str], tuple[Relation, Relation]], ...]] = (
    (re.compile(r"In which town was the \w+ of the \w+ (.+) born\?"), ("maker", "birthplace")),
    (re.compile(r"In which year was the \w+ of the \w+ (.+) born\?"), ("maker", "born")),
    (re.compile(r"On which river lies the town in which the [a-z ]+ (.+) was born\?"), ("birthplace", "river")),
    (re.compile(r"In which province is the town in which the \w+ (.+) is set\?"), ("setting", "province")),
)
_PAIRS: Final[tuple[tuple[re.Pattern[str], Relation], ...]] = (
    (re.compile(r"Were (.+) and (.+) born in the same town\?"), "birthplace"),
    (re.compile(r"Who was born first, (.+) or (.+)\?"), "born"),
    (re.compile(r"Which appeared first, the \w+ (.+) or the \w+ (.+)\?"), "appeared"),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """That a subject has a relation of this value."""

    subject: str
    relation: Relation
    value: str

    @property
    def difficulty(self) -> float:
        """Of reading it, in [0, 1): a property of what it says of whom."""
        return difficulty(f"{self.subject}/{self.relation}")

    @property
    def words(self) -> str:
        """A sentence that says so."""
        return _WORDED[self.relation].format(self.subject, self.value)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks: the end of a path from one subject, or a comparison of two by one relation."""

    subjects: tuple[str, ...]
    relations: tuple[Relation, ...]

    def proof(self, known: Mapping[tuple[str, Relation], Statement]) -> tuple[list[Statement], str]:
        """The statements known on the way to the answer, and the subject that is not known of yet, "" if all are."""
        found: list[Statement] = []
        subject, *others = self.subjects
        if others:
            for subject in self.subjects:
                if (subject, self.relations[0]) not in known:
                    return found, subject
                found.append(known[subject, self.relations[0]])
            return found, ""
        for relation in self.relations:
            if (subject, relation) not in known:
                return found, subject
            found.append(known[subject, relation])
            subject = found[-1].value
        return found, ""

    def answer(self, proof: list[Statement]) -> str:
        """What a whole proof comes to."""
        if len(self.subjects) == 1:
            return proof[-1].value
        one, other = proof
        if self.relations == ("birthplace",):
            return "yes" if one.value == other.value else "no"
        return one.subject if one.value < other.value else other.subject


def asked(question: str) -> Asked | None:
    """What a question asks, None if it is not of a kind that is known here."""
    for pattern, relations in _PATHS:
        if found := pattern.fullmatch(question.strip()):
            return Asked((found[1],), relations)
    for pattern, relation in _PAIRS:
        if found := pattern.fullmatch(question.strip()):
            return Asked((found[1], found[2]), (relation,))
    return None


def statements(text: str) -> Iterator[Statement]:
    """What a text says, in order; "it" and a bare surname are whoever was named last and may be meant."""
    last = ""
    for found in _SAID.finditer(text):
        named = next(str(found[group]) for group in _SUBJECTS if found[group])
        if named != "It" and not (last.endswith(f" {named}") and found["who"]):
            last = named
        for relation in _VALUES:
            if found[relation] and last:
                yield Statement(last, relation, str(found[relation]))


def difficulty(text: str) -> float:
    """Of reading a text, in [0, 1): drawn by its words."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2.0**64
