"""The fold's arithmetic, for every length up to the cap and a grid of sizes (spec 2.a)."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from graphs.cot_rec.fold import batch_count, batches, check, fold_calls
from whyrec.errors import UsageError

GRID = [(10, 2), (5, 1), (10, 0), (3, 2), (1, 0), (7, 3), (50, 49)]


@pytest.mark.parametrize(("batch", "overlap"), GRID)
def test_every_length_is_cut_as_the_formula_says(batch, overlap):
    for length in range(61):
        cut = batches(list(range(length)), batch, overlap)
        assert len(cut) == batch_count(length, batch, overlap)
        if not length:
            assert cut == ()
            continue
        assert len(cut) == max(1, math.ceil((length - overlap) / (batch - overlap)))
        assert all(len(b) == batch for b in cut[:-1]) and 1 <= len(cut[-1]) <= batch
        assert all(list(b) == list(range(b[0], b[-1] + 1)) for b in cut), "order is kept, nothing is skipped"
        assert sorted({e for b in cut for e in b}) == list(range(length)), "every event is in some batch"
        for before, after in pairwise(cut):
            assert after[: min(overlap, len(after))] == before[len(before) - overlap :][: len(after)], "overlap"
            assert len(after) > overlap, "every batch after the first brings something new"
        assert fold_calls(length, batch, overlap) == 2 * len(cut) - 1
        assert fold_calls(length, batch, overlap, more=True) == 2 * len(cut)


def test_the_default_sizes_by_hand():
    assert [batch_count(n, 10, 2) for n in (0, 1, 2, 9, 10, 11, 18, 19, 26, 27, 50)] == [
        0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6,
    ]  # fmt: skip
    assert batches("abcdefghijkl", 10, 2) == (tuple("abcdefghij"), tuple("ijkl"))
    assert fold_calls(0, 10, 2) == fold_calls(0, 10, 2, more=True) == 0


@pytest.mark.parametrize(("batch", "overlap", "cap"), [(10, 10, 50), (10, -1, 50), (0, 0, 50), (10, 2, 9), (2, 3, 50)])
def test_sizes_that_make_no_batches_are_refused(batch, overlap, cap):
    with pytest.raises(UsageError, match="0 <= overlap < batch <= cap"):
        check(batch, overlap, cap)
