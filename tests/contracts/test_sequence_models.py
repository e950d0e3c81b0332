"""One suite for every recommender, on data whose right answer is known (design rule 11).

On the circle the item after i is i + 1, so the withheld last item has a known place: the first. A model whose last
place was never trained, that reads its history shifted by one, or that ranks what was seen, fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
import torch

from rec_models.base import Batch, Recommender, SequenceModel
from rec_models.collaborative.itemcf import ItemCF
from rec_models.collaborative.popularity import Popularity
from rec_models.fit import FitSettings, fit
from rec_models.rank import places, rank
from rec_models.sequential.bert4rec import BERT4Rec, BERT4RecSettings
from rec_models.sequential.losses import LossSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView

LOSSES = {
    "ce": LossSettings(),
    "smooth": LossSettings(smoothing=0.1),
    "tau": LossSettings(temperature=0.1),
    "bce": LossSettings("bce", 3),
    "gbce": LossSettings("gbce", 6),
    "ssm": LossSettings("sampled_softmax", 8),
    "shared": LossSettings("sampled_softmax", 16, shared=True),
}
FIT = FitSettings(epochs=10, evaluate_every=10, users_per_step=32, lr=0.01)
LONG = FitSettings(epochs=40, evaluate_every=40, users_per_step=16, lr=0.005)
SASREC = SASRecSettings(width=16, heads=2, blocks=1, dropout=0.0, max_length=10)
BERT = BERT4RecSettings(width=16, heads=2, blocks=1, dropout=0.0, max_length=10, init_std=0.1)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def corpus_of(sequences: list[list[int]], n_items: int) -> Corpus:
    names = [f"i{i}" for i in range(1, n_items + 1)]
    columns = {"id": names, "title": names, "description": names, "brand": names, "categories": [[n] for n in names]}
    return Corpus(
        "circle",
        np.cumsum([0, *(len(s) for s in sequences)]).astype(np.int64),
        np.concatenate([np.asarray(s, np.int32) for s in sequences]),
        pl.Series([f"u{u}" for u in range(len(sequences))]),
        pl.DataFrame(columns),
    )


@pytest.fixture(scope="module")
def circle() -> Corpus:
    """384 users on a circle of 16 items; half have 6 events, half 9."""
    return corpus_of([[(u + t) % 16 + 1 for t in range(6 + 3 * (u // 16 % 2))] for u in range(384)], 16)


@pytest.fixture(scope="module")
def circle_of_equals() -> Corpus:
    """Every user has 8 events, so the newest place at test time never held a training target."""
    return corpus_of([[(u + t) % 16 + 1 for t in range(8)] for u in range(384)], 16)


@dataclass(frozen=True)
class Kind:
    """How to make a trained recommender."""

    make: Callable[[Corpus], Recommender]
    hits: float
    """Share of withheld items that must come first on the circle."""


def trained(network: SASRecSettings | BERT4RecSettings) -> Callable[[Corpus], Recommender]:
    def make(corpus: Corpus) -> Recommender:
        if isinstance(network, BERT4RecSettings):
            masked = BERT4Rec(corpus.n_items, network, n_users=corpus.n_users, seed=1)
            fit(masked, corpus, settings=LONG, seed=1)
            return masked
        model = SASRec(corpus.n_items, network, n_users=corpus.n_users, seed=1)
        fit(model, corpus, settings=FIT, seed=1)
        return model

    return make


KINDS = {f"sasrec {name}": Kind(trained(replace(SASREC, loss=loss)), 1.0) for name, loss in LOSSES.items()}
KINDS |= {
    "sasrec post": Kind(trained(replace(SASREC, norm="post", activation="relu")), 1.0),
    "sasrec gated": Kind(trained(replace(SASREC, activation="swiglu", gated=True)), 1.0),
    "sasrec from end": Kind(trained(replace(SASREC, from_end=True)), 1.0),
    "sasrec user": Kind(trained(replace(SASREC, user_token="random")), 1.0),
    "bert4rec": Kind(trained(BERT), 1.0),
    # A token that remembers the user answers some places without looking at the neighbours.
    "bert4rec user": Kind(trained(replace(BERT, user_token="random")), 0.9),
    "itemcf": Kind(lambda corpus: ItemCF(SplitView(corpus, "valid")), 1.0),
    "popularity": Kind(lambda corpus: Popularity(SplitView(corpus, "valid")), 0.0),
}


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, circle: Corpus) -> tuple[Kind, Recommender]:
    kind = KINDS[request.param]
    return kind, kind.make(circle)


def test_the_withheld_item_comes_first(case: tuple[Kind, Recommender], circle: Corpus) -> None:
    kind, model = case
    for split in ("valid", "test"):
        first = [r.better == 0 and r.ties == 0 for r in rank(model, SplitView(circle, split))]  # type: ignore[arg-type]
        assert np.mean(first) >= kind.hits, split


def test_it_is_what_it_says(case: tuple[Kind, Recommender]) -> None:
    _, model = case
    assert isinstance(model, Recommender)
    if isinstance(model, torch.nn.Module):
        assert isinstance(model, SequenceModel)


def test_shapes_and_finite_scores(case: tuple[Kind, Recommender]) -> None:
    _, model = case
    batch = Batch(torch.tensor([0, 1, 2]), torch.tensor([[1, 2, 3], [4, 0, 0], [5, 6, 0]]), torch.tensor([3, 1, 2]))
    with torch.inference_mode():
        scores = model.scores(model.encode(batch))
    assert scores.shape == (3, 16)
    assert scores.isfinite().all()


def test_a_users_ranking_does_not_depend_on_who_is_beside(case: tuple[Kind, Recommender], circle: Corpus) -> None:
    _, model = case
    view = SplitView(circle, "test")
    one, many = (places(model, view, batch=b, top=3) for b in (1, 64))
    assert (one.better == many.better).all()
    assert (one.items == many.items).mean() > 0.95


def test_ranking_leaves_the_model_as_it_was(case: tuple[Kind, Recommender], circle: Corpus) -> None:
    _, model = case
    module = model if isinstance(model, torch.nn.Module) else torch.nn.Module()
    before = {n: w.clone() for n, w in module.named_parameters()}
    module.train()
    first = rank(model, SplitView(circle, "test"))
    assert module.training
    module.eval()
    assert rank(model, SplitView(circle, "test")) == first
    assert all(torch.equal(w, before[n]) for n, w in module.named_parameters())


@pytest.mark.parametrize("from_end", [False, True])
def test_the_newest_place_is_trained(circle_of_equals: Corpus, from_end: bool) -> None:
    model = trained(replace(SASREC, from_end=from_end))(circle_of_equals)
    assert places(model, SplitView(circle_of_equals, "test")).expected(1)[1] == 1.0


def test_a_history_longer_than_the_model_reads_is_cut_at_the_old_end() -> None:
    corpus = corpus_of([[(3 * u + t) % 40 + 1 for t in range(25)] for u in range(80)], 40)
    model = trained(replace(SASREC, max_length=6))(corpus)
    assert places(model, SplitView(corpus, "test")).expected(1)[1] == 1.0
