import json

import pytest

from whyrec.data.prepare import prepare
from whyrec.data.stats import describe


def test_numbers_of_a_set_small_enough_to_count(raw):
    rows = raw(
        user=list("uuuu") + list("vvv") + list("w"),
        item=list("abca") + list("abz") + list("b"),
        time=[0, 1, 2, 2, 86400, None, 86400, 5],
        rating=[1, 2, None, 4, 5, 1, 1, 1],
        review=["x", "", "", "", "y", "", "", ""],
    )
    d = describe(prepare(rows, "hand"))
    assert (d["users"], d["items"], d["interactions"]) == (3, 4, 8)
    assert d["length"]["mean"] == pytest.approx(8 / 3) and d["length"]["median"] == 3 and d["length"]["longest"] == 4
    # trained on: u: a b, v: a, w: b -> one sliding sample; v's test target z was never trained, u's is a
    assert d["targets"] == {"users with a test target": 2, "sliding train samples": 1, "cold test targets": 0.5}
    assert d["time"]["coverage"] == 7 / 8 and (d["time"]["first"], d["time"]["last"]) == ("1970-01-01", "1970-01-02")
    assert d["time"]["tied test targets"] == 0.5
    assert d["ratings"]["coverage"] == 7 / 8 and d["ratings"]["highest"] == 5 and d["reviews"] == 2 / 8
    assert d["repeated"] == {"rows": 1, "test targets": 0.5} and d["text"]["title"] == 0
    assert json.loads(json.dumps(d)) == d


def test_a_set_with_nothing_but_events(raw):
    d = describe(prepare(raw(user=["u"], item=["a"]), "hand"))
    assert d["time"] == d["ratings"] == {"coverage": 0.0} and d["targets"]["users with a test target"] == 0
