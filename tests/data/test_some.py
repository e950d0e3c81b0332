"""Some of many: the first, or a draw that is always the same."""

import numpy as np
import pytest

from whyrec.data.generated import world
from whyrec.data.some import Drawn, at_most, how_many, in_words, named, only, some
from whyrec.data.split import SplitView

ALL = np.arange(10_000, dtype=np.int64)


def test_all_the_first_or_drawn():
    assert np.array_equal(some(ALL, None), ALL)
    assert some(ALL, 3).tolist() == [0, 1, 2]
    drawn = some(ALL, Drawn(500))
    assert len(drawn) == 500 == len(set(drawn.tolist()))
    assert (np.diff(drawn) > 0).all()
    assert np.array_equal(some(ALL, Drawn(10_000)), ALL)
    assert not len(some(ALL[:0], Drawn(3)))


def test_a_draw_is_spread_evenly_and_is_not_the_first():
    """500 of 10,000: 50 of each tenth are expected, with a deviation of 6.5."""
    tenths = np.bincount(some(ALL, Drawn(500)) // 1_000, minlength=10)
    assert np.abs(tenths - 50).max() < 4 * 6.5


def test_more_hold_fewer():
    small, large = some(ALL, Drawn(50)), some(ALL, Drawn(700))
    assert np.isin(small, large).all()


def test_who_comes_later_changes_nobody_s_turn():
    """Of those there were before, the larger corpus draws those that the smaller one draws first."""
    before = some(ALL[:5_000], Drawn(400))
    after = some(ALL, Drawn(400))
    assert np.isin(after[after < 5_000], before).all()


def test_every_split_draws_the_same_people():
    corpus = world.load("world:users=400").corpus
    views = [SplitView(corpus, split) for split in ("train", "valid", "test")]
    alike = set.intersection(*(set(view.users.tolist()) for view in views))
    drawn = [set(some(view.users, Drawn(100)).tolist()) & alike for view in views]
    assert len(drawn[0] & drawn[2]) > 0.9 * len(drawn[2])


def test_what_belongs_to_them_is_found():
    among = np.array([2, 5, 7, 11], dtype=np.int64)
    for wanted in (None, 2, Drawn(2), Drawn(9)):
        chosen = some(among, wanted)
        assert only([f"of {i}" for i in among], among, wanted) == [f"of {i}" for i in chosen]
    assert only([], among, 2) == []


@pytest.mark.parametrize(
    ("wanted", "most", "name", "words"),
    [
        (None, None, None, "all users"),
        (1_500, 1_500, 1_500, "the first 1,500 users"),
        (Drawn(1_500), 1_500, "1500 drawn", "1,500 users drawn at random (always the same)"),
    ],
)
def test_how_it_is_told(wanted, most, name, words):
    assert (at_most(wanted), named(wanted), in_words(wanted, "users")) == (most, name, words)
    assert how_many(most, drawn=isinstance(wanted, Drawn)) == wanted
