import json

import pytest

from whyrec.data import load
from whyrec.errors import UnknownNameError, UsageError


def review(user, business, date, stars=4.0, text="good"):
    return json.dumps(
        {"review_id": "r", "user_id": user, "business_id": business, "stars": stars, "text": text, "date": date}
    )


@pytest.fixture
def folder(write):
    lines = [
        review("u", "b", "2019-03-01 10:00:00"),
        review("u", "a", "2019-01-01 00:00:00", 1.0, " bad "),
        review("u", "c", "2018-12-31 23:59:59"),
        review("v", "a", "2020-01-01 00:00:00"),
    ]
    write("yelp/yelp_academic_dataset_review.json.gz", "\n".join(lines) + "\n")
    business = [
        {"business_id": "a", "name": "Grill", "categories": "Food, Bars"},
        {"business_id": "b", "name": "B", "categories": None},
        {"business_id": "never", "name": 5},
    ]
    return write("yelp/yelp_academic_dataset_business.json", "\n".join(map(json.dumps, business)) + "\n")


def test_reads_all_years(folder, settings):
    c = load("yelp", settings=settings)
    assert (c.n_users, c.n_items, c.n_interactions) == (2, 3, 4)
    assert [c.item(int(i)).id for i in c.items] == ["c", "a", "b", "a"]
    grill = c.item(2)
    assert (grill.title, grill.categories) == ("Grill", ("Food", "Bars"))
    assert c.times[1] == 1546300800 and c.ratings[1] == 1.0 and c.reviews[1] == "bad"


def test_one_year(folder, settings):
    c = load("yelp?year=2019", settings=settings)
    assert [c.item(int(i)).id for i in c.items] == ["a", "b"] and c.name == "yelp?year=2019"


def test_wrong_options(folder, settings):
    with pytest.raises(UsageError, match="year='19'"):
        load("yelp?year=19", settings=settings)
    with pytest.raises(UnknownNameError, match="Did you mean 'year'"):
        load("yelp?yaer=2019", settings=settings)


def test_a_bad_date_names_file_and_line(write, folder, settings):
    write(
        "yelp/yelp_academic_dataset_review.json.gz",
        review("u", "a", "2019-01-01 00:00:00") + "\n" + review("u", "b", "soon"),
    )
    with pytest.raises(UsageError, match=r"review\.json\.gz, line 2: date is 'soon'"):
        load("yelp", settings=settings)


def test_fractions_and_zones_of_dates_count(write, folder, settings):
    dates = ("2019-01-01 00:00:00.9", "2019-01-01 00:00:00.1", "2019-01-01T02:00:00+02:00")
    lines = [review("u", item, date) for item, date in zip("abc", dates, strict=True)]
    write("yelp/yelp_academic_dataset_review.json.gz", "\n".join(lines))
    c = load("yelp", settings=settings)
    assert [c.item(int(i)).id for i in c.items] == ["c", "b", "a"] and set(c.times.tolist()) == {1546300800}
