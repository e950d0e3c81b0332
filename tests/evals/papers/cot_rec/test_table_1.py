from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from evals.artefacts import Source
from evals.papers.cot_rec.table_1 import NAME, name_of, table_1
from evals.registry import Options, about, builder
from whyrec.data.corpus import Corpus
from whyrec.data.generated.world import make
from whyrec.errors import UnknownNameError

USERS, ITEMS = ("None", "Random", "Preference"), ("Random", "Caption", "Description")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make(users=40, items=40, seed=2).corpus


@pytest.fixture(scope="module")
def bare(corpus: Corpus) -> Corpus:
    """Without descriptions of its own, and under the name of a published data set."""
    catalogue = corpus.catalogue.with_columns(pl.lit("").alias("description"))
    return replace(corpus, catalogue=catalogue, name="amazon14_beauty")


def test_the_registry_knows_it() -> None:
    assert NAME in about() and builder(NAME) is table_1
    with pytest.raises(UnknownNameError, match=r"cot_rec\.table_1"):
        builder("cot_rec.table_9")


@pytest.mark.parametrize("backbone", ["SASRec", "BERT4Rec"])
def test_all_nine_cells_and_the_controls(bare: Corpus, backbone: str) -> None:
    cells = table_1(bare).select("*", {"backbone": backbone})
    grid = {(c.axes["user"], c.axes["item"]) for c in cells if "backbone" in c.axes and "loss" not in c.axes}
    assert {(u, i) for u in USERS for i in ITEMS} < grid
    matched = "Random(norm-matched)"
    assert grid - {(u, i) for u in USERS for i in ITEMS} == {
        ("None", matched),
        (matched, "Caption"),
        (matched, "Description"),
    }
    placebo = ["SASRec user=Another user's preference,item=Caption @extractive"] if backbone == "SASRec" else []
    assert [c.name for c in cells if c.anchor] == ["popularity", "item-CF", *placebo]
    assert [c.name for c in cells if "loss" in c.axes] == (
        ["SASRec user=None,item=Random loss=bce"] if backbone == "SASRec" else []
    )


def test_all_cells_of_a_backbone_differ_only_in_where_tables_start(bare: Corpus) -> None:
    cells = [c for c in table_1(bare).cells if c.axes.get("backbone") == "SASRec" and "loss" not in c.axes]
    rest = {str({k: v for k, v in c.settings.items() if k not in ("items", "users")}) for c in cells}
    assert len(rest) == 1 and len({str(c.settings) for c in cells}) == len(cells)


def test_texts_of_a_model_are_needed_only_where_they_are_read(bare: Corpus) -> None:
    needs = {c.name: {str(s) for s in c.needs} for c in table_1(bare).cells}
    assert needs["SASRec user=None,item=Random"] == set()
    assert needs["SASRec user=None,item=Caption"] == {"caption"}
    assert needs["SASRec user=Random,item=Description @extractive"] == {"description@extractive"}
    assert needs["SASRec user=Preference,item=Random @extractive"] == {"preference@extractive 10/2", "caption"}


def test_upstream_descriptions_where_the_data_has_them(corpus: Corpus, bare: Corpus) -> None:
    assert "SASRec user=Preference,item=Upstream description @extractive" in [c.name for c in table_1(corpus).cells]
    assert not any("Upstream" in c.name for c in table_1(bare).cells)


def test_published_numbers_stand_beside_their_cells(bare: Corpus) -> None:
    experiment = table_1(bare)
    cells = {c.name: c.published for c in experiment.cells}
    best = cells["SASRec user=Preference,item=Description @extractive"]
    assert best["CoT-Rec Yelp"] == {"recall@10": 0.0348, "ndcg@10": 0.0171} and set(best) == {
        "CoT-Rec MIND",
        "CoT-Rec Food",
        "CoT-Rec Yelp",
    }
    assert cells["BERT4Rec user=None,item=Random"]["CoT-Rec Food"]["recall@10"] == 0.0193
    assert cells["SASRec user=None,item=Random"]["SCoTER Beauty"]["recall@10"] == 0.0605
    assert set(cells["SASRec user=None,item=Random loss=bce"]) == {"SCoTER Beauty"}
    assert cells["BERT4Rec user=None,item=Random"]["SCoTER Beauty"]["recall@10"] == 0.0347
    assert cells["SASRec user=Preference,item=Random @extractive"] == {}, "the paper leaves this cell out"
    assert set(experiment.columns) == {"CoT-Rec MIND", "CoT-Rec Food", "CoT-Rec Yelp", "SCoTER Beauty"}
    assert all("ranked" in where for where in experiment.columns.values())


