"""Two files with columns of their own, once given a name, go through all four papers from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.data.generated import world

GRAPHS = {
    "cot_rec.preference": [],
    "pulse.refine": ["-o", "rationales=none"],
    "scoter.generate": [],
    "rallrec.predict": [],
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a shop's two files: one row a purchase, one row a product, both with the shop's own column names."""
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    corpus = world.make(users=40, items=60).corpus
    rows = []
    for user in range(corpus.n_users):
        for place in range(int(corpus.offsets[user]), int(corpus.offsets[user + 1])):
            item, stars = corpus.item(int(corpus.items[place])).id, 2 + 3 * ((user + place) % 3 > 0)
            rows.append(f"{corpus.user_ids[user]},{item},2024-01-{1 + place % 28:02d} 12:00:{place % 60:02d},{stars}")
    items = [corpus.item(number) for number in range(1, corpus.n_items + 1)]
    products = [f'{item.id},"{item.title}","{item.description}"' for item in items]
    (tmp_path / "sold.csv").write_text("\n".join(["client,sku,sold_at,stars", *rows]))
    (tmp_path / "products.csv").write_text("\n".join(["id,name,blurb", *products]))
    return tmp_path


def whyrec(*arguments: str) -> str:
    done = CliRunner().invoke(build(), list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_graph_of_each_paper_and_a_table_from_three_folders(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    whyrec(
        "data", "add", "shop", "--interactions", "sold.csv", "--items", "products.csv",
        "--user", "client", "--item", "sku", "--column", "time=sold_at", "--column", "rating=stars",
        "--column", "title=name", "--column", "description=blurb",
    )  # fmt: skip
    found = []
    for number in range(3):
        folder = shop / f"folder{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        for graph, options in GRAPHS.items():
            said = whyrec("run", graph, "--data", "shop", "--llm", "extractive", "--users", "3", "-q", *options)
            assert " 0 failed + 0 left" in said, said
        said = whyrec("eval", "cot_rec.table_1", "--data", "shop", "--cells", "popularity;item-CF", "--yes")
        found.append([line for line in said.splitlines() if line.lstrip().startswith(("popularity ", "item-CF "))])
    assert found[0] and found[0] == found[1] == found[2]
    assert len(list((shop / "home" / "runs").iterdir())) == len(GRAPHS)  # each folder found the runs of the first
