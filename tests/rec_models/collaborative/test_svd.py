"""Collaborative vectors say who is liked together, and nothing of items nobody liked."""

from __future__ import annotations

import numpy as np
import pytest

from rec_models.collaborative.svd import collaborative
from whyrec.errors import UsageError


def two_tastes(seed=0):
    """40 users, 20 items; users of one half like items of one half."""
    rng = np.random.default_rng(seed)
    users, items = [], []
    for user in range(40):
        for item in rng.choice(10, size=5, replace=False):
            users.append(user)
            items.append(1 + int(item) + (10 if user >= 20 else 0))
    return np.array(users), np.array(items)


def test_items_liked_by_the_same_users_are_alike():
    users, items = two_tastes()
    made = collaborative(users, items, shape=(40, 21), width=2)
    unit = made.items[1:21] / np.linalg.norm(made.items[1:21], axis=1, keepdims=True)
    same = unit @ unit.T
    assert same[:10, :10].min() > 0.9 and same[10:, 10:].min() > 0.9 and np.abs(same[:10, 10:]).max() < 0.1
    assert made.items.shape == (22, 2) and made.users.shape == (40, 2)
    assert not made.items[0].any() and not made.items[21].any(), "padding, and an item nobody liked"


def test_at_full_rank_products_give_the_normalised_matrix_back():
    users, items = np.array([0, 0, 1, 2, 2, 2, 3]), np.array([1, 2, 2, 1, 2, 3, 4])
    made = collaborative(users, items, shape=(4, 4), width=3)
    counts_u, counts_i = np.array([2, 1, 3, 1]), np.array([2, 3, 1, 1])
    wanted = np.zeros((4, 4))
    wanted[users, items - 1] = 1
    wanted /= np.sqrt(np.outer(counts_u, counts_i))
    error = np.linalg.norm(made.users @ made.items[1:].T - wanted)
    assert error == pytest.approx(np.linalg.svd(wanted, compute_uv=False)[3], abs=1e-5), "the best of rank 3"


def test_the_order_of_events_and_repeats_do_not_matter(tmp_path):
    users, items = two_tastes()
    first = collaborative(users, items, shape=(40, 20), width=4)
    order = np.random.default_rng(1).permutation(len(users))
    again = collaborative(
        np.append(users[order], users[0]), np.append(items[order], items[0]), shape=(40, 20), width=4, folder=tmp_path
    )
    assert np.allclose(first.items, again.items, atol=1e-5)
    kept = list(tmp_path.iterdir())
    assert len(kept) == 1
    np.savez(str(kept[0]), items=np.zeros(1), users=np.zeros(1))
    read = collaborative(
        np.append(users, users[0]), np.append(items, items[0]), shape=(40, 20), width=4, folder=tmp_path
    )
    assert read.items.shape == (1,), "what is kept is read, not made again"


def test_too_little_data_is_refused():
    with pytest.raises(UsageError, match="two users and two items"):
        collaborative(np.array([0, 0]), np.array([1, 2]), shape=(1, 2))