def test_the_papers_three_claims_are_tested_pair_by_pair(bare: Corpus) -> None:
    claims = [c for c in table_1(bare).claims if c.better.startswith("SASRec")]
    counts = {name: sum(c.name == name for c in claims) for name in {c.name for c in claims}}
    assert counts == {
        "text beats random": 2,
        "description beats caption": 3,
        "preference helps": 4,
        "not just the norm": 3,
        "the backbone is no straw man": 1,
    }
    assert all(c.metric == "ndcg@10" for c in claims)


def test_several_models_side_by_side(corpus: Corpus) -> None:
    experiment = table_1(corpus, Options(llms=("simulated:0", "simulated:0.5", "simulated:1")))
    reasons = [(c.better, c.worse) for c in experiment.claims if c.name == "better reasons help"]
    name = "SASRec user=Preference,item=Caption @simulated:"
    assert (f"{name}0.5", f"{name}0") in reasons and (f"{name}1", f"{name}0.5") in reasons and len(reasons) == 12
    assert sum(c.name == "SASRec user=None,item=Caption" for c in experiment.cells) == 1


def test_another_fold_adds_one_cell(bare: Corpus) -> None:
    one, two = table_1(bare), table_1(bare, Options(folds=((10, 2), (5, 1))))
    added = {c.name for c in two.cells} - {c.name for c in one.cells}
    name = "SASRec user=Preference 5/1,item=Description @extractive"
    assert added == {name, name.replace("SASRec", "BERT4Rec")}
    (claim,) = [c for c in two.claims if c.name == "smaller batches help" and c.better.startswith("SASRec")]
    assert claim.better == name and claim.worse == "SASRec user=Preference,item=Description @extractive"


def test_names() -> None:
    source = Source("preference", "a", batch=5, overlap=1)
    assert name_of("SASRec", source, Source("description", "a")) == "SASRec user=Preference 5/1,item=Description @a"
    assert name_of("BERT4Rec", "none", "matched") == "BERT4Rec user=None,item=Random(norm-matched)"


def test_ranges_hold_for_the_data_they_were_measured_on(bare: Corpus) -> None:
    assert table_1(bare).ranges == (), "too few users for Beauty"
    full = replace_users(bare, 22_363)
    assert {(r.cell.split()[-1], r.metric) for r in table_1(full).ranges} == {
        ("user=None,item=Random", "recall@10"),
        ("user=None,item=Random", "ndcg@10"),
        ("loss=bce", "recall@10"),
        ("loss=bce", "ndcg@10"),
    }
    assert table_1(full, Options(epochs=1)).ranges == (), "a quick look is not judged"
    quick = {cell.name: cell.quick for cell in table_1(full, Options(epochs=1)).cells}
    assert quick["SASRec user=None,item=Random"] == "training was cut at 1 epoch of at most 60"
    assert quick["popularity"] == "" and not any(cell.quick for cell in table_1(full, Options(epochs=500)).cells)


def replace_users(corpus: Corpus, users: int) -> Corpus:
    import numpy as np

    offsets = np.arange(users + 1, dtype=np.int64) * 3
    ids = pl.Series("user", [f"u{u}" for u in range(users)])
    items = np.tile(np.array([1, 2, 3], dtype=np.int32), users)
    return replace(corpus, offsets=offsets, items=items, user_ids=ids, times=None, ratings=None, reviews=None)
