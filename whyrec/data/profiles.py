"""Who the users are, where a data set says so: one phrase per user, for prompts.

MovieLens-1M and -100K tell gender, age and occupation, Book-Crossing country and age (RALLRec+ shows these; spec 5.a).
Profiles are read beside the corpus and are no part of it, so no corpus digest depends on them; what uses them puts
`Profiles.digest` into its own identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from whyrec.data import address
from whyrec.data.corpus import Corpus
from whyrec.data.lookup import locate
from whyrec.data.readers import bookcrossing, delimited
from whyrec.data.readers.delimited import Dialect, Field
from whyrec.data.readers.files import find
from whyrec.settings import Settings

_AGES_1M = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56 or older"}
# fmt: off
_JOBS_1M = (
    "other or not specified", "academic or educator", "artist", "clerical or admin", "college or graduate student",
    "customer service", "doctor or health care", "executive or managerial", "farmer", "homemaker", "K-12 student",
    "lawyer", "programmer", "retired", "sales or marketing", "scientist", "self-employed", "technician or engineer",
    "tradesman or craftsman", "unemployed", "writer",
)
# fmt: on
_BUCKETS = ((18, "under 18"), (25, "18-24"), (30, "25-29"), (35, "30-34"), (40, "35-39"), (45, "40-44"))
_OLDER = ((50, "45-49"), (55, "50-54"), (60, "55-59"), (101, "60 or older"))
_ALIASES = {"us": "USA", "u.s.a.": "USA", "u.s.a": "USA", "usa": "USA", "uk": "UK", "u.k.": "UK"}


@dataclass(frozen=True)
class Profiles:
    """One phrase per user.

    Attributes:
        texts: by the data set's own user id; users it tells nothing of are absent.
    """

    texts: Mapping[str, str] = field(default_factory=dict)

    def of(self, user: str) -> str:
        """The phrase about this user, "" where nothing is known."""
        return self.texts.get(user, "")

    @cached_property
    def digest(self) -> str:
        """Digest of all phrases, "" where there are none."""
        if not self.texts:
            return ""
        said = "\n".join(f"{user}\x1f{text}" for user, text in sorted(self.texts.items()))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def profiles(corpus: Corpus, *, settings: Settings | None = None) -> Profiles:
    """Profiles of the corpus' users, from the files it was read from; none where its format has no such file.

    Raises:
        UnknownNameError: the corpus is of a format with profiles, but its files are no longer found.
        UsageError: a malformed line; names file and line.
    """
    made = _READERS.get(str(corpus.notes.get("format", "")))
    if made is None:
        return Profiles()
    known = corpus.user_index
    base = address.split(corpus.source or corpus.name)[0]
    folder = locate(base, settings=settings).path
    return Profiles({user: text for user, text in made(folder) if user in known and text})


def _movielens(folder: Path) -> Iterator[tuple[str, str]]:
    if path := find(folder, "users.dat"):
        fields = [Field("user"), Field("gender"), Field("age", "int"), Field("job", "int"), Field("zip")]
        for user, gender, age, job, _ in delimited.read(path, fields, dialect=Dialect("::", False, False)).iter_rows():
            said = _JOBS_1M[job] if 0 < job < len(_JOBS_1M) else ""
            yield user, _phrase(_gender(gender), _AGES_1M.get(age, ""), said)
    elif path := find(folder, "u.user"):
        fields = [Field("user"), Field("age", "int"), Field("gender"), Field("job"), Field("zip", required=False)]
        for user, age, gender, job, _ in delimited.read(path, fields, dialect=Dialect("|", False, False)).iter_rows():
            said = "" if job in ("other", "none") else job
            yield user, _phrase(_gender(gender), _bucket(str(age)), said)


def _bookcrossing(folder: Path) -> Iterator[tuple[str, str]]:
    if path := find(folder, "BX-Users.csv"):
        for _, (user, location, age) in bookcrossing.records(path, 3):
            country = location.rsplit(",", 1)[-1].strip(" .,!\"'")
            country = _ALIASES.get(country.lower(), country.title())
            usable = len(country) > 1 and country.replace(" ", "").replace(".", "").isalpha()
            yield user, _phrase(f"from {country}" if usable else "", _bucket(age), "")


_READERS = {"movielens": _movielens, "bookcrossing": _bookcrossing}


def _gender(letter: str) -> str:
    return {"M": "male", "F": "female"}.get(letter.upper(), "")


def _bucket(age: str) -> str:
    """The notebooks' age groups; ages below 5 and above 100 are not believed."""
    if not age.isdecimal() or int(age) < 5:
        return ""
    return next((name for below, name in (*_BUCKETS, *_OLDER) if int(age) < below), "")


def _phrase(first: str, age: str, job: str) -> str:
    """The known parts with commas between, without a colon, so that no reader takes it for a field."""
    parts = (first, f"{age} years old" if age else "", f"occupation {job}" if job else "")
    return ", ".join(part for part in parts if part)
