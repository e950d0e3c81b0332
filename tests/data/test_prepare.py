"""The order rule, duplicates, k-core and numbering of spec 1.1."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyrec.data.corpus import NO_TIME
from whyrec.data.prepare import prepare
from whyrec.errors import UsageError


def sequences(c):
    ids = c.catalogue["id"].to_list()
    return {
        user: "".join(ids[i - 1] for i in c.items[c.offsets[u] : c.offsets[u + 1]])
        for u, user in enumerate(c.user_ids.to_list())
    }


def test_position_is_the_order_even_against_time(raw):
    c = prepare(raw(user=list("uuvu"), item=list("abac"), position=[2, 0, 0, 1], time=[1, 2, 3, 4]), "x")
    assert sequences(c) == {"u": "bca", "v": "a"} and c.times.tolist() == [2, 4, 1, 3]
    assert c.notes["order"] == "position"


def test_positions_that_repeat_are_refused(raw):
    with pytest.raises(UsageError, match="user u has two rows with position 1"):
        prepare(raw(user=list("uvu"), item=list("abc"), position=[1, 1, 1]), "x")


def test_without_position_time_decides_and_ties_keep_file_order(raw):
    c = prepare(raw(user=list("uvuuu"), item=list("dazcb"), time=[5, 1, 2, 5, 2]), "x")
    assert sequences(c) == {"u": "zbdc", "v": "a"} and c.notes["order"] == "time"


def test_without_either_the_file_is_the_order(raw):
    c = prepare(raw(user=list("uvu"), item=list("bca")), "x")
    assert sequences(c) == {"u": "ba", "v": "c"} and c.times is None and c.notes["order"] == "file"


@pytest.mark.parametrize(
    ("times", "order"),
    [
        ([1, None, 2, 3], "abcd"),  # already in order: nothing moves
        ([None, 1, 2, 3], "abcd"),
        ([1, 2, 3, None], "abcd"),
        ([3, None, 1, 2], "cdab"),  # b stays behind a
        ([None, 3, None, 1], "dabc"),  # a leading one stays in front of the next timed row
        ([None, None, 2, 1], "dabc"),
    ],
)
def test_a_missing_time_does_not_move_a_row_against_its_neighbour(raw, times, order):
    c = prepare(raw(user=["u"] * 4, item=list("abcd"), time=times), "x")
    assert sequences(c) == {"u": order} and c.notes["rows without time"] == times.count(None)


def test_neighbours_are_those_of_the_same_user(raw):
    c = prepare(raw(user=list("uvuv"), item=list("abcd"), time=[9, None, 1, 5]), "x")
    assert sequences(c) == {"u": "ca", "v": "bd"}


def test_numbers_follow_first_appearance_in_the_file_not_ids_or_time(raw):
    c = prepare(raw(user=list("wav"), item=list("zbz"), time=[3, 2, 1]), "x")
    assert c.user_ids.to_list() == ["w", "a", "v"] and c.catalogue["id"].to_list() == ["z", "b"]


def test_integer_ids_become_text(raw):
    c = prepare(raw(user=[7, 7], item=[10, 9]), "x")
    assert c.user_ids.to_list() == ["7"] and c.catalogue["id"].to_list() == ["10", "9"]


def test_dedup_keeps_the_first_event_in_time_and_renumbers(raw):
    rows = raw(user=list("uuuu"), item=list("abac"), time=[9, 2, 1, 5], rating=[1, 2, 3, 4])
    c = prepare(rows, "x", dedup=True)
    assert sequences(c) == {"u": "abc"} and c.ratings.tolist() == [3, 2, 4]
    assert c.notes["duplicates dropped"] == 1
    assert c.catalogue["id"].to_list() == ["b", "a", "c"]  # the file's first row of a is the one dropped
    assert sequences(prepare(rows, "x")) == {"u": "abca"}


def test_k_core_is_iterated_until_stable(raw):
    # d has 2 users, but v goes for having one item, so d goes, so w (c, d) goes, so c goes, ...
    rows = raw(user=list("uuxxvwwy"), item=list("abab") + list("dcdc"))
    c = prepare(rows, "x", min_events=2)
    assert sequences(c) == {"u": "ab", "x": "ab"} and c.notes["k-core"]["rounds"] > 1
    assert c.notes["k-core"] == {"k": 2, "rounds": c.notes["k-core"]["rounds"], "rows dropped": 4}


def test_an_empty_core_and_no_rows_are_refused(raw):
    with pytest.raises(UsageError, match="no 3-core"):
        prepare(raw(user=list("uv"), item=list("ab")), "x", min_events=3)
    with pytest.raises(UsageError, match="no interactions"):
        prepare(raw(user=[], item=[]), "x")


def test_milliseconds_are_refused(raw):
    with pytest.raises(UsageError, match="unix seconds"):
        prepare(raw(user=["u"], item=["a"], time=[1_577_934_245_000]), "x")


def test_a_time_column_without_any_time_is_no_time(raw):
    assert prepare(raw(user=["u"], item=["a"], time=[None]), "x").times is None


def test_ties_are_counted_over_pairs_of_one_user_with_known_times(raw):
    # u: 1 1 2 | v: 2 None 2 2 -> pairs (1,1) (1,2) (2,None) (None,2) (2,2); targets tie for v only
    rows = raw(user=list("uuuvvvv"), item=list("abcabcd"), time=[1, 1, 2, 2, None, 2, 2])
    notes = prepare(rows, "x").notes
    assert notes["tied adjacent pairs"] == pytest.approx(2 / 5) and notes["tied test targets"] == 0.5


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 6), st.none() | st.integers(0, 4)), min_size=1, max_size=60
    ),
    dedup=st.booleans(),
    k=st.integers(0, 3),
)
def test_against_a_plain_python_reading_of_the_rules(rows, dedup, k):
    import polars as pl

    from whyrec.data.raw import Raw, no_items

    users, items, times = zip(*rows, strict=True)
    frame = pl.DataFrame({"user": users, "item": items, "time": pl.Series(times, dtype=pl.Int64)})
    kept = []
    for user in dict.fromkeys(users):
        own = [(i, item, time) for i, (who, item, time) in enumerate(rows) if who == user]
        known = [t for _, _, t in own if t is not None]
        now, keyed = (known or [0])[0], []
        for i, item, time in own:
            now = now if time is None else time
            keyed.append((now, i, item))
        own = [(i, item) for _, i, item in sorted(keyed)]
        met: set[int] = set()
        for i, item in own:
            if not (dedup and item in met):
                kept.append((user, item, i))
            met.add(item)
    while True:
        by_user, by_item = Counter(u for u, _, _ in kept), Counter(i for _, i, _ in kept)
        core = [r for r in kept if by_user[r[0]] >= k and by_item[r[1]] >= k]
        if core == kept:
            break
        kept = core
    raw = Raw("hand", frame, no_items())
    if not kept:
        with pytest.raises(UsageError):
            prepare(raw, "x", dedup=dedup, min_events=k)
        return
    c = prepare(raw, "x", dedup=dedup, min_events=k)
    order = sorted(r[2] for r in kept)
    ids = list(dict.fromkeys(str(rows[i][1]) for i in order))
    assert c.user_ids.to_list() == list(dict.fromkeys(str(rows[i][0]) for i in order))
    assert c.catalogue["id"].to_list() == ids
    grouped = sorted(kept, key=lambda r: c.user_ids.to_list().index(str(r[0])))
    assert [ids[i - 1] for i in c.items] == [str(item) for _, item, _ in grouped]
    expected = [NO_TIME if rows[i][2] is None else rows[i][2] for _, _, i in grouped]
    assert (c.times is None and not any(t is not None for t in times)) or c.times.tolist() == expected
