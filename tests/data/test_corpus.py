import dataclasses

import numpy as np
import polars as pl
import pytest

from whyrec.data.corpus import NO_TIME, Corpus, ranks
from whyrec.data.prepare import prepare
from whyrec.data.raw import ITEM_SCHEMA, Raw


@pytest.fixture
def corpus():
    rows = pl.DataFrame({"user": list("uuv"), "item": list("aba"), "time": [1, 2, 3], "review": ["x", "", "yz"]})
    items = pl.DataFrame([("a", "A", "d", "b", ["c1", "c2"]), ("b", "B", "", "", [])], schema=ITEM_SCHEMA, orient="row")
    return prepare(Raw("hand", rows, items), "x")


def test_items_are_records_numbered_from_one(corpus):
    assert corpus.item(1).categories == ("c1", "c2") and corpus.item(1) is corpus.item(1)
    for wrong in (0, 3):
        with pytest.raises(IndexError, match=r"outside 1\.\.2"):
            corpus.item(wrong)
    assert corpus.user_index == {"u": 0, "v": 1} and corpus.lengths.tolist() == [2, 1]


def changes(c):
    """One corpus per thing a model or a prompt can see, differing in that alone."""
    new = c.catalogue
    yield dataclasses.replace(c, offsets=np.array([0, 1, 3]))
    yield dataclasses.replace(c, items=np.array([1, 2, 2], dtype=np.int32))
    yield dataclasses.replace(c, times=c.times + 1)
    yield dataclasses.replace(c, times=None)
    yield dataclasses.replace(c, times=None, ratings=np.zeros(3, dtype=np.float32))
    yield dataclasses.replace(c, user_ids=pl.Series(["u", "w"]))
    yield dataclasses.replace(c, user_ids=pl.Series(["uv", ""]))
    yield dataclasses.replace(c, reviews=pl.Series(["x", "y", "z"]))
    yield dataclasses.replace(c, reviews=None)
    for column in ("id", "title", "description", "brand"):
        yield dataclasses.replace(c, catalogue=new.with_columns((pl.col(column) + "!").alias(column)))
    for lists in ([["c1"], ["c2"]], [["c1c2"], []], [[], ["c1", "c2"]], [[], []]):
        yield dataclasses.replace(c, catalogue=new.with_columns(categories=pl.Series(lists, dtype=pl.List(pl.String))))


def test_the_digest_sees_everything_a_model_can_see_and_nothing_else(corpus):
    digests = [corpus.digest, *(c.digest for c in changes(corpus))]
    assert len(set(digests)) == len(digests)
    assert dataclasses.replace(corpus, name="other", notes={"a": 1}).digest == corpus.digest


def test_the_digest_does_not_move(corpus):
    assert corpus.digest == "59e226d106106684"


def test_fractions_of_a_second_are_moments_and_change_what_data_are():
    whole = three_events_in_one_second()
    split = dataclasses.replace(whole, nanos=np.array([0, 5, 0], dtype=np.int32))
    assert whole.moments is whole.times and split.digest != whole.digest
    assert split.times.tolist() == whole.times.tolist(), "seconds stay what they are"
    assert split.moments[0] == split.moments[2] < split.moments[1]


def test_ranks_order_seconds_before_nanoseconds_and_keep_what_is_missing():
    times, nanos = np.array([2, 1, 1, NO_TIME, 2]), np.array([0, 9, 3, 0, 0], dtype=np.int32)
    found = ranks(times, nanos)
    assert found[3] == NO_TIME and found[0] == found[4] > found[1] > found[2] > NO_TIME


def three_events_in_one_second():
    return Corpus(
        name="t",
        offsets=np.array([0, 3]),
        items=np.array([1, 1, 1], dtype=np.int32),
        user_ids=pl.Series(["u"]),
        catalogue=pl.DataFrame([("i", "", "", "", [])], schema=ITEM_SCHEMA, orient="row"),
        times=np.array([7, 7, 7]),
    )
