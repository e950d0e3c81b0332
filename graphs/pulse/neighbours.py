"""Users with similar histories, and what they met in training (PULSE 4.2; spec 3.a SIMILAR_USERS).

A user's state is a vector made from a prefix of the history; users are similar by the cosine of their states. The
neighbours' states are made from their training events, s[:-2]; the asking user's from the history that the split may
show. Of a neighbour only training events are shown, in strict mode only those that had happened by the time of the last
event shown, and nothing that the asking user's own history holds already. The target decides nothing here.

Two kinds of state. `sasrec` is the paper's: SASRec with the preset, trained once and kept (minutes on a CPU). `svd` is
the default and takes a second: truncated SVD of the training matrix gives item vectors, and a state is their mean,
newer events counting for more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from graphs.workflow import Source
from whyrec.data.corpus import NO_TIME
from whyrec.data.split import SplitView
from whyrec.embed import Vectors, unit_rows
from whyrec.records import Event

States: TypeAlias = Literal["svd", "sasrec"]
Time: TypeAlias = Literal["strict", "any"]
Shown: TypeAlias = Literal["train", "all-i-know-this-leaks"]
_WIDTH = 64
_DECAY = 0.8  # weight of an event against the one after it, in an svd state


@dataclass(frozen=True)
class Similar:
    """Who counts as similar and what of them is shown.

    Attributes:
        states: what similarity is measured on.
        most: neighbours per user.
        latest: events shown of each neighbour.
        time: whether only events up to the last one of the history shown are.
        shown: which events of a neighbour may be shown.
    """

    states: States = "svd"
    most: int = 5
    latest: int = 3
    time: Time = "strict"
    shown: Shown = "train"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """See the module; made by `neighbours`.

    Attributes:
        view: the split whose histories ask.
        asking: float32[users of the view, D], unit rows, in the order of `view.users`.
        known: float32[users of the corpus, D], unit rows; zero for users without training events.
        how: who counts as similar and what is shown.
    """

    view: SplitView
    asking: Vectors
    known: Vectors
    how: Similar = Similar()

    def of(self, user: int) -> tuple[int, ...]:
        """The most similar other users, best first; users at right angles or beyond are not similar."""
        row = int(np.searchsorted(self.view.users, user))
        near = self.known @ self.asking[row]
        near[user] = -np.inf
        some = np.argpartition(-near, min(self.how.most, len(near) - 1))[: self.how.most]
        return tuple(int(u) for u in sorted(some.tolist(), key=lambda u: (-near[u], u)) if near[u] > 1e-6)

    def events(self, user: int) -> tuple[Event, ...]:
        """What similar users met: the most similar user's events first, newest first, each item once, unrated."""
        corpus = self.view.corpus
        met = set(self.view.history(user).tolist())
        until = self._until(user)
        found: dict[int, None] = {}
        for other in self.of(user):
            rows = [r for r in self._rows(other) if until is None or self._before(r, until)]
            fresh = (int(corpus.items[r]) for r in reversed(rows))
            new = [item for item in dict.fromkeys(fresh) if item not in met and item not in found]
            found |= dict.fromkeys(new[: self.how.latest])
        return tuple(Event(corpus.item(item)) for item in found)

    def _rows(self, user: int) -> Iterable[int]:
        """Rows of a neighbour's events that may be shown: s[:-2], or in the leaking form all of them."""
        corpus = self.view.corpus
        start, stop = int(corpus.offsets[user]), int(corpus.offsets[user + 1])
        if self.how.shown == "train":
            offsets = self._training_offsets
            stop = start + int(offsets[user + 1] - offsets[user])
        return range(start, stop)

    @cached_property
    def _training_offsets(self) -> npt.NDArray[np.int64]:
        """Where each user's training events s[:-2] begin, were they laid end to end."""
        return SplitView(self.view.corpus, "valid").sequences()[0]

    def _until(self, user: int) -> int | None:
        """Time of the last event of the history shown; None where it is not known or does not matter."""
        corpus = self.view.corpus
        if self.how.time == "any" or self.how.shown != "train" or corpus.moments is None:
            return None
        last = int(corpus.offsets[user]) + len(self.view.history(user)) - 1
        time = int(corpus.moments[last])
        return None if time == NO_TIME else time

    def _before(self, row: int, until: int) -> bool:
        assert self.view.corpus.moments is not None
        return NO_TIME < int(self.view.corpus.moments[row]) <= until


def neighbours(source: Source, view: SplitView, how: Similar) -> Neighbours:
    """Make the states of everybody in a split, and of everybody in training."""
    asking, known = {"svd": _svd, "sasrec": _sasrec}[how.states](source, view)
    return Neighbours(view, unit_rows(asking), unit_rows(known), how)


def _svd(source: Source, view: SplitView) -> tuple[Vectors, Vectors]:
    """(asking, known): decayed means of the items' right singular vectors of the training matrix."""
    import scipy.sparse as sp
    from sklearn.decomposition import TruncatedSVD

    corpus = view.corpus
    offsets, items = SplitView(corpus, "valid").sequences()
    users = np.repeat(np.arange(corpus.n_users), np.diff(offsets))
    met = sp.csr_matrix((np.ones(len(items)), (users, items)), (corpus.n_users, corpus.n_items + 1))
    met.data[:] = 1.0
    popular = np.maximum(np.asarray(met.sum(0)).ravel(), 1.0)
    width = max(1, min(_WIDTH, corpus.n_users - 1, corpus.n_items))
    svd = TruncatedSVD(n_components=width, random_state=0).fit(met @ sp.diags(popular**-0.5))
    vectors_ID = np.asarray(svd.components_).T.astype(np.float32)
    known = [items[offsets[u] : offsets[u + 1]] for u in range(corpus.n_users)]
    asking = [view.history(int(u)) for u in view.users]
    return _means(vectors_ID, asking), _means(vectors_ID, known)


def _means(vectors: Vectors, histories: list[npt.NDArray[np.int32]]) -> Vectors:
    found = np.zeros((len(histories), vectors.shape[1]), np.float32)
    for row, history in enumerate(histories):
        if len(history):
            weight = _DECAY ** np.arange(len(history) - 1, -1, -1, dtype=np.float32)
            found[row] = (weight / weight.sum()) @ vectors[history]
    return found


def _sasrec(source: Source, view: SplitView) -> tuple[Vectors, Vectors]:
    """(asking, known): SASRec's states after the last event; the fit is kept in `$WHYREC_HOME` and shared."""
    from graphs.shared.retriever import sasrec
    from rec_models.states import user_states

    _identity, made = sasrec(source, view, 0)
    corpus = view.corpus
    offsets, items = SplitView(corpus, "valid").sequences()
    known = [items[offsets[u] : offsets[u + 1]] for u in range(corpus.n_users)]
    model, source.trained["sasrec"] = made()
    return user_states(model, [view.history(int(u)) for u in view.users]), user_states(model, known)
