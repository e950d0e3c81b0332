"""The generated world: frozen, deterministic, untidy like real data, and with room between a bad and a good method."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from whyrec.data.corpus import NO_TIME, Corpus
from whyrec.data.generated import world
from whyrec.data.generated.world_draw import BLOCK
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError, UsageError

FROZEN = {"easy": "a366e4ed7097483e", "default": "8dc4a0124974d53e", "hard": "75088d5323a643b0"}
FROZEN_TRUTH = {"easy": "e76c64863ba54e44", "default": "ccde7ee8d963ba5a", "hard": "afbd63073c4db547"}


@pytest.fixture(scope="module")
def worlds() -> dict[str, world.World]:
    return {setting: world.make(setting) for setting in FROZEN}


def hits(view: SplitView, scores: Callable[[int], npt.NDArray[np.float64]]) -> float:
    """Recall@10 over the full catalogue, seen items masked, ties by expected rank."""
    found = 0.0
    for user in view.users:
        s = scores(int(user)).copy()
        s[0] = s[view.history(int(user))] = -np.inf
        better, ties = (s > s[view.target(int(user))]).sum(), (s == s[view.target(int(user))]).sum()
        found += float(np.clip((10 - better) / ties, 0, 1))
    return found / len(view.users)


def co_occurrence(view: SplitView) -> npt.NDArray[np.float64]:
    offsets, items = view.sequences()
    bought = np.zeros((view.corpus.n_users, view.corpus.n_items + 1))
    bought[np.repeat(np.arange(view.corpus.n_users), np.diff(offsets)), items] = 1
    together = bought.T @ bought
    np.fill_diagonal(together, 0)
    return together / np.sqrt(np.outer(bought.sum(0) + 1, bought.sum(0) + 1))


def test_settings_are_frozen(worlds: dict[str, world.World]) -> None:
    assert {setting: w.corpus.digest for setting, w in worlds.items()} == FROZEN


def test_truth_is_frozen(worlds: dict[str, world.World]) -> None:
    found = {}
    for setting, w in worlds.items():
        tastes = np.stack([w.truth.taste(u, n) for u in range(0, 2000, 40) for n in (1, 5)])
        numbers = [w.truth.item_topics, tastes, np.array([[w.truth.difficulty(u, "test") for u in range(8)]])]
        text = "|".join(" ".join(f"{x + 0.0:.4f}" for x in block.ravel()) for block in numbers)
        found[setting] = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert found == FROZEN_TRUTH


@pytest.mark.parametrize(("setting", "room"), [("easy", 1.5), ("default", 1.5), ("hard", 1.3)])
def test_popularity_below_item_cf_below_known_taste(worlds: dict[str, world.World], setting: str, room: float) -> None:
    w = worlds[setting]
    view = SplitView(w.corpus, "test")
    popular = np.bincount(view.sequences()[1], minlength=w.corpus.n_items + 1).astype(np.float64)
    near = co_occurrence(view)

    def item_cf(user: int) -> npt.NDArray[np.float64]:
        late_first = view.history(user)[::-1]
        return np.asarray((near[late_first] / (1 + np.arange(len(late_first)))[:, None]).sum(axis=0))

    by_popularity, by_cf = hits(view, lambda _: popular), hits(view, item_cf)
    by_taste = hits(view, lambda u: w.truth.oracle(w.truth.taste(u, len(view.history(u)))))
    by_stale_taste = hits(view, lambda u: w.truth.oracle(w.truth.taste(u, 0)))
    assert by_cf > 1.1 * by_popularity
    assert by_taste > room * by_cf
    assert by_taste > 1.1 * by_stale_taste  # users drift: the current taste is worth more than the first


def test_wrong_tastes_do_not_help(worlds: dict[str, world.World]) -> None:
    w = worlds["default"]
    view = SplitView(w.corpus, "test")
    n = w.corpus.n_users
    right = hits(view, lambda u: w.truth.oracle(w.truth.taste(u, len(view.history(u)))))
    wrong = hits(view, lambda u: w.truth.oracle(w.truth.taste((u + 17) % n, len(view.history(u)))))
    assert wrong < 0.5 * right


def test_fewer_users_are_the_beginning_of_more() -> None:
    few, more = world.make(users=60, items=80), world.make(users=BLOCK + 40, items=80)
    rows = few.corpus.n_interactions
    assert np.array_equal(few.corpus.items, more.corpus.items[:rows])
    assert few.corpus.ratings is not None and more.corpus.ratings is not None
    assert np.array_equal(few.corpus.ratings, more.corpus.ratings[:rows])
    assert few.corpus.times is not None and more.corpus.times is not None
    assert np.array_equal(few.corpus.times, more.corpus.times[:rows])
    assert few.corpus.reviews is not None and more.corpus.reviews is not None
    assert few.corpus.reviews.to_list() == more.corpus.reviews[:rows].to_list()
    assert few.corpus.catalogue.equals(more.corpus.catalogue)
    assert all(np.array_equal(few.truth.taste(u, 4), more.truth.taste(u, 4)) for u in range(60))


def test_same_in_another_process() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from whyrec.data.generated import world; print(world.make(users=50, items=60).corpus.digest)",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": "."},
    )
    assert said.stdout.strip() == world.make(users=50, items=60).corpus.digest


def test_seeds_and_settings_differ() -> None:
    made = [world.make(s, users=50, items=60, seed=k) for s in ("easy", "hard") for k in (0, 1)]
    assert len({w.corpus.digest for w in made}) == 4


def test_shape_of_the_interactions(worlds: dict[str, world.World]) -> None:
    for w in worlds.values():
        c = w.corpus
        assert c.lengths.min() >= 5
        assert c.items.min() >= 1 and c.items.max() <= c.n_items
        for user in range(c.n_users):
            own = c.items[c.offsets[user] : c.offsets[user + 1]]
            assert len(set(own.tolist())) == len(own)
        assert c.ratings is not None and set(np.unique(c.ratings)) == {1, 2, 3, 4, 5}


def test_untidy_like_real_data(worlds: dict[str, world.World]) -> None:
    c = worlds["default"].corpus
    assert c.times is not None
    known = np.where(c.times == NO_TIME, -1, c.times)
    inside = np.setdiff1d(np.arange(1, c.n_interactions), c.offsets)
    step = known[inside] - known[inside - 1]
    both = (known[inside] >= 0) & (known[inside - 1] >= 0)
    assert (step[both] >= 0).all() and 0.15 < (step[both] == 0).mean() < 0.5  # in order, with ties
    assert 0 < (known < 0).mean() < 0.02
    titles = [t for t in c.catalogue["title"].to_list() if t]
    assert len(set(titles)) < len(titles) < c.n_items  # two ids with one title, and some without any
    assert any(not t.isascii() for t in titles) and max(map(len, titles)) > 250
    for column in ("description", "brand"):
        assert 0.02 < (c.catalogue[column] == "").mean() < 0.3
    assert any(len(categories) == 0 for categories in c.catalogue["categories"])
    counts = np.sort(np.bincount(c.items, minlength=c.n_items + 1))[::-1]
    assert counts[: c.n_items // 10].sum() > 0.2 * c.n_interactions  # popularity is skewed


def test_ratings_follow_the_match(worlds: dict[str, world.World]) -> None:
    w = worlds["default"]
    c = w.corpus
    assert c.ratings is not None
    match, stars = [], []
    for user in range(300):
        for n, row in enumerate(range(c.offsets[user], c.offsets[user + 1])):
            match.append(float(w.truth.taste(user, n + 1) @ w.truth.item_topics[c.items[row]]))
            stars.append(float(c.ratings[row]))
    assert np.corrcoef(match, stars)[0, 1] > 0.5


def test_text_tells_the_topics(worlds: dict[str, world.World]) -> None:
    for setting, least in (("easy", 0.9), ("default", 0.8), ("hard", 0.45)):
        w = worlds[setting]
        topic_of = {word: t for t, words in enumerate(w.truth.topic_words) for word in words}
        assert len(topic_of) == sum(map(len, w.truth.topic_words))  # a word belongs to one topic
        right, told = 0, 0
        for index in range(1, w.corpus.n_items + 1):
            item = w.corpus.item(index)
            seen = [
                topic_of[x]
                for x in f"{item.title} {item.description}".lower().replace(".", " ").split()
                if x in topic_of
            ]
            if seen:
                told += 1
                right += int(np.bincount(seen, minlength=8).argmax() == w.truth.item_topics[index].argmax())
        assert right / told > least, setting


def test_taste_drifts_and_adds_up(worlds: dict[str, world.World]) -> None:
    w = worlds["default"]
    moved = 0
    for user in range(200):
        first, last = w.truth.taste(user, 1), w.truth.taste(user, int(w.corpus.lengths[user]))
        assert first.sum() == pytest.approx(1, abs=1e-5) and last.shape == (8,)
        assert np.array_equal(first, w.truth.taste(user, 0))
        moved += int(first.argmax() != last.argmax())
    assert moved > 60
    with pytest.raises(IndexError):
        w.truth.taste(2000, 1)


def test_taste_does_not_depend_on_what_was_drawn(worlds: dict[str, world.World]) -> None:
    """Two worlds whose users draw differently because the shop differs still have the same tastes."""
    other = world.make(items=400)
    assert not np.array_equal(other.corpus.items[:50], worlds["default"].corpus.items[:50])
    assert all(np.array_equal(other.truth.taste(u, 6), worlds["default"].truth.taste(u, 6)) for u in range(100))


def test_difficulty_is_latent_and_frozen(worlds: dict[str, world.World]) -> None:
    truth = worlds["default"].truth
    drawn = [truth.difficulty(u, s) for u in range(300) for s in ("valid", "test")]
    assert min(drawn) >= 0 and max(drawn) < 1 and 0.4 < np.mean(drawn) < 0.6 and len(set(drawn)) == 600
    assert truth.difficulty(3, "test") == world.make(users=10, items=30).truth.difficulty(3, "test")
    assert truth.item_difficulty(3) != truth.item_difficulty(4)


@pytest.mark.parametrize(
    "spec",
    ["world", "world:hard", "world:easy,users=50", "world:users=40,items=50,seed=3", "world:users=30,reviews=no"],
)
def test_the_name_makes_the_world_again(spec: str) -> None:
    made = world.load(spec)
    assert made.corpus.name == spec
    assert world.load(made.corpus.name).corpus.digest == made.corpus.digest


def test_names_may_be_written_in_any_order() -> None:
    assert world.load("world:seed=3,users=40,setting=easy").corpus.name == "world:easy,users=40,seed=3"
    assert world.load("world:setting=default,users=40").corpus.name == "world:users=40"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("world:user=5", "setting, users, items, seed, reviews"),
        ("world:users=many", "whole number"),
        ("world:users=5,users=6", "twice"),
        ("world:users=0", "at least 1 user"),
        ("world:items=3", "24 items"),
        ("world:reviews=perhaps", "yes or no"),
        ("worlds", "not a generated world"),
    ],
)
def test_bad_names_are_said(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        world.load(spec)


def test_unknown_setting_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"hard"):
        world.load("world:herd")


def test_large_worlds_are_fast_and_have_no_reviews_unless_asked() -> None:
    start = time.process_time()
    large = world.make(users=60_000, items=2_000).corpus
    assert time.process_time() - start < 6  # 200,000 users take about 4 s on a quiet machine
    assert large.reviews is None and isinstance(large, Corpus)
    spoken = world.make(users=3, items=30, reviews=True).corpus
    assert spoken.reviews is not None and spoken.name == "world:users=3,items=30,reviews=yes"
