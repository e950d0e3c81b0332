"""The vectors in an answer of /embeddings: as many as texts were sent, all of one width, every number finite."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
import numpy.typing as npt

from whyrec.llm.model import Malformed
from whyrec.llm.providers.openai_fields import entries, mapping, placed, shown


def read_vectors(body: Any, count: int, name: str) -> npt.NDArray[np.float32]:
    """float32[count, width], in the order of the texts.

    Args:
        body: the answer, parsed.
        count: how many texts were sent.
        name: the model's or the server's, for the sentence.

    Raises:
        Malformed: the answer holds other than one vector for each text.
    """
    listed = entries(mapping(body).get("data"))
    rows = placed(listed, count)
    if [place for place, _ in rows] != list(range(count)) or len(listed) != count:
        raise Malformed(f"{name} answered {len(rows)} vectors for {count} texts: {shown(body)}.")
    found = [_vector(row.get("embedding")) for _, row in rows]
    wrong = next((i for i, vector in enumerate(found) if vector is None), None)
    if wrong is not None:
        raise Malformed(f"{name} answered with a vector that is none: {shown(rows[wrong][1])}.")
    vectors = [vector for vector in found if vector is not None]
    if len({vector.shape for vector in vectors}) > 1:
        raise Malformed(f"{name} answered with vectors of different widths, such as {_widths(vectors)}.")
    return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)


def _vector(value: Any) -> npt.NDArray[np.float32] | None:
    """Finite numbers from a list, or from base64 as some servers send it without being asked; None for all else."""
    if isinstance(value, str):
        try:
            found = np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float32)
        except (ValueError, binascii.Error):
            return None
    elif isinstance(value, list) and all(type(number) in (int, float) for number in value):
        try:
            with np.errstate(over="ignore"):
                found = np.asarray(value, dtype=np.float64).astype(np.float32)
        except OverflowError:
            return None
    else:
        return None
    return found if found.size and bool(np.isfinite(found).all()) else None


def _widths(vectors: list[npt.NDArray[np.float32]]) -> str:
    return " and ".join(str(width) for width in sorted({vector.size for vector in vectors})[:2])
