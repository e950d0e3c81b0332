"""What can be said of a text about a user or an item: how long it is, and how near it comes to the item that counts.

A text without a score is worth nothing by itself. How near it comes to the true next item, which no prompt has seen, is
the share of the other items of the catalogue whose captions are less like the text (by lsa) than the target's is. That
is called by its name and is no quality of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphs.outcomes import Judged, Outcomes, Worth
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.embed import open_embedder

PERCENTILE = "target's percentile"
SHOWN = "target's percentile (its prompt shows the target)"
OWN = "own item's percentile (its prompt shows the item)"
WORDS = "words"


def of_user(read: Callable[[Mapping[str, Any]], str], name: str = PERCENTILE) -> Outcomes:
    """Measures of a text about a user, which `read` takes from a payload."""

    def measures(judged: Judged) -> list[Worth]:
        texts = {r.key: read(p) for r, p in judged.done}
        view, index = _view_of(judged), judged.corpus.user_index
        # a prefix of a history ("train/USER@12") has another next item than its user
        users = {r.key: int(index[r.user]) for r, _ in judged.done if "@" not in r.key}
        targets = {key: (view.target(user), view.history(user)) for key, user in users.items()}
        near = percentiles(judged.corpus, {key: texts[key] for key in targets}, targets, cache=judged.home)
        return [*([Worth(name, near)] if near else []), words(texts)]

    return measures


def of_item(judged: Judged) -> list[Worth]:
    """Measures of a text about an item."""
    texts = {r.key: str(p["text"]) for r, p in judged.done}
    targets = {r.key: (int(p["index"]), np.empty(0, np.int32)) for r, p in judged.done}
    return [Worth(OWN, percentiles(judged.corpus, texts, targets, cache=judged.home)), words(texts)]


def words(texts: Mapping[str, str]) -> Worth:
    """How many words each text has; neither more nor fewer are better."""
    return Worth(WORDS, {key: float(len(text.split())) for key, text in texts.items()}, "")


def percentiles(
    corpus: Corpus, texts: Mapping[str, str], targets: Mapping[str, tuple[int, Any]], *, cache: Path
) -> dict[str, float]:
    """Of each text, the share of the other items that are less like it than its target is, ties half; chance .5.

    Args:
        corpus: whose items.
        texts: by key.
        targets: (item, items that do not count: those the text is made from) by key.
        cache: `$WHYREC_HOME`.
    """
    if not texts:
        return {}
    embedder = open_embedder("lsa", fit_on=captions(corpus), cache=cache / "embedders")
    near_NI = embedder.embed(list(texts.values())) @ embedder.embed(captions(corpus)).T
    found = {}
    for key, near_I in zip(texts, near_NI, strict=True):
        target, known = targets[key]
        rivals = np.ones(corpus.n_items, dtype=bool)
        rivals[np.asarray(known, dtype=np.int64) - 1] = False
        rivals[target - 1] = False
        others, mine = near_I[rivals], near_I[target - 1]
        below = float((others < mine).sum() + 0.5 * (others == mine).sum())
        found[key] = below / len(others) if len(others) else 0.5
    return found


def _view_of(judged: Judged) -> SplitView:
    """By the results, where the workflow calls its split otherwise."""
    splits = {result.split for result in judged.results}
    assert len(splits) == 1, "a run is of one split"
    return SplitView(judged.corpus, splits.pop())  # type: ignore[arg-type]
