"""Collaborative item and user vectors: truncated SVD of who liked what.

The stand-in for RALLRec+'s LightGCN (4.2.2; spec 5.b): the binary training matrix, each entry divided by the square
roots of its user's and its item's counts (LightGCN's own normalisation), and its best rank-d approximation. Linear
LightGCN smooths with powers of this matrix, of which these are the leading directions, so an exact factorisation is its
nearest relative without a training loop: no seed to speak of, seconds on a million events.

Unusual: items without a training event have a zero row, so that they are like nothing, rather than a random one.

Shape legend: U users, I items (row 0 is padding), D width.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from whyrec.errors import UsageError

VERSION = 1
Vectors = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Collaborative:
    """Vectors whose dot products approximate the normalised matrix.

    Attributes:
        items: float32[I + 1, D].
        users: float32[U, D].
    """

    items: Vectors
    users: Vectors


def collaborative(
    users: IntArray, items: IntArray, *, shape: tuple[int, int], width: int = 64, folder: Path | None = None
) -> Collaborative:
    """Factorise, or read what was factorised from the same events before.

    Args:
        users: dense user index of each event, from 0.
        items: dense item index of each event, from 1; an item liked twice by one user counts once.
        shape: (U, I).
        width: D.
        folder: where factors are kept, under the digest of the events; None keeps none.

    Raises:
        UsageError: fewer users or items with an event than `width` needs.
    """
    rank = min(width, len(np.unique(users)) - 1, len(np.unique(items)) - 1)
    if rank < 1:
        raise UsageError(
            f"Collaborative vectors need at least two users and two items with a liked event, not "
            f"{len(np.unique(users))} and {len(np.unique(items))}."
        )
    path = None if folder is None else folder / f"svd{VERSION}-{rank}-{_digest(users, items, shape)}.npz"
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return Collaborative(kept["items"], kept["users"])
    made = _factorise(users, items, shape, rank)
    if path is not None:
        _keep(path, made)
    return made


def _factorise(users: IntArray, items: IntArray, shape: tuple[int, int], rank: int) -> Collaborative:
    n_users, n_items = shape
    matrix = sparse.csr_matrix((np.ones(len(users)), (users, items)), shape=(n_users, n_items + 1))
    matrix.data[:] = 1.0
    per_user, per_item = (np.asarray(matrix.sum(axis=axis)).ravel() for axis in (1, 0))
    left, right = (1.0 / np.sqrt(np.maximum(count, 1.0)) for count in (per_user, per_item))
    normalised = sparse.diags(left) @ matrix @ sparse.diags(right)
    start = np.ones(min(normalised.shape)) / np.sqrt(min(normalised.shape))
    u, s, vt = (np.asarray(part) for part in svds(normalised, k=rank, v0=start))
    order = np.argsort(-s)
    u, s, vt = u[:, order], s[order], vt[order]
    signs = np.where(vt[np.arange(rank), np.abs(vt).argmax(axis=1)] < 0, -1.0, 1.0)
    weight = np.sqrt(s) * signs
    vectors = (vt.T * weight).astype(np.float32)
    vectors[per_item == 0] = 0.0
    return Collaborative(vectors, (u * weight).astype(np.float32))


def _digest(users: IntArray, items: IntArray, shape: tuple[int, int]) -> str:
    h = hashlib.sha256(f"{shape} {len(users)}".encode())
    order = np.lexsort((items, users))
    h.update(np.ascontiguousarray(users[order]).tobytes())
    h.update(np.ascontiguousarray(items[order]).tobytes())
    return h.hexdigest()[:16]


def _keep(path: Path, made: Collaborative) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, items=made.items, users=made.users)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(buffer.getvalue())
    unfinished.replace(path)
