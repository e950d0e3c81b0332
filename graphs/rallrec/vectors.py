"""Item vectors that "relevant" is measured with (RALLRec+ eq. 3 and 7), each kind once, rows of length 1 or 0.

    title          the caption: title, brand, categories
    description    the description of an earlier describing run, or the catalogue's own
    text           [title || description]                            eq. 3
    collaborative  truncated SVD of the liked train rows (rec_models/collaborative/svd.py)
    concat         [text || collaborative], each of length 1 before   eq. 7 without its last part

Content vectors read the catalogue, collaborative ones the train rows and nothing else (leakage matrix, spec 8).
Comparing concatenations of unit vectors by dot product is adding up the parts' cosines, so no concatenation is made.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graphs.rallrec.options import Kind, Options
from graphs.shared.catalogue import StoredDescriptions
from rec_models.collaborative.svd import collaborative
from whyrec.data import text
from whyrec.data.corpus import Corpus
from whyrec.data.ctr import CtrRows
from whyrec.embed import Vectors, open_embedder, unit_rows

_PARTS: dict[Kind, tuple[Kind, ...]] = {"concat": ("text", "collaborative")}


class ItemVectors:
    """Vectors of every item by kind, made when first asked for.

    Args:
        rows: the data set's rows.
        options: embedder, width and run of descriptions.
        home: fitted embedders, embedded texts and factors are kept below it.
    """

    def __init__(self, rows: CtrRows, options: Options, home: Path) -> None:
        self._rows, self._options, self._home = rows, options, home
        self._made: dict[Kind, Vectors] = {}
        self._without: npt.NDArray[np.int64] | None = None

    def without(self, rows: npt.NDArray[np.int64]) -> ItemVectors:
        """The same vectors, the collaborative ones made as if nobody had been asked these train rows.

        A train row's own like is part of what collaborative vectors are made from, and shows in them: who learns from
        train rows has to describe each of them by vectors that do not know its label.
        """
        other = ItemVectors(self._rows, self._options, self._home)
        other._made = {kind: self.part(kind) for kind in ("title", "description", "text")}
        other._without = rows
        return other

    def similarity(self, kind: Kind, items: npt.NDArray[np.int32], target: int) -> npt.NDArray[np.float32]:
        """How like the target each item is, float32[N]: the mean of the parts' cosines."""
        parts = [self.part(part) for part in _PARTS.get(kind, (kind,))]
        total: npt.NDArray[np.float32] = parts[0][items] @ parts[0][target]
        for part in parts[1:]:
            total = total + part[items] @ part[target]
        return total / np.float32(len(parts))

    def part(self, kind: Kind) -> Vectors:
        """float32[I + 1, D], row 0 zero, the other rows of length 1 (0 where nothing is known)."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        return self._made[kind]

    def _make(self, kind: Kind) -> Vectors:
        if kind == "title":
            return self._embedded(text.captions(self._corpus))
        if kind == "description":
            return self._embedded(self._descriptions)
        if kind == "text":
            return unit_rows(np.hstack([self.part("title"), self.part("description")]))
        assert kind == "collaborative", kind
        users, items = self._rows.training_likes(without=self._without)
        shape = (self._corpus.n_users, self._corpus.n_items)
        folder = self._home / "vectors" if self._without is None else None
        return unit_rows(collaborative(users, items, shape=shape, width=self._options.width, folder=folder).items)

    @property
    def _corpus(self) -> Corpus:
        return self._rows.corpus

    @cached_property
    def _descriptions(self) -> list[str]:
        """One text per item, its caption in front where it is described by a model."""
        stored = StoredDescriptions(self._home, self._options.descriptions)
        if not stored.id:
            return text.descriptions(self._corpus)
        items = [self._corpus.item(i) for i in range(1, self._corpus.n_items + 1)]
        told = stored.of(items)
        return [f"{text.caption(item)}. {told[item.id]}" for item in items]

    def _embedded(self, texts: list[str]) -> Vectors:
        name, folder = self._options.embedder, self._home / "vectors"
        embedder = open_embedder(name, fit_on=texts, cache=self._home / "embedders")
        found = _kept(folder, f"{embedder.name}", texts, embedder.embed)
        return np.vstack([np.zeros((1, found.shape[1]), np.float32), unit_rows(found)])


def _kept(folder: Path, name: str, texts: Sequence[str], embed: Callable[[Sequence[str]], Vectors]) -> Vectors:
    """Vectors of these texts by this embedder, read if they were made before."""
    digest = hashlib.sha256("\x1f".join([name, *texts]).encode()).hexdigest()[:16]
    path = folder / f"texts-{digest}.npy"
    if path.exists():
        kept: Vectors = np.load(path, allow_pickle=False)
        return kept
    made = embed(texts)
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, made)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(buffer.getvalue())
    unfinished.replace(path)
    return made
