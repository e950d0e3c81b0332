"""Every thought is a parent's child, near-duplicates are no candidates, and each rule picks what it says it picks."""

from __future__ import annotations

import numpy as np
import pytest

from graphs.pulse import tree
from graphs.pulse.tree import Thought
from whyrec.errors import UnknownNameError, UsageError

THOUGHTS = (Thought("base"), Thought("a b c", 1, 0), Thought("d", 1, 0), Thought("d", 1, 0), Thought("e f", 1, 0))


def test_widths_are_read_and_bounded():
    assert tree.read_widths("3,3") == (3, 3) and tree.read_widths("") == () and tree.read_widths(" 2 ,1") == (2, 1)
    for wrong in ("3,x", "0", "21", "1,1,1,1,1,1", "3,,3"):
        with pytest.raises(UsageError, match="list of at most 5 numbers"):
            tree.read_widths(wrong)
    with pytest.raises(UsageError, match="make 400 leaves"):
        tree.read_widths("20,20")


def test_selectors_are_read():
    assert tree.read_selectors("space, random,space,judged") == ("space", "random", "judged")
    with pytest.raises(UnknownNameError, match="Did you mean 'longest'"):
        tree.read_selectors("longst")
    with pytest.raises(UsageError, match="at least one"):
        tree.read_selectors(" ")


def test_near_duplicates_and_equal_texts_are_left_out():
    vectors = np.array([[1, 0], [0, 0], [0, 0], [0.99, np.sqrt(1 - 0.99**2)]], dtype=np.float32)
    assert tree.distinct((1, 2, 3, 4), THOUGHTS, vectors) == (1, 2)
    apart = np.eye(4, dtype=np.float32)
    assert tree.distinct((1, 2, 3, 4), THOUGHTS, apart) == (1, 2, 4), "equal texts are one"


def test_rules_pick_what_they_say():
    pool = (1, 2, 4)
    assert tree.lengths(pool, THOUGHTS) == [3.0, 1.0, 2.0]
    assert tree.pick("longest", pool, [3.0, 1.0, 2.0], key="k", seed=0) == 1
    assert tree.pick("space", pool, [0.1, 0.7, 0.7], key="k", seed=0) == 2, "the first of equals"
    assert tree.pick("base", pool, (), key="k", seed=0) == 0
    drawn = [tree.pick("random", pool, (), key=f"u{n}", seed=0) for n in range(300)]
    assert {n: drawn.count(n) > 60 for n in pool} == dict.fromkeys(pool, True)
    assert drawn == [tree.pick("random", pool, (), key=f"u{n}", seed=0) for n in range(300)]
    assert drawn != [tree.pick("random", pool, (), key=f"u{n}", seed=1) for n in range(300)]


def test_a_stored_choice_is_read_back():
    payload = {"chosen": {"space": 1}, "thoughts": [{"text": "a"}, {"text": "b"}]}
    assert tree.chosen_text(payload, "space") == "b" and tree.chosen_text(payload, "likelihood") is None
