"""Word by word: nothing is lost on either side, and a changed sentence reads as two sentences."""

from __future__ import annotations

import random

import pytest

from whyrec.trace.words import Piece, compare


def test_a_changed_stretch_is_one_piece_of_each():
    assert compare("say at most 60 words, please", "say in a word, please") == [
        Piece("same", "say "),
        Piece("old", "at most 60 words"),
        Piece("new", "in a word"),
        Piece("same", ", please"),
    ]
    assert compare("the same", "the same") == [Piece("same", "the same")]
    assert compare("", "new text") == [Piece("new", "new text")]
    assert compare("", "") == []


@pytest.mark.parametrize("seed", range(20))
def test_both_texts_can_be_read_off_the_pieces(seed):
    rng = random.Random(seed)
    words = ["red", "blue", "warm", " ", "  ", "\n", ",", ".", "(", "ß", "日本"]
    old, new = ("".join(rng.choices(words, k=rng.randrange(40))) for _ in range(2))
    pieces = compare(old, new)
    assert "".join(p.text for p in pieces if p.kind != "new") == old
    assert "".join(p.text for p in pieces if p.kind != "old") == new


def test_long_texts_are_compared_by_lines():
    old = "\n".join(f"line {i}" for i in range(30_000))
    assert [p.text for p in compare(old, old.replace("line 7\n", "line seven\n")) if p.kind != "same"] == [
        "line 7\n",
        "line seven\n",
    ]
