"""Items in a file of their own beside a table of events."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from whyrec.data import load, open_again
from whyrec.errors import UsageError

CLICKS = "who,what,when\n" + "".join(f"u{u},{10 + i},{i}\n" for u in range(3) for i in range(4))
ROWS = [{"id": str(10 + i), "title": f"Thing {i}", "brand": "Acme", "shelf": "left|top"} for i in range(4)]
NAME = "clicks.csv?user=who&item=what&time=when"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "clicks.csv").write_text(CLICKS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, rows: list[dict[str, str]] = ROWS) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        pl.DataFrame(rows).write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_texts_come_from_the_file_of_items(folder: Path, ending: str) -> None:
    write(folder / f"things.{ending}")
    corpus = load(f"{NAME}&items=things.{ending}")
    found = corpus.item(1)
    assert (found.id, found.title, found.brand, found.categories) == ("10", "Thing 0", "Acme", ())
    assert corpus.n_items == 4


def test_columns_may_be_named_and_ids_too(folder: Path) -> None:
    write(folder / "things.csv", [{**row, "sku": row["id"], "id": "0"} for row in ROWS])
    corpus = load(f"{NAME}&items=things.csv&items_id=sku&title=brand&categories=shelf")
    assert corpus.item(2).title == "Acme" and corpus.item(2).categories == ("left", "top")


def test_the_file_is_found_beside_the_events_and_again_from_anywhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "things.csv")
    monkeypatch.chdir(elsewhere := tmp_path_factory.mktemp("elsewhere"))
    corpus = load(f"{folder}/{NAME}&items=things.csv")
    assert corpus.item(1).title == "Thing 0" and elsewhere != folder
    monkeypatch.chdir("/")
    again = open_again(corpus.name, corpus.source).data
    assert again.digest == corpus.digest


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        (ROWS, "items=nothing.csv", "items=nothing.csv: there is no such file"),
        ([{"sku": "10", "title": "T"}], "items=things.csv", "no column 'what' of item ids. The columns are: sku"),
        ([{"id": "10", "name": "T"}], "items=things.csv", "Say which is the title, as in &title="),
        (ROWS, "items=things.csv&title=name", r"has no column 'name' \(title\)"),
        (ROWS, "items_id=id", "say which file, as in &items=products.csv"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, rows: list[dict[str, str]], more: str, said: str) -> None:
    write(folder / "things.csv", rows)
    with pytest.raises(UsageError, match=said):
        load(f"{NAME}&{more}")


def test_items_that_join_nothing_are_refused_when_a_job_opens_them(folder: Path) -> None:
    from whyrec.data.joining import need_joined

    write(folder / "things.csv", [{**row, "id": f"0{row['id']}"} for row in ROWS])
    with pytest.raises(UsageError, match=r"things\.csv"):
        need_joined(load(f"{NAME}&items=things.csv"))
