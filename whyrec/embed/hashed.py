"""Word hashing: the embedder of the tests. No fitting, no files, the same vector for the same words everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from whyrec.embed.embedder import Vectors, unit_rows

_WORD = re.compile(r"\w+")


class Hashed:
    """A text is the sum of a fixed pseudo-random unit vector per word.

    Args:
        width: length of a vector.
    """

    def __init__(self, width: int = 64) -> None:
        self.name, self.width = f"hashed-{width}", width
        self._word = lru_cache(maxsize=100_000)(self._word_vector)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), width], unit rows, zero for a text without words."""
        out = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                out[row] += self._word(word)
        return unit_rows(out)

    def _word_vector(self, word: str) -> Vectors:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
        vector: Vectors = np.random.default_rng(seed).standard_normal(self.width, dtype=np.float32)
        return vector
