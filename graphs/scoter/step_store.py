"""Step matrices on disk: H [K, D] of a prefix, found by the prefix's digest (paper 3.3.1; spec 4.a STORE H).

    about.json    K, D, the template's steps, the embedder, the data's digest
    index.jsonl   a line per prefix: [digest, key of the example, places of missing steps]; row r is line r
    steps.f16     float16 [rows, K, D], little-endian, memory-mapped for reading

A prefix is stored once: equal prefixes have equal chains. A row is written before its line, and what a kill left
without a line is overwritten, so the store is whole at every moment. One writer at a time (the run's lock sees to it).

A chain may be joined only to a sample with exactly its prefix: `of` asks for the sample's own digest and raises
LeakageError where the sample's key is stored with another (spec 8.3). A step that is missing is a zero row, and the
mask says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whyrec.embed import Vectors
from whyrec.errors import LeakageError, UsageError

_ABOUT, _INDEX, _STEPS = "about.json", "index.jsonl", "steps.f16"
_AT_ONCE = 8192  # rows looked at together
Half = npt.NDArray[np.float16]


@dataclass(frozen=True)
class About:
    """What is in a store.

    Attributes:
        steps: the template's steps; K is their number.
        width: D.
        embedder: name of what embedded the steps.
        template: the template's name.
        data_digest: `Corpus.digest`.
    """

    steps: tuple[str, ...]
    width: int
    embedder: str
    template: str
    data_digest: str


class StepStore:
    """Matrices by prefix. Make one with `create`, read one with `open`."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder, self.about = folder, about
        self._rows: dict[str, int] = {}
        self._missing: list[tuple[int, ...]] = []
        self._digest_of: dict[str, str] = {}
        self._read_index()

    @classmethod
    def create(cls, folder: Path, about: About) -> StepStore:
        """The store in this folder, begun if it is not there.

        Raises:
            UsageError: what is there was made by another template, embedder or data set.
        """
        file = folder / _ABOUT
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(about), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        store = cls.open(folder)
        if store.about != about:
            raise UsageError(f"{folder} holds steps of {store.about}, not of {about}. Give another folder.")
        return store

    @classmethod
    def open(cls, folder: Path) -> StepStore:
        """The store in this folder.

        Raises:
            UsageError: there is none.
        """
        file = folder / _ABOUT
        if not file.exists():
            raise UsageError(f"There are no step matrices in {folder}. `whyrec run scoter.distil` makes them.")
        about = json.loads(file.read_text(encoding="utf-8"))
        return cls(folder, About(**{**about, "steps": tuple(about["steps"])}))

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, prefix: str) -> bool:
        return prefix in self._rows

    def put(self, key: str, prefix: str, steps_KD: Vectors, missing: Sequence[int] = ()) -> None:
        """Keep the matrix of a prefix; one that is there stays.

        Args:
            key: key of the example.
            prefix: digest of the prefix that the chain was made from.
            steps_KD: one row per step of the template.
            missing: steps without text; their rows become zero.
        """
        assert steps_KD.shape == self.shape
        half = steps_KD.astype("<f2")
        half[list(missing)] = 0.0
        if prefix not in self._rows:
            place = len(self._rows) * half.nbytes
            file = self.folder / _STEPS
            with file.open("r+b" if file.exists() else "w+b") as out:
                out.seek(place)
                out.write(half.tobytes())
        elif self._digest_of.get(key) == prefix:
            return
        places = [int(k) for k in missing]
        with (self.folder / _INDEX).open("a", encoding="utf-8") as out:
            out.write(json.dumps([prefix, key, places], separators=(",", ":")) + "\n")
        self._learn(prefix, key, places)

    @property
    def shape(self) -> tuple[int, int]:
        """(K, D)."""
        return len(self.about.steps), self.about.width

    def of(self, key: str, prefix: str) -> tuple[Half, npt.NDArray[np.bool_]] | None:
        """(H float16[K, D], mask bool[K]: the step is there) for a sample; None where its prefix has no chain.

        Args:
            key: key of the sample.
            prefix: digest of the sample's own prefix.

        Raises:
            LeakageError: the chain of this sample was made from another prefix.
        """
        made_from = self._digest_of.get(key)
        if made_from is not None and made_from != prefix:
            raise LeakageError(
                f"The chain of {key} in {self.folder} was made from the prefix {made_from}, but the sample's prefix is "
                f"{prefix}. Joining them would show the sample events that are not in its history; run scoter.distil "
                f"again on this data and split."
            )
        row = self._rows.get(prefix)
        if row is None:
            return None
        mask = np.ones(self.shape[0], dtype=bool)
        mask[list(self._missing[row])] = False
        return np.asarray(self.matrices[row]), mask

    @property
    def keys(self) -> Mapping[str, str]:
        """Key of an example -> digest of the prefix its chain was made from, in the order written."""
        return dict(self._digest_of)

    def nearest(self, prefix: str, step: int, k: int) -> list[tuple[str, float]]:
        """The k other prefixes whose step is nearest to this prefix's, by exact cosine: (prefix, cosine).

        Args:
            prefix: one of the store.
            step: its place from 0.
            k: at most this many; prefixes whose step is missing are not near anything.
        """
        own, matrices = self._rows[prefix], self.matrices
        query_D = matrices[own, step].astype(np.float32)
        cosines = np.full(len(matrices), -np.inf, dtype=np.float32)
        for at in range(0, len(matrices), _AT_ONCE):
            some_RD = matrices[at : at + _AT_ONCE, step].astype(np.float32)
            lengths_R = np.linalg.norm(some_RD, axis=1) * np.linalg.norm(query_D)
            there = lengths_R > 0
            cosines[at : at + _AT_ONCE][there] = (some_RD @ query_D)[there] / lengths_R[there]
        cosines[own] = -np.inf
        prefixes = list(self._rows)
        order = np.argsort(-cosines, kind="stable")[:k]
        return [(prefixes[row], float(cosines[row])) for row in order if np.isfinite(cosines[row])]

    @property
    def matrices(self) -> Half:
        """All matrices, float16[rows, K, D], memory-mapped."""
        if not self._rows:
            return np.zeros((0, *self.shape), dtype=np.float16)
        return np.memmap(self.folder / _STEPS, dtype="<f2", mode="r", shape=(len(self._rows), *self.shape))

    def _read_index(self) -> None:
        file = self.folder / _INDEX
        if not file.exists():
            return
        data = file.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # a kill cut the last line off
            with file.open("r+b") as out:
                out.truncate(len(whole))
        for line in whole.split(b"\n")[:-1]:
            self._learn(*json.loads(line))

    def _learn(self, prefix: str, key: str, missing: list[int]) -> None:
        if prefix not in self._rows:
            self._rows[prefix] = len(self._rows)
            self._missing.append(tuple(missing))
        self._digest_of[key] = prefix
