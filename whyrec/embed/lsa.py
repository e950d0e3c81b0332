"""Latent semantic analysis: TF-IDF and a truncated SVD, fitted on the catalogue. The embedded default.

It needs no weights and no network and fits 12,000 items in seconds. It knows only words of the catalogue: a text of
other words is a zero row. Unusual: a fitted model is kept as plain arrays and JSON (no pickle), under the digest of
the texts it was fitted on, which is also part of its name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whyrec.embed.embedder import Vectors, unit_rows
from whyrec.errors import UsageError

VERSION = 1
MAX_TERMS = 60_000


class Lsa:
    """A fitted LSA model; make one with `Lsa.fit`.

    Args:
        vocabulary: term -> column.
        idf: float64[terms].
        components: float32[width, terms], the right singular vectors.
        digest: digest of the texts it was fitted on.
    """

    def __init__(
        self, vocabulary: dict[str, int], idf: npt.NDArray[np.float64], components: Vectors, digest: str
    ) -> None:
        self.width = int(components.shape[0])
        self.name = f"lsa{VERSION}-{self.width}-{digest}"
        self._vectorizer = _vectorizer(vocabulary=vocabulary)
        self._vectorizer.idf_ = idf
        self._idf, self._components, self._vocabulary = idf, components, vocabulary
        self._terms_TD = np.ascontiguousarray(components.T)

    @classmethod
    def fit(cls, texts: Sequence[str], *, width: int = 256, cache: Path | None = None) -> Lsa:
        """Fit on a catalogue, or read the model fitted on the same catalogue before.

        Raises:
            UsageError: the texts hold fewer than three different words.
        """
        digest = hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:12]
        file = None if cache is None else cache / f"lsa{VERSION}-{width}-{digest}.npz"
        if file is not None and file.exists():
            return cls._load(file, digest)
        from sklearn.decomposition import TruncatedSVD

        vectorizer = _vectorizer()
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError:
            weights = None
        if weights is None or min(weights.shape) < 3:
            raise UsageError(
                "An lsa embedder cannot be fitted: the catalogue's texts hold fewer than three texts or different "
                "words. Give the data set titles, or choose another embedder (hf:FOLDER, openai:MODEL)."
            )
        svd = TruncatedSVD(n_components=min(width, min(weights.shape) - 1), random_state=0)
        svd.fit(weights)
        vocabulary = {term: int(column) for term, column in vectorizer.vocabulary_.items()}
        model = cls(vocabulary, vectorizer.idf_, np.asarray(svd.components_, dtype=np.float32), digest)
        if file is not None:
            model._save(file)
        return model

    @classmethod
    def kept(cls, name: str, cache: Path) -> Lsa | None:
        """The model of this name among those kept, None where it is not there."""
        digest = name.rpartition("-")[2]
        models = (cls._load(file, digest) for file in sorted(cache.glob(f"lsa{VERSION}-*-{digest}.npz")))
        return next((model for model in models if model.name == name), None)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), width], unit rows, zero for a text without a word of the catalogue."""
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        weights = self._vectorizer.transform(texts)
        # scipy copies the dense side as float64: of the few terms that occur, not of all 60,000
        used, places = np.unique(weights.indices, return_inverse=True)
        few = type(weights)((weights.data, places, weights.indptr), shape=(len(texts), len(used)))
        return unit_rows(np.asarray(few @ self._terms_TD[used]))

    def _save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        terms = json.dumps(sorted(self._vocabulary, key=self._vocabulary.__getitem__))
        part = file.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as out:
            np.savez_compressed(out, terms=np.array(terms), idf=self._idf, components=self._components)
        part.replace(file)

    @classmethod
    def _load(cls, file: Path, digest: str) -> Lsa:
        with np.load(file, allow_pickle=False) as kept:
            terms = json.loads(str(kept["terms"]))
            return cls({t: i for i, t in enumerate(terms)}, kept["idf"], kept["components"], digest)


def _vectorizer(vocabulary: dict[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        max_features=MAX_TERMS,
        stop_words="english",
        dtype=np.float64,
        vocabulary=vocabulary,
        token_pattern=r"(?u)\b\w+\b",
    )
