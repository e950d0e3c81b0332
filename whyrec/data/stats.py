"""What a data set is like, in numbers: the table of `whyrec data stats`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from whyrec.data.corpus import NO_TIME, Corpus
from whyrec.data.prepare import ties
from whyrec.data.split import SplitView

LONG = 20


def describe(corpus: Corpus) -> dict[str, Any]:
    """Numbers about a corpus; JSON-ready, shares in 0..1.

    `cold` targets are items that no training sequence holds. `repeated` counts rows, and test targets, whose item the
    user has met before (spec 9.5: masking seen items makes such targets unreachable). `ties` as in spec 1.1.
    """
    lengths = corpus.lengths
    return {
        "name": corpus.name,
        "digest": corpus.digest,
        "users": corpus.n_users,
        "items": corpus.n_items,
        "interactions": corpus.n_interactions,
        "length": {
            "mean": float(lengths.mean()),
            "median": float(np.median(lengths)),
            "p95": float(np.percentile(lengths, 95)),
            "longest": int(lengths.max()),
            f"share of test histories over {LONG}": float((lengths - 1 > LONG).mean()),
        },
        "targets": _targets(corpus),
        "time": _time(corpus),
        "text": _text(corpus),
        "ratings": _ratings(corpus),
        "reviews": 0.0 if corpus.reviews is None else _share(corpus.reviews.str.len_bytes() > 0),
        "repeated": _repeated(corpus),
        "notes": {k: v for k, v in corpus.notes.items() if not k.startswith("tied")},
    }


def _targets(corpus: Corpus) -> dict[str, Any]:
    test = SplitView(corpus, "test")
    trained = np.zeros(corpus.n_items + 1, dtype=bool)
    trained[test.sequences()[1]] = True
    cold = ~trained[test.targets]
    return {
        "users with a test target": len(test.users),
        "sliding train samples": int(np.maximum(np.diff(test.sequences()[0]) - 1, 0).sum()),
        "cold test targets": float(cold.mean()) if len(cold) else 0.0,
    }


def _time(corpus: Corpus) -> dict[str, Any]:
    if corpus.times is None:
        return {"coverage": 0.0}
    known = corpus.times[corpus.times != NO_TIME]
    first, last = (datetime.fromtimestamp(int(t), UTC).date().isoformat() for t in (known.min(), known.max()))
    return {"coverage": len(known) / corpus.n_interactions, "first": first, "last": last} | {
        k: v for k, v in ties(corpus).items() if k.startswith("tied")
    }


def _text(corpus: Corpus) -> dict[str, float]:
    """Share of items with each text."""
    shares = {c: _share(corpus.catalogue[c].str.len_bytes() > 0) for c in ("title", "description", "brand")}
    return {**shares, "categories": _share(corpus.catalogue["categories"].list.len() > 0)}


def _share(of: pl.Series) -> float:
    return int(of.sum()) / max(len(of), 1)


def _ratings(corpus: Corpus) -> dict[str, float]:
    if corpus.ratings is None:
        return {"coverage": 0.0}
    known = corpus.ratings[~np.isnan(corpus.ratings)]
    if not len(known):
        return {"coverage": 0.0}
    return {
        "coverage": len(known) / corpus.n_interactions,
        "mean": float(known.mean()),
        "lowest": float(known.min()),
        "highest": float(known.max()),
    }


def _repeated(corpus: Corpus) -> dict[str, Any]:
    owner = np.repeat(np.arange(corpus.n_users), corpus.lengths)
    again = ~pl.Series(owner * (corpus.n_items + 1) + corpus.items).is_first_distinct().to_numpy()
    last = corpus.offsets[SplitView(corpus, "test").users + 1] - 1
    return {"rows": int(again.sum()), "test targets": float(again[last].mean()) if len(last) else 0.0}
