"""What a table is made of: texts of items and users, and what a reasoning workflow said of each example.

`Artefacts.texts(source)` hands out one text per item (1..I) or per user (0..U-1), whoever wrote it: the data set
itself (captions, upstream descriptions) or a language model through a graph (`evals.inputs.graph_artefacts`). A user or
item the model failed on has the empty text, is listed in `failed` and counted in the table; nobody is left out.

`Artefacts.results(asked)` hands out the results of a run of any workflow, done and failed, as they were recorded; the
cell that asked turns them and the targets into outcomes (`evals.inputs.workflow_runs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

from whyrec.data import text
from whyrec.data.corpus import Corpus
from whyrec.data.some import HowMany, named
from whyrec.runs import Result

What = Literal["caption", "upstream", "description", "preference"]


@dataclass(frozen=True)
class Source:
    """Which texts.

    Attributes:
        what: "caption" (title, brand, categories of an item), "upstream" (the data set's own description as well),
            "description" (caption and what the model says of the item) or "preference" (what the model says of the
            user's training history, s[:-2]).
        llm: the model's name; "" for texts of the data set.
        batch: events read at a time by the preference graph.
        overlap: events two neighbouring batches share.
    """

    what: What
    llm: str = ""
    batch: int = 10
    overlap: int = 2

    def __str__(self) -> str:
        fold = f" {self.batch}/{self.overlap}" if self.what == "preference" else ""
        return f"{self.what}{f'@{self.llm}' if self.llm else ''}{fold}"


@dataclass(frozen=True)
class Texts:
    """Texts of one source.

    Attributes:
        texts: one per item 1..I, or per user 0..U-1; "" where there is none.
        failed: positions in `texts` whose text could not be made.
        note: how they came about (run id, calls, merges per user), JSON-able.
    """

    texts: tuple[str, ...]
    failed: tuple[int, ...] = ()
    note: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Digest of the texts."""
        return hashlib.sha256("\x1f".join(self.texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Asked:
    """Which run of which workflow.

    Attributes:
        graph: the workflow's name.
        llm: the model's name.
        options: the workflow's options as typed on a command line; one that names an earlier run may be that run's own
            `Asked`, which is then run first and named by its id.
        users: at most this many users of the split: the first ones, or `Drawn`; None for all of them.
    """

    graph: str
    llm: str
    options: tuple[tuple[str, str | Asked], ...] = ()
    users: HowMany = None

    def __str__(self) -> str:
        return self._told(str)

    @property
    def brief(self) -> str:
        """The same for people, who need not know of what runs the runs it names are made."""
        return self._told(lambda other: other.graph)

    def _told(self, tell: Callable[[Asked], str]) -> str:
        options = [
            f"{name}=({tell(value)})" if isinstance(value, Asked) else f"{name}={value}" for name, value in self.options
        ]
        users = [] if self.users is None else [f"users={named(self.users)}"]
        return " ".join([f"{self.graph}@{self.llm}", *options, *users])


Need: TypeAlias = Source | Asked


class Artefacts(Protocol):
    """Where an experiment gets from what it does not make itself. Everything is made on first use and kept."""

    def texts(self, source: Source) -> Texts:
        """The texts of this source; the same object each time."""
        ...

    def results(self, asked: Asked) -> tuple[Result, ...]:
        """The results of the examples of this run, ordered by key; the same object each time."""
        ...

    def digest(self, need: Need) -> str:
        """Digest of what is handed out for this need."""
        ...

    def note(self, need: Need) -> Mapping[str, Any]:
        """How it came about (run id, examples, failed), JSON-able."""
        ...


def of_the_data(corpus: Corpus, source: Source) -> Texts:
    """Captions, or captions with the data set's own descriptions: texts that no model had to write."""
    assert source.what in ("caption", "upstream")
    return Texts(tuple(text.captions(corpus) if source.what == "caption" else text.descriptions(corpus)))


def has_descriptions(corpus: Corpus) -> bool:
    """Whether at least a tenth of the items come with a description of their own."""
    described = sum(1 for d in corpus.catalogue["description"].to_list() if d)
    return described * 10 >= corpus.n_items
