"""Leave-two-out (spec 1.2), and that no view tells what comes after it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyrec.data import SplitView
from whyrec.data.prepare import prepare
from whyrec.data.raw import Raw, no_items
from whyrec.errors import LeakageError


def corpus_of(lengths, **more):
    """User k has `lengths[k]` events, all items distinct: item ids are "k:0", "k:1", ..."""
    rows = [(f"u{k}", f"{k}:{n}", 100 * k + n) for k, length in enumerate(lengths) for n in range(length)]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").with_columns(**more)
    return prepare(Raw("hand", frame, no_items()), "hand")


def names(corpus, items):
    return [corpus.item(int(i)).id for i in items]


def test_who_has_an_example_where():
    c = corpus_of([1, 2, 3, 4, 5])
    assert {s: SplitView(c, s).users.tolist() for s in ("train", "valid", "test")} == {
        "train": [3, 4],
        "valid": [2, 3, 4],
        "test": [2, 3, 4],
    }


@pytest.mark.parametrize(
    ("user", "split", "history", "target"),
    [
        (0, "valid", ["0:0"], "0:1"),
        (0, "test", ["0:0", "0:1"], "0:2"),
        (1, "train", ["1:0"], "1:1"),
        (1, "valid", ["1:0", "1:1"], "1:2"),
        (1, "test", ["1:0", "1:1", "1:2"], "1:3"),
    ],
)
def test_users_with_three_and_four_events(user, split, history, target):
    c = corpus_of([3, 4])
    view = SplitView(c, split)
    assert names(c, view.history(user)) == history and names(c, [view.target(user)]) == [target]
    example = view.example(user, with_target=True)
    assert [e.item.id for e in example.history] == history and example.target.id == target
    assert view.example(user).target is None and example.key == f"{split}/u{user}" and example.user_index == user


@pytest.mark.parametrize(("holding", "asking"), [("train", "valid"), ("train", "test"), ("valid", "test")])
def test_a_later_target_is_a_leak(holding, asking):
    view = SplitView(corpus_of([5]), holding)
    with pytest.raises(LeakageError, match=f"A {holding} view of hand was asked for the {asking} target of user 0"):
        view.target(0, asking)
    assert SplitView(view.corpus, asking).target(0, holding) == view.target(0)


def test_a_user_without_a_target_says_so():
    c = corpus_of([2, 3])
    with pytest.raises(LeakageError, match="User 0 of hand has 2 events"):
        SplitView(c, "test").target(0)
    with pytest.raises(LeakageError, match="no train target"):
        SplitView(c, "train").target(1)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split 'dev'"):
        SplitView(corpus_of([3]), "dev")


def test_last_keeps_the_latest_events_and_examples_stream():
    c = corpus_of([6, 2, 3])
    view = SplitView(c, "test")
    assert [e.item.id for e in view.example(0, last=2).history] == ["0:3", "0:4"]
    assert [e.user for e in view.examples(last=1)] == ["u0", "u2"]
    assert all(e.target is None and len(e.history) == 1 for e in view.examples(last=1))


def test_events_carry_what_the_data_set_has():
    texts = {"rating": pl.Series([1.0, None, 3.0], dtype=pl.Float32), "review": pl.Series(["good", "", "last"])}
    c = corpus_of([3], **texts)
    first, second = SplitView(c, "test").example(0).history
    assert (first.rating, first.time, first.review) == (1.0, 0, "good")
    assert (second.rating, second.time, second.review) == (None, 1, "")


def test_the_prefix_digest_is_of_the_history_shown():
    c = corpus_of([5, 5])
    valid, test = SplitView(c, "valid"), SplitView(c, "test")
    assert valid.prefix_digest(0) == SplitView(c, "valid").prefix_digest(0)
    assert len({valid.prefix_digest(0), test.prefix_digest(0), valid.prefix_digest(1)}) == 3


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=12))
def test_history_and_targets_put_the_sequence_together_again(lengths):
    c = corpus_of(lengths)
    views = {s: SplitView(c, s) for s in ("train", "valid", "test")}
    offsets, items = views["train"].sequences()
    for user, length in enumerate(lengths):
        own = c.items[c.offsets[user] : c.offsets[user + 1]].tolist()
        trained = items[offsets[user] : offsets[user + 1]].tolist()
        assert trained == (own[:-2] if length >= 3 else own)
        for split, view in views.items():
            if user in view.users:
                rest = {"train": 2, "valid": 1, "test": 0}[split]
                assert [*view.history(user).tolist(), view.target(user)] == own[: len(own) - rest]
                assert view.targets[view.users.tolist().index(user)] == view.target(user)
    for view in views.values():
        assert all(np.array_equal(a, b) for a, b in zip(view.sequences(), (offsets, items), strict=True))
