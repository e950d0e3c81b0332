"""Encode & Map (CoT-Rec 4.2.2): vectors of texts become the rows a recommender starts from.

The paper's code keeps the first d coordinates of a Matryoshka embedding and normalises. An embedder without that
property is mapped by principal components, fitted on the items' texts only, or by a random projection.

Unusual: length is a setting of its own. A text row of length 1 replaces a random row of length 0.16 (0.02 * sqrt(64)),
so "text beats random" mixes what a row says with how long it is; `norm_matched` gives random rows of the same lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyrec.errors import UnknownNameError, UsageError

Vectors = npt.NDArray[np.float32]
Method = Literal["pca", "truncate", "random"]
METHODS: tuple[Method, ...] = ("pca", "truncate", "random")


def encode_and_map(
    vectors_ND: npt.NDArray[np.floating],
    width: int,
    *,
    method: Method = "pca",
    norm: float | None = 1.0,
    fit_on: npt.NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Vectors:
    """float32 [N, width] rows for a table.

    Args:
        vectors_ND: one vector per item or user; a row of zeros (no text) stays zero.
        width: of the recommender.
        method: "pca" centres and keeps the directions of largest variance; "truncate" keeps the first coordinates;
            "random" is a Gaussian projection. Where there are fewer than `width` directions the rest is zero (pca,
            truncate).
        norm: length given to every row; None keeps what the map gives.
        fit_on: [M, D] what "pca" is fitted on; `vectors_ND` itself if None. For users, give the items' vectors.
        seed: of "random".

    Raises:
        UnknownNameError: no such method.
        UsageError: not a matrix, of another width than `fit_on`, or with values that are not finite.
    """
    if method not in METHODS:
        raise UnknownNameError("map from embeddings to a recommender's width", method, METHODS)
    vectors = _checked(vectors_ND, "vectors")
    if method == "pca":
        basis = vectors if fit_on is None else _checked(fit_on, "fit_on")
        if basis.shape[1] != vectors.shape[1]:
            raise UsageError(f"vectors have width {vectors.shape[1]} and fit_on {basis.shape[1]}: use one embedder.")
        mapped = _components(vectors, basis, width)
    elif method == "truncate":
        mapped = vectors[:, :width]
    else:
        random = np.random.default_rng(seed).standard_normal((vectors.shape[1], width))
        mapped = vectors @ random / np.sqrt(width)
    rows = np.zeros((len(vectors), width))
    rows[:, : mapped.shape[1]] = mapped
    rows[~vectors.any(axis=1)] = 0
    if norm is not None:
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = np.divide(rows * norm, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return rows.astype(np.float32)


def text_rows(
    vectors_ND: Vectors, texts: Sequence[str], width: int, *, method: Method, norm: float, fit_on: Vectors
) -> Vectors:
    """float32 [N, width] rows of texts; one without a text starts from the mean row of the others.

    Args:
        vectors_ND: one per text.
        texts: which of them are empty.
        width, method, norm, fit_on: as in `encode_and_map`.
    """
    mapped = encode_and_map(vectors_ND, width, method=method, norm=norm, fit_on=fit_on)
    missing = np.array([not text.strip() for text in texts])
    if missing.any() and not missing.all():
        mapped[missing] = mapped[~missing].mean(axis=0)
    return mapped


def norm_matched(rows: Vectors, *, seed: int = 0) -> Vectors:
    """Random directions with the lengths of the given rows, [N, width]: the control for `encode_and_map`."""
    random = np.random.default_rng(seed).standard_normal(rows.shape)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True) / np.linalg.norm(random, axis=1, keepdims=True)
    found: Vectors = (random * lengths).astype(np.float32)
    return found


def _checked(vectors: npt.NDArray[np.floating], name: str) -> npt.NDArray[np.float64]:
    if vectors.ndim != 2 or not vectors.size:
        raise UsageError(f"{name} must be a matrix [rows, width], not an array of shape {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise UsageError(f"{name} hold values that are not finite numbers; embed the texts again.")
    return vectors.astype(np.float64)


def _components(
    vectors: npt.NDArray[np.float64], basis: npt.NDArray[np.float64], width: int
) -> npt.NDArray[np.float64]:
    """Coordinates along the leading principal axes of `basis`; each axis points to its largest entry."""
    told = basis[basis.any(axis=1)]
    centre = told.mean(axis=0) if len(told) else np.zeros(basis.shape[1])
    centred = told - centre
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :width]
    sign = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found: npt.NDArray[np.float64] = (vectors - centre) @ (axes * sign)
    return found
