"""Tables that are looked at before they are computed, as `whyrec eval` does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import whyrec
from whyrec.api.measuring import Computed
from whyrec.errors import UnknownNameError, UsageError

WORLD = "world:users=40,items=40"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_says_what_it_takes_and_then_computes_what_is_missing(home: Path) -> None:
    planned = whyrec.plan_table("cot_rec.table_1", WORLD, cells="popularity;item-CF", progress=False)
    assert planned.cells == ["popularity", "item-CF"] and planned.estimates() == [] and planned.forecast().left == 2
    assert not list(home.rglob("*.json")), "nothing is computed yet"
    seen: list[Computed] = []
    found = planned.compute(done=seen.append)
    assert [one.cell for one in seen] == planned.cells and all(one.seed is None for one in seen)
    mean = found.everything.rows["popularity"].runs[0].test["ndcg@10"].mean
    assert seen[0].numbers["N@10"] == pytest.approx(mean, rel=1e-6)
    again: list[Computed] = []
    assert planned.compute(done=again.append).to_polars().equals(found.to_polars()) and not again
    assert planned.forecast().left == 0 and planned.out_of_range(found)[0] == []


def test_files_and_pages_are_written_where_they_are_asked_for(home: Path) -> None:
    async def notebook() -> whyrec.TableOfResults:
        return whyrec.evaluate("cot_rec.table_1", WORLD, cells="popularity", results=home / "mine", progress=False)

    found = asyncio.run(notebook())
    assert [path.suffix for path in found.write(home / "build", ["markdown", "csv", "json"])] == [
        ".md",
        ".csv",
        ".json",
    ]
    planned = whyrec.plan_table("cot_rec.table_1", WORLD, cells="popularity", results=home / "mine", progress=False)
    assert home / "mine.md" in planned.write_pages() == whyrec.render_tables(home / "mine")
    assert whyrec.render_tables() == [], "nothing lies in the home"


def test_what_is_not_known_is_said_before_data_are_opened() -> None:
    assert "cot_rec.table_1" in whyrec.list_tables() and "<table>" in whyrec.list_tables()._repr_html_()
    with pytest.raises(UnknownNameError, match=r"cot_rec\.table_1"):
        whyrec.plan_table("cot_rec.tabel_1", "nowhere")
    with pytest.raises(UnknownNameError, match="lsa"):
        whyrec.plan_table("cot_rec.table_1", "nowhere", embedder="lsi")
    with pytest.raises(UsageError, match="built-in double"):
        whyrec.plan_table("cot_rec.table_1", WORLD, results="evidence", cells="*extractive", progress=False)
