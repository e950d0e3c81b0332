from __future__ import annotations

import csv
from pathlib import Path

import pytest

from evals.output.published import everything, published
from whyrec.errors import UnknownNameError

SHARED = Path(__file__).resolve().parents[4] / "shared" / "published_numbers.csv"


def test_every_row_is_there_with_its_place() -> None:
    rows = everything()
    assert len(rows) == 661
    assert len({(r.experiment, r.dataset, r.backbone, r.method, r.metric) for r in rows}) == 661
    assert all(r.title and r.table and r.source and r.protocol for r in rows)
    assert sum(r.value is None for r in rows) == 13  # dashes in the papers


def test_known_cells() -> None:
    (cell,) = published(
        experiment="CoT-Rec.T1", dataset="Yelp", method="user=Preference,item=Description", metric="NDCG@10"
    )
    assert cell.value == 0.0171 and cell.backbone == "SASRec" and cell.our_metric == "ndcg@10"
    (cell,) = published(experiment="CoT-Rec.README.T1", dataset="Food", method="user=None,item=Random", metric="Hit@10")
    assert cell.value == 0.0193 and cell.our_metric == "recall@10"
    assert "Food" in cell.where and "README" in cell.where and "every item ranked" in cell.where
    (cell,) = published(experiment="PULSE.T3", dataset="Video_Games", method="MoRec")
    assert cell.value is None
    assert len(published(paper="cotrec", experiment="CoT-Rec.T1", backbone="SASRec")) == 42


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"CoT-Rec\.T1"):
        published(experiment="CoT-Rec.T9")
    with pytest.raises(UnknownNameError, match="dataset"):
        published(data="Yelp")


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/published_numbers.csv")
def test_the_values_are_those_collected() -> None:
    with SHARED.open(newline="") as file:
        collected = [tuple(row.values()) for row in csv.DictReader(file)]
    ours = [
        (r.paper, r.experiment, r.dataset, r.backbone, r.method, r.metric, r.value is None, r.value or 0.0)
        for r in everything()
    ]
    assert ours == [(*row[:6], row[6] == "", float(row[6] or 0)) for row in collected]
