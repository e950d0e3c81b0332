from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from evals.artefacts import Source, Texts, of_the_data
from evals.experiment import Context
from evals.inputs.training import Training, item_cf, popularity, starting_tables, train
from evals.registry import EncodeAndMap
from rec_models.fit import FitSettings
from rec_models.sequential.bert4rec import BERT4RecSettings
from rec_models.sequential.sasrec import SASRecSettings
from whyrec.data.corpus import Corpus
from whyrec.data.generated.world import make
from whyrec.data.split import SplitView
from whyrec.records import Ranking

HOW = EncodeAndMap("hashed:32", "random")
SMALL = SASRecSettings(width=16, blocks=1, heads=1, max_length=10)
FIT = FitSettings(epochs=1)
CAPTION, PREFERENCE = Source("caption"), Source("preference", "fake")


@dataclass
class Fake:
    """Captions of the data, and preferences that name the user; some are missing."""

    corpus: Corpus
    missing: tuple[int, ...] = ()
    asked: list[Source] = field(default_factory=list)

    def texts(self, source: Source) -> Texts:
        self.asked.append(source)
        if source.what != "preference":
            return of_the_data(self.corpus, replace(source, what="caption", llm=""))
        texts = ["" if u in self.missing else f"user {u} likes soap {u % 7}" for u in range(self.corpus.n_users)]
        return Texts(tuple(texts), self.missing)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make(users=40, items=40, seed=2).corpus


def context(corpus: Corpus, folder: Path, *, missing: tuple[int, ...] = ()) -> Context:
    return Context(corpus, Fake(corpus, missing), folder, say=lambda _line: None)


def test_random_tables_need_no_text(corpus: Corpus, tmp_path: Path) -> None:
    training = Training("SASRec", SMALL, FIT, how=HOW)
    assert training.needs == ()
    assert starting_tables(training, context(corpus, tmp_path), 1) == (None, None, {})


def test_an_embedder_matters_only_where_texts_are_read():
    other = replace(HOW, embedder="hashed:48")
    for items, users, same in (("random", "none", True), ("random", "random", True), (CAPTION, "none", False)):
        one, two = (Training("SASRec", SMALL, FIT, items=items, users=users, how=how) for how in (HOW, other))
        assert (one.settings == two.settings) is same


def test_items_start_from_their_texts_with_the_norm_asked_for(corpus: Corpus, tmp_path: Path) -> None:
    training = Training("SASRec", SMALL, FIT, items=CAPTION, how=replace(HOW, norm=0.5))
    items, users, note = starting_tables(training, context(corpus, tmp_path), 1)
    assert items is not None and users is None and items.shape == (corpus.n_items, 16) and items.dtype == np.float32
    texts = of_the_data(corpus, CAPTION).texts
    written = np.array([bool(t) for t in texts])
    assert np.linalg.norm(items[written], axis=1) == pytest.approx(0.5, abs=1e-4)
    again, _users, _note = starting_tables(training, context(corpus, tmp_path), 2)
    assert again is not None and np.array_equal(items, again), "no seed in what texts say"
    assert note["items without a text"] == 0 and note["embedder"].startswith("hashed")


def test_the_control_has_the_norms_and_nothing_else(corpus: Corpus, tmp_path: Path) -> None:
    ctx = context(corpus, tmp_path)
    texts, _users, _note = starting_tables(Training("SASRec", SMALL, FIT, items=CAPTION, how=HOW), ctx, 1)
    control = Training("SASRec", SMALL, FIT, items="matched", users="matched", how=HOW)
    items, users, _note = starting_tables(control, ctx, 1)
    assert texts is not None and items is not None and users is not None and users.shape == (corpus.n_users, 16)
    assert np.linalg.norm(items, axis=1) == pytest.approx(np.linalg.norm(texts, axis=1), abs=1e-4)
    assert np.linalg.norm(users, axis=1) == pytest.approx(1.0, abs=1e-4)
    cosine = (items * texts).sum(1) / np.maximum(np.linalg.norm(texts, axis=1) ** 2, 1e-9)
    assert abs(cosine.mean()) < 0.2, "the rows say nothing"
    other, _users, _note = starting_tables(control, ctx, 2)
    assert other is not None and not np.array_equal(items, other)


