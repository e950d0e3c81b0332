"""Users' histories, cut for the fold and described: what cot_rec.preference and cot_rec.perception start from.

Descriptions of an earlier run are read one example at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from agents.cot_rec import LongTermPreference, ShortTermInterest
from graphs.cot_rec import fold
from graphs.shared.catalogue import StoredDescriptions
from graphs.shared.users import Users, about_example
from graphs.workflow import Source
from whyrec.errors import UsageError
from whyrec.llm.model import About
from whyrec.records import Event, Example, Item

OFFICIAL_EVENTS = 10  # the released code shows the last ten items
MOST_CANDIDATES = 20  # bound of the answer types


@dataclass(frozen=True)
class Options:
    """Options that every graph over histories has.

    Attributes:
        split: whose target is to be predicted; the history shown is everything before it.
        batch, overlap, cap: events per summary, events shown again in the next, latest events kept.
        descriptions: id of a cot_rec.describe run; its texts are shown in place of the catalogue's. "" for none.
        candidates, seed: how many candidates are shown, the target unmarked among them, and the seed of their draw.
    """

    split: Literal["valid", "test"] = "test"
    batch: int = 10
    overlap: int = 2
    cap: int = 50
    descriptions: str = ""
    candidates: int = 10
    seed: int = 0


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Preference:
    """A user's long-term preference. The lists say what the last merge did."""

    summary: str
    keywords: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @classmethod
    def from_answer(cls, answer: ShortTermInterest | LongTermPreference) -> Preference:
        """The preference an agent wrote; a short-term interest is the first one (long_0 = short_0)."""
        if isinstance(answer, ShortTermInterest):
            return cls(answer.summary, answer.keywords)
        return cls(answer.summary, answer.keywords, answer.kept, answer.dropped, answer.added)

    @property
    def blank(self) -> dict[str, Any]:
        """What prompts show of it."""
        return {"summary": self.summary, "keywords": self.keywords}


NO_HISTORY = Preference("No history yet, so nothing is known about this user's preferences.")


@dataclass(frozen=True)
class Task:
    """What does not change while a graph runs.

    Attributes:
        example: whose history is read; its events are the last `cap` of the prefix.
        prefix: digest of the whole prefix, `events` its length.
        batches: the fold's batches, oldest first; of the new events only, where it goes on from a stored preference.
        mode: the workflow's mode.
        candidates: in the order shown; empty where the mode shows none.
        descriptions: made descriptions by item id, where an earlier run gave them.
    """

    example: Example
    prefix: str
    events: int
    batches: tuple[tuple[Event, ...], ...]
    mode: str
    candidates: tuple[Item, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def about(self, graph: str, node: str) -> About:
        """Where a call of this example comes from."""
        return about_example(self.example, graph, node)

    @property
    def latest(self) -> tuple[Event, ...]:
        """The events the one-shot modes show."""
        return self.example.history[-OFFICIAL_EVENTS:]


class Histories(Users, Generic[OptionsT]):
    """The users of a split. `options` are as given, with the ids of earlier runs in full.

    Raises:
        UsageError: sizes that make no batches, too few or too many candidates, a run of descriptions that is not one.
    """

    def __init__(self, source: Source, options: OptionsT) -> None:
        fold.check(options.batch, options.overlap, options.cap)
        if not 2 <= options.candidates <= MOST_CANDIDATES:
            raise UsageError(f"Option candidates is between 2 and {MOST_CANDIDATES}, not {options.candidates}.")
        self._descriptions = StoredDescriptions(source.home, options.descriptions)
        self.options: OptionsT = replace(options, descriptions=self._descriptions.id)
        super().__init__(source, options.split)

    def task(self, index: int, mode: str, *, with_candidates: bool = False, candidates: tuple[Item, ...] = ()) -> Task:
        """What a graph is about for this user: without candidates, with the frozen ones, or with those given.

        Raises:
            MissingInput: the run of descriptions lacks an item.
        """
        options = self.options
        example = self.view.example(index, last=options.cap)
        items = self.candidates(index, options.candidates, options.seed) if with_candidates else candidates
        known = self._descriptions.of((*(event.item for event in example.history), *items))
        if known:
            example = replace(example, history=tuple(_described(event, known) for event in example.history))
        return Task(
            example=example,
            prefix=self.view.prefix_digest(index),
            events=len(self.view.history(index)),
            batches=fold.batches(example.history, options.batch, options.overlap),
            mode=mode,
            candidates=items,
            descriptions=known,
        )

    def fold_calls(self, lengths: npt.NDArray[np.int64], *, more: bool = False) -> int:
        """Calls of one fold per length, all together."""
        options = self.options
        kinds, counts = np.unique(np.minimum(lengths, options.cap), return_counts=True)
        return sum(
            fold.fold_calls(int(n), options.batch, options.overlap, more=more) * int(count)
            for n, count in zip(kinds, counts, strict=True)
        )

    def distinct_candidates(self) -> int:
        """How many different items the frozen candidates of all users are."""
        rows = [self.candidate_indices(int(u), self.options.candidates, self.options.seed) for u in self.indices]
        return len(np.unique(np.concatenate(rows))) if rows else 0

    def description_calls(self, shown: int) -> int:
        """Calls to describe `shown` items on the fly: none with a run of descriptions, at most one per item."""
        return 0 if self.options.descriptions else min(shown, self.source.corpus.n_items)


def _described(event: Event, known: Mapping[str, str]) -> Event:
    return replace(event, item=replace(event.item, description=known[event.item.id]))
