"""What one example may see: the history before its moment, and the names of everything that comes later.

A scope is made from the data alone, through `SplitView` or, for rows, `CtrView`; nothing in the run decides it but the
example's key. `later` leaves out what the history holds as well: an item met again is no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np

from graphs.rallrec.rows import rows_of
from graphs.workflow import Source, recorded_options, workflow
from whyrec.data.corpus import NO_TIME, Corpus
from whyrec.data.ctr import CtrView
from whyrec.data.questions import Gold, Questions
from whyrec.data.split import SplitView, prefix_digest
from whyrec.records import Split
from whyrec.workbench.audit.names import Name, Text, name_of

ROWS = ("rallrec.retrieve", "rallrec.predict")
_KEPT = 700  # characters that a recorded blank keeps of a field (prompts.lines)
_SCOPES = 2048


@dataclass(frozen=True)
class Scope:
    """One example's moment.

    Attributes:
        user: dense index; -1 for a question.
        prefix: digest of the history, "" for a question.
        events: length of the history.
        met: item -> (rating, review) of each time the history holds it.
        target: what the split asks for: the next item, or the row's.
        later: names of what comes after the history and is not in it; of a question, its answer.
        reviews: what the user says of later events.
        until: time of the last event of the history; None where unknown.
        visible: all texts that may be seen, for names that they hold as well.
    """

    user: int
    prefix: str
    events: int
    met: Mapping[int, frozenset[tuple[float | None, str]]]
    target: int
    later: tuple[Name, ...]
    reviews: tuple[str, ...]
    until: int | None
    visible: Texts

    @cached_property
    def text(self) -> Text:
        """What may be seen, as words."""
        return Text(self.visible())

    @cached_property
    def items(self) -> frozenset[int]:
        """The later items by number."""
        return frozenset(name.item for name in self.later)


class Texts(Protocol):
    """Makes a text when it is asked for."""

    def __call__(self) -> str:
        """The text."""
        ...


class Scopes:
    """The scopes of a run's examples.

    Args:
        data: what the run was made from, checked by its digest.
        graph: of the run.
        options: its options, as recorded.
        source: where the data came from.
    """

    def __init__(self, graph: str, options: Mapping[str, Any], source: Source) -> None:
        self.data = source.data
        self._rows = None
        if graph in ROWS:
            self._rows = rows_of(source, recorded_options(workflow(graph), options))
        self._gold = Gold(self.data) if isinstance(self.data, Questions) else None
        self.of = lru_cache(maxsize=_SCOPES)(self._of)

    def _of(self, key: str, user: str, split: str) -> Scope | None:
        """The scope of an example; None where it is nobody's (an item, a whole data set) or not of this data."""
        if isinstance(self.data, Questions):
            return self._question(key)
        if "/row-" in key and self._rows is not None:
            return self._row(int(key.rpartition("-")[2]))
        index = self.data.user_index.get(user) if user else None
        if index is None or split not in ("train", "valid", "test"):
            return None
        name: Split = split  # type: ignore[assignment]
        view = SplitView(self.data, name)
        stop = len(view.history(index))
        if "@" in key and key.rpartition("@")[2].isdecimal():
            stop = min(stop, int(key.rpartition("@")[2]))
        start = int(self.data.offsets[index])
        return self._scope(self.data, index, start, start + stop, prefix_digest(view.history(index)[:stop]))

    def _row(self, row: int) -> Scope:
        assert self._rows is not None
        view = CtrView(self._rows, "test")
        start, stop = view.span(row)
        return self._scope(self._rows.corpus, view.user(row), start, stop, view.prefix_digest(row))

    def _scope(self, corpus: Corpus, user: int, start: int, stop: int, digest: str) -> Scope:
        met: dict[int, set[tuple[float | None, str]]] = {}
        for row in range(start, stop):
            met.setdefault(int(corpus.items[row]), set()).add(_said(corpus, row))
        end = int(corpus.offsets[user + 1])
        after = [int(i) for i in corpus.items[stop:end]]
        items = [corpus.item(i) for i in dict.fromkeys(after) if i not in met]
        time = None if corpus.moments is None or stop == start else int(corpus.moments[stop - 1])
        reviews = () if corpus.reviews is None else tuple(r for r in corpus.reviews[stop:end].to_list() if r)

        def visible() -> str:
            shown = [corpus.item(i) for i in met]
            texts = [f"{i.title}. {i.description}. {i.brand}. {', '.join(i.categories)}" for i in shown]
            return "\n".join((*texts, *(review for said in met.values() for _, review in said)))

        return Scope(
            user=user,
            prefix=digest,
            events=stop - start,
            met={item: frozenset(said) for item, said in met.items()},
            target=after[0] if after else 0,
            later=tuple(name_of(i.index, i.id, i.title) for i in items),
            reviews=reviews,
            until=None if time in (None, NO_TIME) else time,
            visible=visible,
        )

    def _question(self, key: str) -> Scope | None:
        assert isinstance(self.data, Questions) and self._gold is not None
        place = self._places.get(key.partition("/")[2])
        if place is None:
            return None
        question, answer = self.data.questions[place], self._gold.answer(place)
        telling = answer.lower() not in ("yes", "no", "")
        return Scope(
            user=-1,
            prefix="",
            events=0,
            met={},
            target=place,
            later=(name_of(0, "", answer),) if telling else (),
            reviews=(),
            until=None,
            visible=lambda: "\n".join([question.text, *(f"{p.title}. {p.text}" for p in question.paragraphs)]),
        )

    @cached_property
    def _places(self) -> dict[str, int]:
        assert isinstance(self.data, Questions)
        return {question.id: place for place, question in enumerate(self.data.questions)}

    def met_in_training(self, item: int, *, but: int, until: int | None) -> bool:
        """Whether another user met an item in training, by this time where one is given."""
        rows = self._trained.get(item)
        if rows is None:
            return False
        users, times = rows
        others = users != but
        if until is not None and times is not None:
            others &= (times > NO_TIME) & (times <= until)
        return bool(others.any())

    @cached_property
    def _trained(self) -> dict[int, tuple[Any, Any]]:
        """Item -> (users, times) of its training events."""
        assert isinstance(self.data, Corpus)
        corpus = self.data
        lengths = corpus.lengths
        kept = np.where(lengths >= 3, lengths - 2, lengths)
        place = np.arange(len(corpus.items)) - np.repeat(corpus.offsets[:-1], lengths)
        rows = np.flatnonzero(place < np.repeat(kept, lengths))
        users = np.repeat(np.arange(corpus.n_users), lengths)[rows]
        order = np.argsort(corpus.items[rows], kind="stable")
        rows, users = rows[order], users[order]
        items, starts = np.unique(corpus.items[rows], return_index=True)
        ends = np.append(starts[1:], len(rows))
        times = corpus.moments
        return {
            int(item): (users[a:b], None if times is None else times[rows[a:b]])
            for item, a, b in zip(items, starts, ends, strict=True)
        }


def options_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a run's manifest."""
    return dict(json.loads(info["settings"])["options"])


def _said(corpus: Corpus, row: int) -> tuple[float | None, str]:
    rating = None if corpus.ratings is None or np.isnan(corpus.ratings[row]) else float(corpus.ratings[row])
    return rating, "" if corpus.reviews is None else str(corpus.reviews[row] or "")[:_KEPT]
