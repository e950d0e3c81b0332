"""Candidate sets: the target among N sampled items, drawn once per seed and frozen to a file.

Spec 3.d: negatives are drawn uniformly, without replacement, from the items the user never met in any split, so the
target occurs once and no right answer of another split is called wrong; the target's place is uniform.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whyrec.data.corpus import IntArray
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.records import Split

_FORMAT = 1
_BLOCK = 512  # users drawn together: their ranks stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Candidates:
    """Frozen candidates of one split.

    Attributes:
        split: whose targets these are.
        seed: what they were drawn with.
        data_digest: `Corpus.digest` of the data.
        users: int64[U], the users of `SplitView.users`, in that order.
        items: int32[U, n + 1], item indices in the order shown; the target stands at a random place of its row.
    """

    split: Split
    seed: int
    data_digest: str
    users: IntArray
    items: npt.NDArray[np.int32]

    @property
    def negatives(self) -> int:
        """Items per user besides the target."""
        return int(self.items.shape[1]) - 1

    def of(self, user: int) -> npt.NDArray[np.int32]:
        """The candidates of one user (dense index), in the order shown.

        Raises:
            KeyError: the user has no target in this split.
        """
        row = int(np.searchsorted(self.users, user))
        if row == len(self.users) or self.users[row] != user:
            raise KeyError(f"User {user} has no {self.split} candidates.")
        shown: npt.NDArray[np.int32] = self.items[row]
        return shown

    def save(self, path: Path) -> None:
        """Write to a .npz file, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {"format": _FORMAT, "split": self.split, "seed": self.seed, "data_digest": self.data_digest}
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("wb") as stream:
            np.savez_compressed(stream, about=np.array(json.dumps(about)), users=self.users, items=self.items)
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path, view: SplitView) -> Candidates:
        """Read a file written by `save`, for this view and no other.

        Raises:
            UsageError: no such file, not such a file, or drawn from other data or for another split.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about, users, items = json.loads(str(file["about"])), file["users"], file["items"]
        except FileNotFoundError:
            raise UsageError(f"There is no candidate file {path}.") from None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} is not a candidate file ({error}).") from None
        wanted = {"format": _FORMAT, "split": view.split, "data_digest": view.corpus.digest}
        for key, value in wanted.items():
            if about.get(key) != value:
                raise UsageError(
                    f"{path} was drawn for {key} {about.get(key)!r}, but this is {value!r} of {view.corpus.name}. "
                    "Delete it to draw anew; results on the old candidates stay comparable only with one another."
                )
        return cls(view.split, int(about["seed"]), str(about["data_digest"]), users, items)


def sample(view: SplitView, n: int, seed: int = 0) -> Candidates:
    """Draw n negatives beside the target, for every user of the view.

    Args:
        view: the split to draw for.
        n: negatives per user.
        seed: of the draw.

    Raises:
        UsageError: n is not positive, or a user has met so many items that fewer than n are left.
    """
    if n < 1:
        raise UsageError(f"Candidates need at least one negative, not {n}.")
    users, corpus = view.users, view.corpus
    met_users, met_ranks, met_counts = _met(view)
    unmet = corpus.n_items - met_counts
    if len(users) and int(unmet.min()) < n:
        worst = int(unmet.argmin())
        raise UsageError(
            f"{n} negatives were asked for, but user {corpus.user_ids[int(users[worst])]} of {corpus.name} has met all "
            f"but {int(unmet[worst])} of {corpus.n_items} items. Ask for fewer, or for the full catalogue."
        )
    rng = np.random.default_rng(seed)
    blocks = np.split(unmet.astype(np.int32), range(_BLOCK, len(unmet), _BLOCK))
    ranks = np.concatenate([_draw(rng, block, n) for block in blocks])
    items = np.concatenate([view.targets[:, None], _items(ranks, met_users, met_ranks, corpus.n_items)], axis=1)
    items = rng.permuted(items.astype(np.int32), axis=1)
    return Candidates(view.split, seed, corpus.digest, users, items)


def _draw(rng: np.random.Generator, unmet: npt.NDArray[np.int32], n: int) -> npt.NDArray[np.int32]:
    """n distinct ranks per user, each below the user's `unmet`; int32[U, n], every set equally likely.

    Floyd's algorithm, all users at once: step k draws a rank among the first m - n + k + 1 and takes the last of
    these instead if the drawn one is taken.
    """
    ranks = np.empty((len(unmet), n), dtype=np.int32)
    for k in range(n):
        last = unmet - np.int32(n - k)
        drawn = rng.integers(0, last, endpoint=True, dtype=np.int32)
        taken = (ranks[:, :k] == drawn[:, None]).any(axis=1)
        ranks[:, k] = np.where(taken, last, drawn)
    return ranks


def frozen(view: SplitView, n: int, seed: int, *, folder: Path) -> Candidates:
    """The candidates kept in `folder` for this data, split, n and seed; drawn and written the first time.

    Raises:
        UsageError: as `sample`, or the file there is damaged or foreign.
    """
    path = folder / f"{view.corpus.digest}-{view.split}-{n}-{seed}.npz"
    if path.exists():
        return Candidates.load(path, view)
    candidates = sample(view, n, seed)
    candidates.save(path)
    return candidates


def _met(view: SplitView) -> tuple[IntArray, IntArray, IntArray]:
    """What the view's users met in any split: (row of the user, item - 1) sorted and distinct, and counts per user."""
    corpus, users = view.corpus, view.users
    row_of = np.full(corpus.n_users, -1, dtype=np.int64)
    row_of[users] = np.arange(len(users))
    owner = np.repeat(row_of, corpus.lengths)
    pairs = np.unique((owner * corpus.n_items + corpus.items - 1)[owner >= 0])
    rows = pairs // corpus.n_items
    return rows, pairs % corpus.n_items, np.bincount(rows, minlength=len(users))


def _items(ranks: npt.NDArray[np.int32], rows: IntArray, met: IntArray, n_items: int) -> IntArray:
    """Item indices of ranks among each user's unmet items, int64[U, n].

    The rank-th unmet item is rank + (number of met items before it); met item j, the i-th of its user, lies before
    exactly the ranks >= j - i.
    """
    first = np.searchsorted(rows, np.arange(len(ranks)))
    before = met - (np.arange(len(met)) - first[rows])
    keys, wanted = rows * (n_items + 1) + before, np.arange(len(ranks))[:, None] * (n_items + 1) + ranks
    skipped = np.searchsorted(keys, wanted, side="right") - first[:, None]
    return ranks + skipped + 1
