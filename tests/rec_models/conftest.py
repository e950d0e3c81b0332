"""Corpora made from written-out sequences, one torch thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import pytest
import torch

from whyrec.data.corpus import Corpus

MakeCorpus = Callable[..., Corpus]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_corpus() -> MakeCorpus:
    """make_corpus([[1, 2, 3], …], n_items=…): one user per sequence of item ids."""

    def make(sequences: Sequence[Sequence[int]], n_items: int = 0) -> Corpus:
        n_items = n_items or max(max(s, default=0) for s in sequences)
        names = [f"i{i}" for i in range(1, n_items + 1)]
        catalogue = pl.DataFrame(
            {"id": names, "title": names, "description": names, "brand": names, "categories": [[n] for n in names]}
        )
        return Corpus(
            "toy",
            np.cumsum([0, *(len(s) for s in sequences)]).astype(np.int64),
            np.concatenate([np.asarray(s, np.int32) for s in sequences]),
            pl.Series([f"u{u}" for u in range(len(sequences))]),
            catalogue,
        )

    return make


@pytest.fixture(scope="session")
def successor(make_corpus: MakeCorpus) -> Corpus:
    """After item i comes item i + 1, around a circle of 12: 60 users, all with 8 events."""
    return make_corpus([[(u + t) % 12 + 1 for t in range(8)] for u in range(60)])


@pytest.fixture(scope="session")
def ragged(make_corpus: MakeCorpus) -> Corpus:
    """80 users with 1 to 30 events of 40 items, at random."""
    random = np.random.default_rng(5)
    return make_corpus([random.permutation(40)[: random.integers(1, 31)] + 1 for _ in range(80)], n_items=40)
