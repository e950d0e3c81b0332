"""What a data set has and has not, and whether a claim may be judged on it: derived from the data, said in table heads.

A description cannot help where nothing is described, and a review cannot be read where there is none; a table that does
not say so lets its reader think of the paper's data. Some sets are there to exercise code: what is generated, and the
samples marked in the catalogue (whyrec/data/download/catalogue.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from whyrec.data import address
from whyrec.data.corpus import Corpus
from whyrec.data.download.catalogue import SAMPLES
from whyrec.data.questions import Questions

_FEW = 0.1  # share below which a kind of text is said to be missing


def holds(data: Corpus | Questions) -> str:
    """One sentence on which texts and ratings the data have; "" of questions."""
    if isinstance(data, Questions):
        return ""
    shares = _shares(data)
    there = [f"{name} ({share:.0%})" for name, share in shares.items() if share >= _FEW]
    lacking = [name if not share else f"{name} ({share:.1%} only)" for name, share in shares.items() if share < _FEW]
    said = f"Its items and events have {_and(there)}" if there else "Its items have ids alone"
    lacks = f", and no {_or(lacking)}" if lacking else ""
    hidden = data.notes.get("titles")
    titles = f" Titles are anonymous (titles={hidden})." if hidden else ""
    return f"{said}{lacks}.{titles}"


def unjudged(data: Corpus | Questions) -> str:
    """Why no claim is judged on these data; "" where verdicts may be told."""
    base = address.split(data.name)[0]
    kind = Path(base).name
    if base.partition(":")[0] in ("world", "facts"):
        return "the data are generated"
    return f"{kind} only exercises the code: {SAMPLES[kind]}" if kind in SAMPLES else ""


def _shares(corpus: Corpus) -> dict[str, float]:
    """Share of items, or of events, that have each."""
    texts, ratings, reviews = corpus.catalogue, corpus.ratings, corpus.reviews
    found = {f"{name}s": _share(texts[name].str.len_bytes() > 0) for name in ("title", "description", "brand")}
    found["categories"] = _share(texts["categories"].list.len() > 0)
    found["ratings"] = 0.0 if ratings is None else float(np.mean(~np.isnan(ratings)))
    found["reviews"] = 0.0 if reviews is None else _share(reviews.str.len_bytes() > 0)
    return found


def _share(of: pl.Series) -> float:
    return int(of.sum()) / max(len(of), 1)


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _or(parts: list[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
