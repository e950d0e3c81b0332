"""Encode & Map: what is kept, how long rows are."""

from __future__ import annotations

import numpy as np
import pytest

from rec_models.sequential.text_init import METHODS, encode_and_map, norm_matched
from whyrec.errors import UnknownNameError, UsageError

VECTORS = np.random.default_rng(0).standard_normal((30, 12)) @ np.diag([9, 5, 3, *[0.1] * 9]) + 4


@pytest.mark.parametrize("method", METHODS)
def test_shape_length_and_repeatability(method):
    rows = encode_and_map(VECTORS, 5, method=method, norm=0.3)
    assert rows.shape == (30, 5)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 0.3, rtol=1e-5)
    np.testing.assert_array_equal(rows, encode_and_map(VECTORS, 5, method=method, norm=0.3))


def test_truncation_keeps_the_first_coordinates():
    rows = encode_and_map(VECTORS, 5, method="truncate", norm=None)
    np.testing.assert_allclose(rows, VECTORS[:, :5], rtol=1e-6)


def test_components_keep_distances_where_the_variance_is():
    rows = encode_and_map(VECTORS, 3, method="pca", norm=None)
    far = np.linalg.norm(VECTORS[:, None] - VECTORS, axis=2)
    np.testing.assert_allclose(np.linalg.norm(rows[:, None] - rows, axis=2), far, atol=0.8)
    assert (rows.var(axis=0)[:-1] >= rows.var(axis=0)[1:]).all()


def test_components_are_fitted_where_told():
    users = VECTORS[:4] * 0.5
    whole = encode_and_map(np.vstack([VECTORS, users]), 3, norm=None, fit_on=VECTORS)
    np.testing.assert_allclose(encode_and_map(users, 3, norm=None, fit_on=VECTORS), whole[30:], rtol=1e-5)
    assert np.abs(encode_and_map(users, 3, norm=None) - whole[30:]).max() > 0.1


def test_a_random_projection_keeps_products_on_average():
    vectors = np.random.default_rng(1).standard_normal((20, 300))
    rows = encode_and_map(vectors, 200, method="random", norm=None)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.linalg.norm(vectors, axis=1), rel=0.25)


@pytest.mark.parametrize("method", METHODS)
def test_no_text_stays_zero_and_few_directions_are_filled_up(method):
    vectors = VECTORS.copy()
    vectors[3] = 0
    rows = encode_and_map(vectors, 16, method=method)
    assert not rows[3].any()
    assert np.isfinite(rows).all()
    if method != "random":
        assert not rows[:, 12:].any()


def test_the_control_has_other_directions_and_the_same_lengths():
    rows = encode_and_map(VECTORS, 5, norm=None)
    control = norm_matched(rows, seed=2)
    np.testing.assert_allclose(np.linalg.norm(control, axis=1), np.linalg.norm(rows, axis=1), rtol=1e-5)
    assert np.abs(control - rows).max() > 0.1
    assert (norm_matched(rows, seed=3) != control).all()


def test_what_cannot_be_mapped_is_said():
    with pytest.raises(UnknownNameError, match="pca"):
        encode_and_map(VECTORS, 3, method="pcaa")
    with pytest.raises(UsageError, match="finite"):
        encode_and_map(np.full((2, 3), np.inf), 2)
    with pytest.raises(UsageError, match="matrix"):
        encode_and_map(np.zeros(3), 2)
    with pytest.raises(UsageError, match="one embedder"):
        encode_and_map(VECTORS, 3, fit_on=np.ones((4, 5)))
