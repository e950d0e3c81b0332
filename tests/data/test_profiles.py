"""Profiles stand beside the corpus and change nothing about it."""

from __future__ import annotations

import pytest

from whyrec.data import load
from whyrec.data.generated.world import make
from whyrec.data.profiles import Profiles, profiles
from whyrec.errors import UnknownNameError, UsageError


def movielens(write, settings, users=None):
    write("ml/ratings.dat", "1::31::5::20\n1::32::4::10\n2::31::3::5\n3::31::3::5\n")
    write("ml/movies.dat", "31::Amelie::Comedy\n32::Heat::Crime\n")
    if users:
        write("ml/users.dat", users)
    return load("ml", settings=settings)


def test_ml_1m_tells_gender_age_and_occupation(write, settings):
    before = movielens(write, settings).digest
    corpus = movielens(write, settings, "1::F::1::10::48067\n2::M::56::0::70072\n3::M::25::20::1\n9::M::25::20::1\n")
    found = profiles(corpus, settings=settings)
    assert found.texts == {
        "1": "female, under 18 years old, occupation K-12 student",
        "2": "male, 56 or older years old",
        "3": "male, 25-34 years old, occupation writer",
    }
    assert found.of("2").startswith("male") and found.of("9") == ""
    assert corpus.digest == before, "profiles are no part of the corpus"
    assert len(found.digest) == 16 and Profiles().digest == ""


def test_ml_100k_tells_the_same(write, settings):
    write("ml/u.data", "1\t31\t5\t20\n2\t31\t3\t5\n")
    write("ml/u.item", "31|Amelie|01-Jan-2001||http://x|" + "|".join(["0"] * 19) + "\n")
    write("ml/u.user", "1|24|M|technician|85711\n2|53|F|other|94043\n")
    found = profiles(load("ml", settings=settings), settings=settings)
    assert found.texts == {"1": "male, 18-24 years old, occupation technician", "2": "female, 50-54 years old"}


def test_book_crossing_tells_country_and_age(write, settings):
    write("bx/BX-Book-Ratings.csv", '"User-ID";"ISBN";"Book-Rating"\n"8";"1";"5"\n"9";"1";"5"\n"10";"1";"5"\n')
    write("bx/BX-Books.csv", '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher"\n')
    write(
        "bx/BX-Users.csv",
        '"User-ID";"Location";"Age"\n"8";"timmins, on, canada";NULL\n"9";"x, y, u.s.a.";"43"\n"10";"?, n/a";"244"\n',
    )
    found = profiles(load("bx", settings=settings), settings=settings)
    assert found.texts == {"8": "from Canada", "9": "from USA, 40-44 years old"}


def test_other_data_have_none_and_lost_files_are_an_error(write, settings):
    assert profiles(make(users=20, items=30).corpus).texts == {}
    corpus = movielens(write, settings, "1::F::1\n")
    with pytest.raises(UsageError, match=r"users\.dat, line 1"):
        profiles(corpus, settings=settings)
    for name in ("ratings.dat", "movies.dat", "users.dat"):
        (settings.data_folders[0] / "ml" / name).unlink()
    (settings.data_folders[0] / "ml").rmdir()
    with pytest.raises(UnknownNameError):
        profiles(corpus, settings=settings)
