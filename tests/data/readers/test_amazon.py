import json

import pytest

from whyrec.data import load
from whyrec.errors import UsageError


def review(user, asin, time, stars=5.0, **more):
    return json.dumps({"reviewerID": user, "asin": asin, "unixReviewTime": time, "overall": stars, **more})


REVIEWS = "\n".join(
    [
        review("U1", "B", 200, summary="Salt &amp; pepper", reviewText=" Both. "),
        review("U2", "A", 100),
        review("U1", "A", 100, 3.0, reviewText="meh"),
    ]
)
META_14 = (
    "{'asin': 'A', 'title': 'Ham &amp; Eggs', 'description': 'It\\'s \"good\"', "
    "'categories': [['Food', 'Ham'], ['Food', 'Eggs']]}\n"
    "{'asin': 'NOT_MET', 'title': broken}\n"
    "{'asin': 'B', 'price': 3.5, 'brand': 'Bee'}\n"
)
META_18 = (
    '{"category": ["Food", "Ham"], "description": ["One.", "Two."], "title": "Ham", "brand": "", "asin": "A"}\n'
    '{"category": [], "description": [], "title": "B", "asin": "B"}\n'
    '{"category": [], "title": "B again", "asin": "B"}\n'
)


def check(c):
    assert c.user_ids.to_list() == ["U1", "U2"] and [c.item(int(i)).id for i in c.items] == ["A", "B", "A"]
    assert c.reviews.to_list() == ["meh", "Salt & pepper\nBoth.", ""] and c.ratings.tolist() == [3.0, 5.0, 5.0]


@pytest.mark.parametrize("end", ["", ".gz"])
def test_2014_metadata_are_python_literals(write, settings, end):
    write(f"set/reviews_Food_5.json{end}", REVIEWS)
    write(f"set/meta_Food.json{end}", META_14)
    c = load("set", settings=settings)
    check(c)
    assert c.item(2).title == "Ham & Eggs" and c.item(2).description == 'It\'s "good"'
    assert c.item(2).categories == ("Food", "Ham", "Eggs") and c.item(1).brand == "Bee"


@pytest.mark.parametrize("name", ["Food_5.json.gz", "Food.json"])
def test_2018(write, settings, name):
    write(f"set/{name}", REVIEWS)
    write("set/meta_Food.json.gz", META_18)
    c = load("set", settings=settings)
    check(c)
    assert c.item(2).description == "One. Two." and c.item(1).title == "B" and c.notes["repeated item entries"] == 1


def test_several_categories_need_a_name_and_metadata_may_be_absent(write, settings):
    write("set/Food_5.json", REVIEWS)
    path = write("set/Toys_5.json.gz", REVIEWS)
    with pytest.raises(UsageError, match=r"several review files \(Food_5\.json, Toys_5\.json\.gz\)"):
        load("set", settings=settings)
    for name in ("set/Toys_5.json.gz", str(path)):
        c = load(name, settings=settings)
        check(c)
        assert c.notes["metadata"] == "no meta_Toys.json found"


def test_a_file_and_its_gzip_are_one(write, settings):
    write("set/Food_5.json", REVIEWS)
    write("set/Food_5.json.gz", REVIEWS)
    check(load("set", settings=settings))


@pytest.mark.parametrize(
    ("meta", "what"),
    [
        ("{'asin': 'A', 'title': __import__('os').getcwd()}", "neither JSON nor a Python literal"),
        ("{'asin': 'A', 'title': 3}", "title is 3"),
        ("{'asin': 'A', ", "neither JSON nor"),
        ("nonsense", "not JSON"),
    ],
)
def test_malformed_metadata_name_file_and_line_and_run_nothing(write, settings, meta, what):
    write("set/reviews_Food_5.json", REVIEWS)
    write("set/meta_Food.json", f"{{'asin': 'B'}}\n{meta}\n")
    with pytest.raises(UsageError, match=rf"meta_Food\.json, line 2: {what}"):
        load("set", settings=settings)


def test_a_malformed_review_names_file_and_line(write, settings):
    write("set/Food_5.json", REVIEWS + '\n{"reviewerID": "U", "asin": "A", "unixReviewTime": "June"}')
    with pytest.raises(UsageError, match=r"Food_5\.json, line 4: unixReviewTime is 'June'"):
        load("set", settings=settings)


def test_metadata_whose_id_is_nearly_one_is_kept_to_be_told(write, settings):
    write("set/Food_5.json", "\n".join(review("U", f"00{n}", n) for n in range(3)))
    write("set/meta_Food.json", '{"asin": "1", "title": "One"}\n{"asin": "9", "title": 3}\n')
    c = load("set", settings=settings)
    assert c.notes["near entries"]["such as"] == ["001", "1"]
    assert load("set?ids=zeros", settings=settings).item(2).title == "One"
