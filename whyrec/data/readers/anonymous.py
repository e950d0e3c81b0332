"""Items without their names: does a model read what it is told, or does it only remember what it has read about them?

`ml-1m?titles=anonymous` calls every item "Item 17", always the same number for the same item, and so does the text of
the catalogue and of the reviews of an item where it repeats that item's own title. Brand, categories, descriptions and
reviews stay otherwise: what can be read of an item is still there, its name is not. A plot may still be recognised, so
`titles=bare` drops brand, description and reviews as well and keeps the categories alone.

The numbers are drawn, for the order of a file often tells what was met first or most. They are part of the data, so
runs and tables over anonymous items never mix with others.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from whyrec.data.corpus import Corpus
from whyrec.errors import UsageError

Titles: TypeAlias = Literal["anonymous", "bare"]
WAYS: tuple[Titles, ...] = ("anonymous", "bare")
_SEED = 20_260
_SHORTEST = 4  # characters of a title that is looked for in a text; shorter ones are words of any text
_YEAR = re.compile(r"\s*\([^()]*\)\s*$")
_ARTICLE = re.compile(r"^(?P<rest>.+), (?P<article>the|an?|la|le|les|el|il|der|die|das)$", re.IGNORECASE)


def titles_of(text: str) -> Titles:
    """The value of the option.

    Raises:
        UsageError: it is none of those known.
    """
    if text not in WAYS:
        raise UsageError(f"titles is {' or '.join(WAYS)}, not {text!r}.")
    return text


def anonymised(corpus: Corpus, titles: Titles) -> Corpus:
    """The same interactions over items without their names; see the module."""
    n = corpus.n_items
    names = [f"Item {number}" for number in np.random.default_rng(_SEED).permutation(n) + 1]
    table, bare = corpus.catalogue, titles == "bare"
    hidden = [_Hider(title, name) for title, name in zip(table["title"].to_list(), names, strict=True)]
    told = [("" if bare else hide(text)) for hide, text in zip(hidden, table["description"].to_list(), strict=True)]
    brands = [("" if bare else hide(text)) for hide, text in zip(hidden, table["brand"].to_list(), strict=True)]
    columns = [pl.Series("title", names, pl.String), pl.Series("description", told, pl.String)]
    reviews = corpus.reviews
    if reviews is not None:
        texts = ["" if bare else hidden[int(i) - 1](r) for i, r in zip(corpus.items, reviews.to_list(), strict=True)]
        reviews = pl.Series(reviews.name, texts, pl.String)
    return replace(
        corpus,
        catalogue=table.with_columns(*columns, pl.Series("brand", brands, pl.String)),
        reviews=reviews,
        notes={**corpus.notes, "titles": titles},
    )


class _Hider:
    """Puts an item's name in the place of its title wherever a text says it, with or without its year."""

    def __init__(self, title: str, name: str) -> None:
        self._name = name
        plain = _YEAR.sub("", title)
        turned = _ARTICLE.sub(r"\g<article> \g<rest>", plain)
        forms = {form.strip() for form in (title, plain, turned) if len(form.strip()) >= _SHORTEST}
        words = "|".join(re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form)))
        self._said = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def __call__(self, text: str | None) -> str:
        if not text or self._said is None:
            return text or ""
        return self._said.sub(self._name, text)
