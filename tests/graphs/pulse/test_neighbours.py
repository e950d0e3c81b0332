"""Similar users are those with similar histories, and only what may be known of them is shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from graphs.pulse.neighbours import Similar, neighbours
from graphs.workflow import Source
from whyrec.data.corpus import NO_TIME, Corpus
from whyrec.data.split import SplitView

ROWS = [
    [1, 2, 3, 4, 5],  # u0
    [1, 2, 3, 6, 7, 8],  # u1: alike
    [2, 1, 3, 9, 10, 11],  # u2: alike
    [20, 21, 22, 23, 24],  # u3: nothing in common
    [20, 21, 22, 25, 26],
    [30, 31],  # too short for targets: training only
]


@pytest.fixture
def corpus() -> Corpus:
    items = 40
    return Corpus(
        name="made",
        offsets=np.cumsum([0, *map(len, ROWS)]),
        items=np.array([i for row in ROWS for i in row], dtype=np.int32),
        user_ids=pl.Series([f"u{u}" for u in range(len(ROWS))]),
        catalogue=pl.DataFrame(
            {
                "id": [f"i{i + 1}" for i in range(items)],
                "title": [f"title{i + 1}" for i in range(items)],
                "description": [""] * items,
                "brand": [""] * items,
                "categories": [[] for _ in range(items)],
            },
            schema_overrides={"categories": pl.List(pl.String)},
        ),
    )


def shown(corpus, tmp_path, user, split="test", **how):
    near = neighbours(Source(corpus, tmp_path), SplitView(corpus, split), Similar(**how))
    return near.of(user), [event.item.index for event in near.events(user)]


def test_users_who_met_the_same_are_similar(corpus, tmp_path):
    users, _ = shown(corpus, tmp_path, 0, most=2)
    assert set(users) == {1, 2}
    users, _ = shown(corpus, tmp_path, 3, most=3)
    assert users == (4,), "users at right angles are not similar"


def test_only_training_items_that_are_new_to_the_user_are_shown_newest_first(corpus, tmp_path):
    _, items = shown(corpus, tmp_path, 0, most=2)
    assert sorted(items) == [6, 9], "items 7, 8, 10, 11 are targets of their users, 1 to 4 are known"
    _, one = shown(corpus, tmp_path, 3, most=1, latest=1)
    assert one == [], "u4's only training items are u3's own"


def test_the_leaking_form_shows_targets_of_others(corpus, tmp_path):
    _, items = shown(corpus, tmp_path, 0, most=2, shown="all-i-know-this-leaks")
    assert {8, 11} <= set(items)


def test_nobody_is_similar_where_none_is_asked_for(corpus, tmp_path):
    assert shown(corpus, tmp_path, 0, most=0) == ((), [])


def test_strict_mode_shows_what_had_happened_by_the_last_event_shown(corpus, tmp_path):
    times = np.full(corpus.n_interactions, 100, dtype=np.int64)
    times[corpus.offsets[1] + 3] = 999  # u1 meets item 6 later than all that u0 has done
    timed = dataclasses.replace(corpus, times=times)
    assert shown(timed, tmp_path, 0, most=2)[1] == [9]
    assert sorted(shown(timed, tmp_path, 0, most=2, time="any")[1]) == [6, 9]
    times[corpus.offsets[2] + 3] = NO_TIME
    assert shown(dataclasses.replace(corpus, times=times), tmp_path, 0, most=2)[1] == [], "unknown times are not shown"
    times[corpus.offsets[1] - 1] = 10_000  # the target's own time does not matter
    assert shown(dataclasses.replace(corpus, times=times), tmp_path, 0, most=2)[1] == []


def test_later_events_change_nothing(corpus, tmp_path):
    items = corpus.items.copy()
    for back in (1, 2):
        items[corpus.offsets[1:-1] - back] = 40 - back  # all valid and test targets of users with targets
    other = dataclasses.replace(corpus, items=items)
    for user in (0, 3):
        assert shown(corpus, tmp_path, user, "valid") == shown(other, tmp_path, user, "valid")


def test_sasrec_states_are_trained_once_and_kept(corpus, tmp_path, monkeypatch):
    from rec_models import presets
    from rec_models.fit import FitSettings
    from rec_models.sequential.sasrec import SASRecSettings

    tiny = (SASRecSettings(width=8, blocks=1, heads=1, max_length=5), FitSettings(epochs=1))
    monkeypatch.setitem(presets.BACKBONES, "SASRec", tiny)
    users, _ = shown(corpus, tmp_path, 0, states="sasrec", most=2)
    assert 1 <= len(users) <= 2 and 0 not in users
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("state.json")}
    assert len(files) == 1
    assert shown(corpus, tmp_path, 0, states="sasrec", most=2)[0] == users
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("state.json")} == files
