"""The texts a table is made of: what items are called and described as, and what users prefer.

`Artefacts.texts(source)` hands out one text per item (1..I) or per user (0..U-1), whoever wrote it: the data set
itself (captions, upstream descriptions) or a language model through a graph (`evals.graph_artefacts`). A user or item
the model failed on has the empty text, is listed in `failed` and counted in the table; nobody is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from whyrec.data import text
from whyrec.data.corpus import Corpus

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


class Artefacts(Protocol):
    """Where an experiment gets texts from."""

    def texts(self, source: Source) -> Texts:
        """The texts of this source; made on first use, the same object afterwards."""
        ...


def of_the_data(corpus: Corpus, source: Source) -> Texts:
    """Captions, or captions with the data set's own descriptions: texts that no model had to write."""
    assert source.what in ("caption", "upstream")
    return Texts(tuple(text.captions(corpus) if source.what == "caption" else text.descriptions(corpus)))


def has_descriptions(corpus: Corpus) -> bool:
    """Whether at least a tenth of the items come with a description of their own."""
    described = sum(1 for d in corpus.catalogue["description"].to_list() if d)
    return described * 10 >= corpus.n_items
