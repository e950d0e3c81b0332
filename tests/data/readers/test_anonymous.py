"""Items without their names: the same interactions, the same number for the same item, no title left in a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whyrec.data import load
from whyrec.data.corpus import Corpus
from whyrec.errors import UsageError

TOYS = "In toy story, a cowboy doll. Toy Story (1995)!"
ITEMS = (
    ("a", "Toy Story (1995)", TOYS, "Pixar", ["Animation"]),
    ("b", "Matrix, The (1999)", "The Matrix is not real; a matrixes plan.", "", ["Action"]),
    ("c", "It", "It is a clown.", "Warner", []),
)
FIELDS = ("item_id", "title", "description", "brand", "categories")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "films"
    place.mkdir()
    rows = [f"u{u},{i},{t}" for u in range(3) for t, i in enumerate("abc")]
    (place / "interactions.csv").write_text("user_id,item_id,position\n" + "\n".join(rows) + "\n")
    (place / "items.jsonl").write_text("".join(json.dumps(dict(zip(FIELDS, row, strict=True))) + "\n" for row in ITEMS))
    return place


def texts(corpus: Corpus) -> dict[str, tuple[str, str, str]]:
    rows = corpus.catalogue.iter_rows(named=True)
    return {row["id"]: (row["title"], row["description"], row["brand"]) for row in rows}


def test_titles_are_hidden_wherever_the_catalogue_says_them(folder: Path) -> None:
    plain, hidden = load(str(folder)), load(f"{folder}?titles=anonymous")
    told = texts(hidden)
    names = {told[item][0] for item in "abc"}
    assert names == {"Item 1", "Item 2", "Item 3"}
    toys, matrix = told["a"][0], told["b"][0]
    assert told["a"][1] == f"In {toys}, a cowboy doll. {toys}!" and told["a"][2] == "Pixar"
    assert told["b"][1] == f"{matrix} is not real; a matrixes plan."
    assert told["c"][1] == "It is a clown.", "so short a title is any word"
    assert (plain.items == hidden.items).all() and plain.catalogue["categories"].equals(hidden.catalogue["categories"])
    assert texts(load(f"{folder}?titles=anonymous")) == told, "always the same numbers"


def test_bare_items_keep_their_categories_alone(folder: Path) -> None:
    bare = load(f"{folder}?titles=bare")
    assert all(told[1:] == ("", "") for told in texts(bare).values())
    assert bare.catalogue["categories"].to_list()[0] == ["Animation"]


def test_they_are_other_data(folder: Path) -> None:
    digests = {load(f"{folder}{query}").digest for query in ("", "?titles=anonymous", "?titles=bare")}
    assert len(digests) == 3 and load(f"{folder}?titles=bare").name.endswith("?titles=bare")
    with pytest.raises(UsageError, match="anonymous or bare"):
        load(f"{folder}?titles=none")
