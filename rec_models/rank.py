"""Where the target stands in the whole catalogue, by counting and never by sorting.

A target's place needs only two numbers: how many candidates scored above it and how many scored the same (`Ranking`).
Counting them in a chunk of scores that still lies in the cache costs less than making the scores. Seen items are set
to minus infinity without looking at the target: a target that was seen before stands last, tied with the other seen
ones (on data with repeats, de-duplicate first: spec 9.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rec_models.base import Prepared, Recommender
from rec_models.sequential.batches import Rows, history_rows
from whyrec.data.corpus import IntArray
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.records import Ranking

SLICE = 128
"""Users scored at a time: their scores of a catalogue of ten thousand still lie in the cache when they are counted."""


@dataclass(frozen=True, eq=False)
class Places:
    """`Ranking`s in columns, one entry per user of `view.users`; items [users, top]."""

    better: IntArray
    ties: IntArray
    candidates: int
    items: IntArray

    def expected(self, cut: int = 10) -> tuple[float, float]:
        """(mean NDCG@cut, mean Recall@cut), each the expectation over a random order of ties (spec 1.5)."""
        gain = np.zeros(cut + 1)
        gain[1:] = np.cumsum(1 / np.log2(np.arange(2, cut + 2)))
        first, last = np.minimum(self.better, cut), np.minimum(self.better + self.ties + 1, cut)
        share = self.ties + 1
        return float(((gain[last] - gain[first]) / share).mean()), float(((last - first) / share).mean())


def rank(
    model: Recommender,
    view: SplitView,
    *,
    candidates: Any = None,
    mask_seen: bool = True,
    top: int = 10,
    batch: int = 512,
) -> list[Ranking]:
    """Rank the target of every user of a split.

    Args:
        model: anything with `encode` and `scores`.
        view: whose targets, from which histories.
        candidates: None for the full catalogue; or item ids [users, C], aligned with `view.users`, each row holding
            the target exactly once (or an object with that array as `.items`).
        mask_seen: items of the history shown cannot be recommended (full catalogue only).
        top: how many best items to keep in each ranking, 0 for none.
        batch: users encoded at a time.

    Returns:
        One `Ranking` per user, in the order of `view.users`.

    Raises:
        UsageError: candidates of the wrong shape, or without the target.
    """
    p = places(model, view, candidates=candidates, mask_seen=mask_seen, top=top, batch=batch)
    columns = zip(view.users.tolist(), p.better.tolist(), p.ties.tolist(), p.items.tolist(), strict=True)
    return [Ranking(user, better, ties, p.candidates, tuple(items)) for user, better, ties, items in columns]


def places(
    model: Recommender,
    view: SplitView,
    *,
    candidates: Any = None,
    mask_seen: bool = True,
    top: int = 0,
    batch: int = 512,
) -> Places:
    """`rank` in columns."""
    rows = history_rows(view, 1 << 40)
    shown = _latest(rows, model.max_length)
    allowed = None if candidates is None else _allowed(candidates, view)
    width = view.corpus.n_items if allowed is None else allowed.shape[1]
    better, ties = np.zeros(len(view.users), np.int64), np.zeros(len(view.users), np.int64)
    best = np.zeros((len(view.users), min(top, width)), np.int64)
    flags = np.empty((SLICE, width), bool)
    order = np.argsort(shown.lengths, kind="stable")
    with _evaluating(model) as device, torch.inference_mode():
        scores_of = model.scorer() if isinstance(model, Prepared) else model.scores
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            states = model.encode(shown.batch(some).to(device))
            for first in range(0, len(some), SLICE):
                who = some[first : first + SLICE]
                # Nothing holds the last slice's scores here: these lie in the same, still warm memory.
                scores = scores_of(states[first : first + SLICE])
                target = torch.from_numpy(view.targets[who].astype(np.int64)).to(device)
                ids = None if allowed is None else torch.from_numpy(allowed[who]).to(device)
                if ids is not None:
                    scores = scores.gather(1, ids - 1)
                elif mask_seen:
                    _mask(scores, rows, who)
                at = target - 1 if ids is None else (ids == target[:, None]).int().argmax(1)
                better[who], ties[who] = _count(scores, at, flags)
                if best.shape[1]:
                    found = scores.topk(best.shape[1], dim=1).indices
                    best[who] = (found + 1 if ids is None else ids.gather(1, found)).cpu().numpy()
                del scores
    return Places(better, ties, width, best)


def _latest(rows: Rows, length: int) -> Rows:
    kept = np.minimum(rows.lengths, length)
    return Rows(rows.items, rows.users, rows.starts + rows.lengths - kept, kept)


def _allowed(candidates: Any, view: SplitView) -> IntArray:
    """Candidates as int64 [users, C], checked."""
    ids = np.asarray(getattr(candidates, "items", candidates)).astype(np.int64)
    if ids.ndim != 2 or len(ids) != len(view.users):
        raise UsageError(
            f"Candidates have shape {ids.shape}, but the {view.split} split of {view.corpus.name} has "
            f"{len(view.users)} users: give one row of item ids per user of view.users."
        )
    held = (ids == view.targets[:, None]).sum(1)
    if (held != 1).any():
        user = view.users[np.flatnonzero(held != 1)[0]]
        raise UsageError(f"The candidates of user {user} do not hold the target exactly once; sample them anew.")
    return ids


def _mask(scores: Tensor, rows: Rows, who: IntArray) -> None:
    """Set what each user has met to minus infinity."""
    lengths = rows.lengths[who]
    line = np.repeat(np.arange(len(who)), lengths)
    flat = (
        np.arange(len(line)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(rows.starts[who], lengths)
    )
    scores[torch.from_numpy(line), torch.from_numpy(rows.items[flat] - 1)] = -torch.inf


def _count(scores: Tensor, at: Tensor, flags: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """(scores above the target's, other scores equal to it) per line.

    NumPy on CPU, into `flags`, which is used again: its comparison and count of bytes take a tenth of torch's time.
    """
    wanted = scores.gather(1, at[:, None])
    if scores.device.type == "cpu":
        table, line = scores.float().numpy(), wanted.float().numpy()
        flags = flags[: len(table)]
        np.less_equal(table, line, out=flags)
        upto = np.fromiter((np.count_nonzero(row) for row in flags), np.int64, len(flags))
        np.less(table, line, out=flags)
        below = np.fromiter((np.count_nonzero(row) for row in flags), np.int64, len(flags))
    else:
        upto = (scores <= wanted).sum(1).cpu().numpy()
        below = (scores < wanted).sum(1).cpu().numpy()
    assert (upto > below).all(), "the model gave a target the score NaN: it has diverged"
    return scores.shape[1] - upto, upto - below - 1


@contextmanager
def _evaluating(model: Recommender) -> Iterator[torch.device]:
    """The model without dropout, and where its parameters are."""
    if not isinstance(model, torch.nn.Module):
        yield torch.device("cpu")
        return
    was = model.training
    model.eval()
    try:
        yield next(model.parameters()).device
    finally:
        model.train(was)
