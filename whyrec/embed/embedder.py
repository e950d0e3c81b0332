"""The seam to text embeddings: one method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors.

    `name` identifies the vectors: two embedders with one name give equal vectors for equal texts (an embedder that
    was fitted has the digest of what it was fitted on in its name). `width` is the length of a vector.
    """

    name: str
    width: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), width], rows of unit length (a text without any known word gives a zero row)."""
        ...


def unit_rows(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Rows scaled to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1.0)).astype(np.float32)
