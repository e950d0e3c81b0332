"""What must hold of artefacts so that no target leaks (spec 8), as functions that list what is wrong.

Tests reach them through the fixture `leak_checks`, on our artefacts and on artefacts with a leak put in on purpose.
"""

from __future__ import annotations

import numpy as np
import scipy.stats


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
