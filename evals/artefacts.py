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


def captions(corpus: Corpus) -> Texts:
    """Title, brand and categories of every item; an item without any has the empty text."""
    rows = corpus.catalogue.select("title", "brand", "categories").iter_rows()
    return Texts(tuple(_joined(title, brand, ", ".join(categories)) for title, brand, categories in rows))


def upstream_descriptions(corpus: Corpus) -> Texts:
    """Captions followed by the data set's own descriptions."""
    described = corpus.catalogue["description"].to_list()
    return Texts(tuple(_joined(c, d) for c, d in zip(captions(corpus).texts, described, strict=True)))


def has_descriptions(corpus: Corpus) -> bool:
    """Whether at least a tenth of the items come with a description of their own."""
    return bool((corpus.catalogue["description"] != "").mean() >= 0.1)  # type: ignore[operator]


def _joined(*parts: str) -> str:
    return ". ".join(part.strip().rstrip(".") for part in parts if part.strip())
