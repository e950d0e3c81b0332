"""An item or a user as one line of text, for embedding and search. Never a target, never a review of one."""

from __future__ import annotations

from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.records import Item


def caption(item: Item) -> str:
    """Title, brand and categories: CoT-Rec's caption (paper 4.2.2). Empty parts are left out."""
    return ". ".join(part for part in (item.title, item.brand, " > ".join(item.categories)) if part)


def captions(corpus: Corpus) -> list[str]:
    """Captions of items 1..n_items, in that order."""
    return [caption(corpus.item(i)) for i in range(1, corpus.n_items + 1)]


def descriptions(corpus: Corpus) -> list[str]:
    """Caption and the data set's own description, items 1..n_items."""
    items = (corpus.item(i) for i in range(1, corpus.n_items + 1))
    return [f"{caption(item)}. {item.description}" if item.description else caption(item) for item in items]


def histories(view: SplitView, *, last: int = 10) -> list[str]:
    """Per user of `view.users`, the captions of the latest events that the view may show."""
    return [" | ".join(caption(view.corpus.item(int(i))) for i in view.history(int(u))[-last:]) for u in view.users]