def test_users_without_a_preference_get_the_mean_and_are_counted(corpus: Corpus, tmp_path: Path) -> None:
    training = Training("SASRec", SMALL, FIT, users=PREFERENCE, how=HOW)
    assert training.needs == (PREFERENCE, CAPTION), "the map is fitted on the items' texts"
    _items, users, note = starting_tables(training, context(corpus, tmp_path, missing=(3, 5)), 1)
    assert users is not None and note["users without a preference"] == 2
    others = np.delete(users, [3, 5], axis=0)
    assert np.allclose(users[3], others.mean(axis=0), atol=1e-6) and np.array_equal(users[3], users[5])


@pytest.mark.parametrize("items", ["random", CAPTION, "matched"])
@pytest.mark.parametrize("users", ["none", "random", PREFERENCE, "matched"])
def test_every_cell_trains_and_ranks_both_splits(corpus: Corpus, tmp_path: Path, items: Source, users: Source) -> None:
    training = Training("SASRec", SMALL, FIT, items=items, users=users, how=HOW)
    told = train(training, context(corpus, tmp_path), 1)
    for split, rows in (("test", told.test), ("valid", told.valid)):
        assert [r.user for r in rows if isinstance(r, Ranking)] == SplitView(corpus, split).users.tolist()  # type: ignore[arg-type]
    assert told.about["epochs"] == 1 and told.about["best epoch"] == 1


def test_bert4rec_trains_too(corpus: Corpus, tmp_path: Path) -> None:
    network = BERT4RecSettings(width=16, blocks=1, heads=1, max_length=11)
    told = train(Training("BERT4Rec", network, FIT, CAPTION, PREFERENCE, HOW), context(corpus, tmp_path), 1)
    assert len(told.test) == len(SplitView(corpus, "test").users)


def test_equal_seeds_give_equal_rankings_and_others_do_not(corpus: Corpus, tmp_path: Path) -> None:
    training = Training("SASRec", SMALL, FIT, items=CAPTION, how=HOW)
    first = train(training, context(corpus, tmp_path / "a"), 1)
    assert train(training, context(corpus, tmp_path / "b"), 1).test == first.test
    assert train(training, context(corpus, tmp_path / "c"), 2).test != first.test


def test_test_targets_do_not_reach_training(corpus: Corpus, tmp_path: Path) -> None:
    """Permute the test targets among users: validation rankings, which follow from the weights alone, stay the same."""
    items = corpus.items.copy()
    last = corpus.offsets[1:][corpus.lengths >= 3] - 1
    items[last] = np.random.default_rng(0).permutation(items[last])
    permuted = replace(corpus, items=items)
    training = Training("SASRec", SMALL, FIT, items=CAPTION, users=PREFERENCE, how=HOW)
    one, other = (train(training, context(c, tmp_path / str(i)), 1) for i, c in enumerate((corpus, permuted)))
    assert one.valid == other.valid and one.test != other.test


def test_settings_tell_cells_apart_and_hold_no_device() -> None:
    one = Training("SASRec", SMALL, FIT, items=CAPTION, how=HOW)
    others = [
        replace(one, items="random"),
        replace(one, users="random"),
        replace(one, how=EncodeAndMap("hashed:64", "random")),
        replace(one, network=replace(SMALL, dropout=0.0)),
        replace(one, fit=replace(FIT, lr=1e-2)),
        replace(one, mask_seen=False),
    ]
    assert len({str(t.settings) for t in [one, *others]}) == 7
    assert replace(one, fit=replace(FIT, device="cuda")).settings == one.settings


def test_anchors_rank_everybody(corpus: Corpus, tmp_path: Path) -> None:
    for cell in (popularity(), item_cf()):
        told = cell(context(corpus, tmp_path), 0)
        assert len(told.test) == len(SplitView(corpus, "test").users) == len(told.valid)
