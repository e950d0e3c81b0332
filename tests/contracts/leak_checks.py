"""What must hold of artefacts so that no target leaks (spec 8), as functions that list what is wrong.

Tests reach them through the fixture `leak_checks`, on our artefacts and on artefacts with a leak put in on purpose.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import scipy.stats

from whyrec.data.split import MIN_EVENTS, SplitView

_BACK = {"train": 3, "valid": 2, "test": 1}


def candidate_faults(corpus, users, targets, items) -> list[str]:
    """Spec 8.4: target exactly once, nothing the user met among the negatives, no repeats, places uniform."""
    faults = []
    hits = items == targets[:, None]
    if not (hits.sum(axis=1) == 1).all():
        faults.append("target not exactly once")
    if any(len(set(row)) < len(row) for row in items.tolist()):
        faults.append("repeated candidate")
    for user, target, row in zip(users.tolist(), targets.tolist(), items.tolist(), strict=True):
        met = set(corpus.items[corpus.offsets[user] : corpus.offsets[user + 1]].tolist())
        if (set(row) - {target}) & met:
            faults.append("negative the user has met")
            break
    places = np.bincount(hits.argmax(axis=1), minlength=items.shape[1])
    if scipy.stats.chisquare(places).pvalue < 1e-4:
        faults.append("place of the target not uniform")
    return faults


def sentinel_places(texts, sentinel: str) -> list[int]:
    """Spec 8.1: which of the texts hold the sentinel that stands for a target."""
    return [i for i, text in enumerate(texts) if sentinel in text]


def prefix_mismatches(pairs) -> list[int]:
    """Spec 8.3: which (digest of the prefix an artefact was made from, digest of the sample's prefix) differ."""
    return [i for i, (made_from, joined_to) in enumerate(pairs) if made_from != joined_to]


def poisoned(corpus, split, mark):
    """The corpus with every event from the split's target on replaced by an item of its own, its title begun so."""
    items, titles = corpus.items.copy(), []
    for user in range(corpus.n_users):
        if corpus.lengths[user] >= MIN_EVENTS:
            for back in range(1, min(_BACK[split], corpus.lengths[user]) + 1):
                titles.append(f"{mark}{len(titles):03d}X")
                items[corpus.offsets[user + 1] - back] = corpus.n_items + len(titles)
    extra = pl.DataFrame(
        {
            "id": [f"poison{t}" for t in titles],
            "title": titles,
            "description": [""] * len(titles),
            "brand": [""] * len(titles),
            "categories": [[] for _ in titles],
        },
        schema=corpus.catalogue.schema,
    )
    reviews = None if corpus.reviews is None else pl.Series([""] * len(items))
    return dataclasses.replace(corpus, items=items, catalogue=pl.concat([corpus.catalogue, extra]), reviews=reviews)


def show_one_more(monkeypatch):
    """A leak: every view shows its target as the last event of the history."""
    span = SplitView._span
    monkeypatch.setattr(SplitView, "_span", lambda self, user: (span(self, user)[0], span(self, user)[1] + 1))


def permuted(corpus):
    """Test targets, with all that belongs to them, dealt out anew among the users."""
    last = corpus.offsets[1:] - 1
    order = np.random.default_rng(0).permutation(len(last))
    columns = {"items": corpus.items, "times": corpus.times, "ratings": corpus.ratings}
    changed = {}
    for name, column in columns.items():
        if column is not None:
            changed[name] = column.copy()
            changed[name][last] = column[last][order]
    assert (changed["items"] != corpus.items).any()
    return dataclasses.replace(corpus, **changed)
