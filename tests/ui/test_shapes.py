"""Results as what they are: the shape of a payload decides how it is shown, also of a workflow nobody has heard of."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from whyrec.ui.shapes import Around, blocks, headline
from whyrec.ui.shapes.blocks import Block
from whyrec.ui.site import link

CATALOGUE = {"i1": "Warm boots", "i2": "Wool socks", "i3": ""}
LONG = "She buys what keeps her warm on long walks, and never twice from the same maker."


def titles(ids: Any) -> dict[Any, str]:
    by_index = dict(enumerate(CATALOGUE.values(), 1))
    return {one: {**CATALOGUE, **by_index}[one] for one in ids if one in CATALOGUE or one in by_index}


def plan(name: str) -> tuple[str, ...]:
    return ("Look back", "Look ahead") if name == "two" else ()


AROUND = Around(titles, plan)


def only(payload: dict[str, Any], kind: str, around: Around = AROUND) -> Any:
    found = [one for one in blocks(payload, around) if one.kind == kind]
    assert len(found) == 1, [one.kind for one in blocks(payload, around)]
    return found[0]


def kinds(payload: dict[str, Any]) -> list[str]:
    return [one.kind for one in blocks(payload, AROUND)]


def test_a_preference_is_a_text_and_chips():
    payload = {"keywords": ["warm", "boots"], "text": LONG, "user": "u1", "dropped": []}
    assert kinds(payload) == ["prose", "chips", "facts"]
    assert only(payload, "prose").text == LONG and only(payload, "chips").part.rows == ("warm", "boots")
    assert [(name, one.text) for name, one in only(payload, "facts").pairs] == [("user", "u1"), ("dropped", "none")]


def test_a_ranking_is_items_with_titles_and_the_numbers_that_belong_to_them():
    ranking = only({"ranking": ["i2", "i1"], "scores": [0.5, 0.25]}, "ranked")
    assert [(place, item, title) for place, item, title, _ in ranking.part.rows] == [
        (1, "i2", "Wool socks"), (2, "i1", "Warm boots"),
    ]  # fmt: skip
    assert ranking.columns == ("scores",) and ranking.part.rows[0][3][0].text == "0.5"
    shown = only({"shown": [2, 1], "probabilities": [[0.75, 0.25]]}, "ranked")
    assert (
        shown.part.rows[0][2:] == ("Wool socks", (shown.part.rows[0][3][0],)) and shown.part.rows[0][3][0].share == 0.75
    )
    assert kinds({"favourites": ["i1", "i3"]}) == ["ranked"], "items are known by their ids, whatever the field's name"
    assert kinds({"favourites": ["i1", "trousers"]}) == ["chips"]
    assert kinds({"favourites": [1, 2]}) == ["grid"], "numbers are items only where the field says so"


def test_a_tree_has_its_scores_and_who_chose_which_leaf():
    payload = {
        "thoughts": [{"text": f"thought {n}", "parent": parent} for n, parent in enumerate((-1, 0, 0, 1, 1))],
        "leaves": [2, 3, 4],
        "scores": {"near": [0.1, 0.3, 0.2], "long": [5.0, 4.0, 3.0]},
        "judged": {"1": 0.5},
        "chosen": {"near": 3, "long": 2},
        "user": "u1",
    }
    assert kinds(payload) == ["tree", "facts"]
    found = only(payload, "tree")
    (root,) = found.roots
    assert [child.number for child in root.children] == [1, 2] and root.chosen_below and not root.chosen
    inner, leaf = root.children
    assert dict(inner.scores) == {"judged": 0.5} and inner.chosen_below and [c.number for c in inner.children] == [3, 4]
    assert leaf.chosen == ("long",) and dict(leaf.scores) == {"near": 0.1, "long": 5.0}
    assert found.best == {"near": 0.3, "long": 5.0, "judged": 0.5} and found.choices == (("near", 3), ("long", 2))
    assert headline(payload) == "thought 3"


def test_a_branch_that_nobody_would_read_to_its_end_is_a_table_and_a_huge_number_is_only_shown():
    rows = [{"text": "a", "parent": number - 1} for number in range(200)]
    table = only({"rows": rows}, "grid")
    assert table.part.total == 200 and kinds({"rows": rows[:40]}) == ["tree"]
    huge = only({"p": [10**400, 1], "probability": 10**400}, "facts")
    assert huge.pairs[0][1].text == str(10**400) and huge.pairs[0][1].share is None


@pytest.mark.parametrize("parents", [(0, 0), (-1, 5), (-1, "0"), (-1, True)])
def test_rows_that_do_not_grow_out_of_one_another_are_no_tree(parents):
    rows = [{"text": "a", "parent": one} for one in parents]
    assert "tree" not in kinds({"rows": rows})


def test_a_chain_stands_beside_its_template_or_under_its_own_headings():
    steps = only({"sections": [LONG, LONG + "!"], "template": "two", "steps": ["Look back", "Look ahead"]}, "chain")
    assert steps.template == "two" and [(s.planned, s.text) for s in steps.steps] == [
        ("Look back", LONG), ("Look ahead", LONG + "!"),
    ]  # fmt: skip
    free = only({"path": ["First", "Then"], "reason": [LONG, LONG]}, "chain")
    assert not free.template and [step.heading for step in free.steps] == ["First", "Then"]
    assert kinds({"notes": [LONG, LONG, LONG]}) == ["texts"], "texts without an order are no chain"


def test_samples_stand_beside_their_read_outs():
    payload = {"p": [0.25, 0.75], "votes": [0, 1], "ways": ["logprobs", "logprobs"], "probability": 0.5}
    assert kinds(payload) == ["facts", "grid"]
    samples = only(payload, "grid")
    assert samples.columns == ("", "p", "votes", "ways")
    assert [[one.text for one in row] for row in samples.part.rows] == [
        ["1", "0.25", "0", "logprobs"], ["2", "0.75", "1", "logprobs"],
    ]  # fmt: skip
    assert samples.part.rows[1][1].share == 0.75
    assert only(payload, "facts").pairs[0][1].share == 0.5 and headline(payload) == "probability 0.500"


def test_rows_and_nested_values_become_tables_and_sections():
    rows = only({"perceptions": [{"item": "i1", "phrase": "dry feet", "index": 1}]}, "grid")
    assert rows.columns == ("item", "title", "phrase")
    assert [one.text for one in rows.part.rows[0]] == ["i1", "Warm boots", "dry feet"]
    alike = only(
        {"by": {"a": {"n": 1, "f1": {"mean": 0.5, "low": 0.25, "high": 0.75}}, "b": {"n": 2, "f1": None}}}, "grid"
    )
    assert [one.text for one in alike.part.rows[0]] == ["a", "1", "0.5 [0.25, 0.75]"]
    nested = only({"inner": {"text": LONG, "deeper": {"keywords": ["x"]}}}, "section")
    assert [one.kind for one in nested.blocks] == ["prose", "section"]
    several = only({"parts": [{"text": LONG, "words": ["a"]}, {"text": LONG, "words": ["b"]}]}, "several")
    assert [one.kind for one in several.part.rows[1][2]] == ["prose", "chips"]


def test_a_long_list_is_paged_and_a_page_that_is_not_there_is_the_first():
    words = [f"w{n}" for n in range(1000)]
    first = only({"words": words}, "chips").part
    assert (first.rows[0], len(first.rows), first.total) == ("w0", 60, 1000)
    assert only({"words": words}, "chips", Around(pages={"words": 960})).part.rows[0] == "w960"
    assert only({"words": words}, "chips", Around(pages={"words": 5000})).part.at == 0
    inner = blocks({"deep": {"words": words}}, Around(pages={"deep.words": 60}))[0]
    assert inner.blocks[0].part.at == 60  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "payload",
    [
        {}, {"": ""}, {"a": None}, {"a": [None, 1, "x"]}, {"a": [[1, 2], [3]]}, {"a": [[1, 2], [3, 4]]}, {"a": [{}]},
        {"a": [{"b": [{"c": [{"d": [{"e": [{"f": 1}]}]}]}]}]}, {"thoughts": [{"text": "x", "parent": None}] * 3},
        {"steps": ["x" * 50]}, {"ranking": [1.5, 2.5]}, {"shown": [10**30]}, {"template": ["x"]}, {"p": [float("inf")]},
        {"probability": float("nan")}, {"chosen": -1, "leaves": "x"}, {"items": ["unknown"]}, {"items": {"a": [1]}},
    ],
)  # fmt: skip
def test_nothing_is_too_strange_to_be_shown_and_nothing_is_left_out(payload):
    """Every name of the payload comes back in some block, or in its columns and facts."""
    said: list[str] = []

    def names(found: list[Block]) -> None:
        for one in found:
            said.append(one.name)
            said.extend(getattr(one, "columns", ()))
            said.extend(name for name, _ in getattr(one, "pairs", ()))
            said.extend(name for leaf in getattr(one, "roots", ()) for name, _ in leaf.scores)

    names(blocks(payload, Around(titles)))
    taken = {"leaves", "chosen", "template"} | ({"p"} if "samples" in said else set())
    assert set(payload) <= {*said, *taken}
    assert isinstance(headline(payload), str)


def test_the_page_of_an_example_shows_its_shape_and_its_json_one_click_away(client, stage):
    said = client.get(link("runs", stage.good, "examples", "test/u3")).text
    assert 'class="block is-prose"' in said and '<span class="chip">' in said
    assert '<details class="json">' in said and 'data-copy="payload"' in said
    file = link("runs", stage.good, "result", key="test/u3")
    assert f'href="{file}" download' in said
    answer = client.get(file)
    assert answer.headers["content-disposition"] == 'attachment; filename="test_u3.json"'
    assert json.loads(answer.text)["user"] == "u3" and answer.headers["content-type"] == "application/json"
    assert client.get(link("runs", stage.good, "result", key="test/u333")).status_code == 404


def test_results_of_a_run_are_said_in_words_and_paged(client, stage):
    said = client.get(link("runs", stage.good)).text
    results = said.partition('id="results"')[2]
    assert "batches" not in results and "{" not in results.partition("</table>")[0], "no JSON in the list"
    assert "1 to 12 of 12" in results and "next →" not in results
    assert "u9" in client.get(link("runs", stage.good, results=11)).text.partition('id="results"')[2]


def test_a_run_of_a_graph_that_is_not_here_shows_what_it_stored(client, stage, tmp_path):
    """A plug-in's run on a machine without the plug-in; and its result is shown by its shape."""
    import shutil

    from starlette.testclient import TestClient

    from whyrec.settings import Settings
    from whyrec.ui.app import build

    shutil.copytree(stage.settings.home / "runs" / stage.good, tmp_path / "runs" / stage.good)
    with closing(sqlite3.connect(tmp_path / "runs" / stage.good / "run.sqlite")) as connection, connection:
        connection.execute("UPDATE run SET graph='taste.vote'")
        told = json.dumps({"verdict": LONG, "votes": [{"who": "ann", "for": "i1"}, {"who": "bob", "for": "i2"}]})
        connection.execute(
            "UPDATE example SET payload=?, size=? WHERE key='test/u3'", (told.encode(), len(told.encode()))
        )
    with TestClient(build(Settings(home=tmp_path)), base_url="http://127.0.0.1:8700") as here:
        for name in ("test/u3", "u3"):
            said = here.get(link("runs", stage.good, "examples", name)).text
            assert LONG in said and "cannot be made again here" in said and "no graph named" in said.lower()
            assert "<th>who</th>" in said and "bob" in said and "/calls/" in said
        assert here.get(link("runs", stage.good, "examples", "u333")).status_code == 404
        assert here.get(link("runs", stage.good)).status_code == 200
