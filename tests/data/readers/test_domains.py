from __future__ import annotations

from pathlib import Path

import pytest

from whyrec.data import load
from whyrec.data.readers import domains
from whyrec.errors import UnknownNameError, UsageError
from whyrec.records import Domain
from whyrec.settings import Settings


@pytest.mark.parametrize(
    ("folder", "form", "items"),
    [
        ("amazon14_beauty", "interactions", "products"),
        ("amazon14_5core_movies_and_tv", "amazon", "films"),
        ("amazon18_5core_cds_and_vinyl", "amazon", "albums"),
        ("ml-1m", "movielens", "films"),
        ("my-ratings", "movielens", "films"),
        ("book-crossing", "bookcrossing", "books"),
        ("mind_small_sample", "mind", "news articles"),
        ("yelp_s3rec", "interactions", "places"),
        ("clicks.csv", "table", "items"),
    ],
)
def test_a_folder_s_name_decides_and_else_its_format(folder: str, form: str, items: str) -> None:
    assert domains.domain_of(folder, form).items == items


def test_a_domain_is_named_or_written_out() -> None:
    assert domains.read_domain("films") == Domain("film", "films", "viewer", "watched", "watch")
    assert domains.read_domain("recipe, recipes,cook,cooked ,cook") == Domain(
        "recipe", "recipes", "cook", "cooked", "cook"
    )
    with pytest.raises(UnknownNameError, match="recipe,recipes,cook,cooked,cook"):
        domains.read_domain("recipes")
    for wrong in ("recipe,recipes", "a,b,c,d,", f"{'x' * 41},b,c,d,e"):
        with pytest.raises(UsageError, match="written out in"):
            domains.read_domain(wrong)


def test_a_file_of_one_s_own_is_given_one(tmp_path: Path) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text("user,item,time\nu,a,1\nu,b,2\nv,a,3\n")
    settings = Settings(home=tmp_path / "home")
    plain, told = (
        load(f"{file}?user=user&item=item&time=time{more}", settings=settings) for more in ("", "&domain=films")
    )
    assert (plain.domain, told.domain.did) == (Domain(), "watched")
    assert plain.digest == told.digest, "the words of prompts are no part of the data"
    assert "domain" not in plain.notes and told.notes["domain"] == "films"
    with pytest.raises(UnknownNameError):
        load(f"{file}?user=user&item=item&domain=movies", settings=settings)
