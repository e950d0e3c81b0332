import pytest

from whyrec.data import load
from whyrec.data.corpus import NO_TIME
from whyrec.errors import UsageError

ROWS = "user_id,item_id,rating,timestamp\nu1,a,5,100\nu1,b,,50\nu2,a,3.5,\nu2,c,1,10\n"
ITEMS = (
    '{"item_id": "b", "title": "Bee", "brand": "B", "categories": [["X", "Y"], ["X", "Z"]]}\n'
    '{"item_id": "a", "title": "Ay", "description": "the a", "categories": ["Q"]}\n'
    '{"item_id": "zz", "title": "nobody met this"}\n'
)
REVIEWS = (
    '{"user_id": "u2", "item_id": "a", "summary": "ok", "text": "fine"}\n'
    '{"user_id": "u1", "item_id": "b", "summary": "", "text": "great"}\n'
)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_reads_events_items_and_reviews(write, settings, end):
    write(f"set/interactions.csv{end}", ROWS)
    write(f"set/items.jsonl{end}", ITEMS)
    write(f"set/reviews.jsonl{end}", REVIEWS)
    c = load("set", settings=settings)
    assert c.user_ids.to_list() == ["u1", "u2"] and c.catalogue["id"].to_list() == ["a", "b", "c"]
    assert c.items.tolist() == [2, 1, 1, 3] and c.times.tolist() == [50, 100, NO_TIME, 10]
    assert c.ratings.tolist()[1:] == [5.0, 3.5, 1.0] and c.ratings[0] != c.ratings[0]
    assert c.reviews.to_list() == ["great", "", "ok\nfine", ""]
    bee = c.item(2)
    assert (bee.title, bee.brand, bee.categories, bee.description) == ("Bee", "B", ("X", "Y", "Z"), "")
    assert c.item(3).title == ""
    assert c.notes["items without an entry"] == 1 and c.notes["entries never met"] == 1


def test_the_second_review_goes_to_the_second_visit(write, settings):
    write("set/interactions.csv", "user_id,item_id,position\nu,a,0\nu,b,1\nu,a,2\n")
    write("set/reviews.jsonl", "".join(f'{{"user_id": "u", "item_id": "a", "text": "{t}"}}\n' for t in ("one", "two")))
    assert load("set", settings=settings).reviews.to_list() == ["one", "", "two"]


def test_a_review_without_an_interaction_is_refused(write, settings):
    write("set/interactions.csv", "user_id,item_id\nu,a\n")
    write("set/reviews.jsonl", '{"user_id": "u", "item_id": "b", "text": "x"}\n')
    with pytest.raises(UsageError, match=r"item b by user u has no row in interactions\.csv"):
        load("set", settings=settings)


def test_an_empty_position_is_refused_with_its_line(write, settings):
    write("set/interactions.csv", "user_id,item_id,position\nu,a,0\nu,b,\n")
    with pytest.raises(UsageError, match=r"interactions\.csv, line 3: position is empty"):
        load("set", settings=settings)


def test_a_malformed_item_line_names_file_and_line(write, settings):
    write("set/interactions.csv", "user_id,item_id\nu,a\n")
    write("set/items.jsonl", '{"item_id": "a"}\n{"title": "no id"}\n')
    with pytest.raises(UsageError, match=r"items\.jsonl, line 2: item_id is None"):
        load("set", settings=settings)
