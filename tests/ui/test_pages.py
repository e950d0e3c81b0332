"""Every page: what it shows, what it says when there is nothing, and that text is never markup."""

from __future__ import annotations

import html
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from whyrec.settings import Settings
from whyrec.ui.app import build
from whyrec.ui.safety import Door
from whyrec.ui.site import link

ROOT = Path(__file__).resolve().parents[2]


def words(text: str) -> str:
    """A page as it is read."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


def page(client: TestClient, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, words(answer.text)[:600]
    return answer.text


def test_a_home_without_runs_says_how_to_start_one(tmp_path):
    client = TestClient(build(Settings(home=tmp_path / "none")), base_url="http://127.0.0.1:8700")
    assert "whyrec run cot_rec.preference --data world --llm extractive" in page(client, "/")
    assert "whyrec search" in page(client, "/vectors")
    assert not (tmp_path / "none").exists()


def test_the_list_has_every_run_with_its_numbers(client, stage):
    said = page(client, "/")
    for run in (stage.good, stage.poor, stage.evil):
        assert f'href="/runs/{run}"' in said
    assert "+ 1 failed" in words(said)


def test_a_run_shows_its_graph_numbers_failures_and_results(client, stage):
    said = page(client, link("runs", stage.evil))
    assert '<svg class="graph"' in said and "summarise" in said
    assert "Why examples failed" in said and "--retry-failed" in said
    assert "options" in said and "cot_rec/summarise_batch" in said
    assert f"/runs/{stage.evil}/calls?node=summarise" in said


def test_calls_are_found_as_the_command_line_finds_them(client, stage, numbers):
    address = link("runs", stage.good, "calls")
    found = re.findall(rf'href="/runs/{stage.good}/calls/(\d+)"', page(client, f"{address}?user=u3&node=summarise"))
    assert [int(n) for n in found] == numbers(stage.good, "user='u3' AND node='summarise'")
    assert "No call of this run meets" in page(client, f"{address}?user=u77")
    assert "user=u8" in page(client, f"{address}?user=u77"), "the nearest users are links"
    assert "There is no node" in page(client, f"{address}?node=merg", 404)
    assert "is none of ok, unusable, error" in words(page(client, f"{address}?status=maybe", 400))
    assert "is a number" in page(client, f"{address}?slower=x", 400)
    assert "no word" in page(client, f"{address}?text=!!", 400)
    sorted_ = page(client, f"{address}?sort=tokens&desc=1")
    tokens = [int(n) for n in re.findall(r'class="n wide">(\d+) →', sorted_)]
    assert len(tokens) > 5 and tokens[0] == max(tokens)


def test_words_are_found_in_texts(client, stage):
    said = page(client, link("runs", stage.evil, "calls", text="hacked boots"))
    assert 'name="text" value="hacked boots"' in said and "data-row" in said


def test_a_call_shows_messages_fences_answer_and_type(client, stage, numbers):
    said = page(client, link("runs", stage.good, "calls", numbers(stage.good)[0]))
    assert '<span class="tag">&lt;history&gt;</span><span class="data">1. ' in said
    assert "ShortTermInterest" in said and '<span class="chip">' in said
    assert "Edit and send again" in said
    last = numbers(stage.good)[-1]
    assert "has no call" in page(client, link("runs", stage.good, "calls", last + 1), 400)
    assert "There is no run" in words(page(client, "/runs/none/calls/1", 404))


def test_a_calls_state_is_made_again_when_asked_for(client, stage, numbers):
    number = numbers(stage.good, "node='summarise'")[0]
    assert "list state" not in page(client, link("runs", stage.good, "calls", number))
    said = page(client, f"{link('runs', stage.good, 'calls', number)}?state=1")
    assert '<table class="list state">' in said and "Made again from the recorded calls" in said


def test_an_examples_path_is_drawn_with_its_calls_and_states(client, stage, numbers):
    said = page(client, link("runs", stage.good, "examples", "test/u3"))
    assert '<svg class="graph walked"' in said and 'class="edge choice went"' in said
    for number in numbers(stage.good, "user='u3'"):
        assert f"/runs/{stage.good}/calls/{number}" in said
    assert "is what the run has stored" in said and "changed short" in said
    assert page(client, link("runs", stage.good, "examples", "u3")), "a user will do"
    assert "There is no example" in words(page(client, link("runs", stage.good, "examples", "u333"), 404))
    failed = page(client, link("runs", stage.evil, "examples", "test/s2"))
    assert "It ended here" in failed


def test_an_example_is_opened_by_user_or_key(client, stage):
    """As the form on a run's page asks for it."""
    form = link("runs", stage.good, "examples")
    assert f'action="{form}"' in page(client, link("runs", stage.good))
    for key in ("u3", "test/u3"):
        assert "init_long" in page(client, f"{form}?key={key}")
    assert client.get(f"{form}?key=u999").status_code == 404
    assert "Say whose example" in client.get(f"{form}?key=").text


def test_a_page_loads_no_data_but_those_of_the_runs(client, stage):
    said = page(client, link("prompts", "cot_rec/summarise_batch", user="u3", data="world:users=100000000"))
    assert "not with &#39;world:users=100000000&#39;" in said and "world:users=12,items=80" in said


def test_a_run_under_way_says_how_far_it_is(client, stage, tmp_path):
    assert "<progress" not in page(client, link("runs", stage.good))
    shutil.copytree(stage.settings.home / "runs" / stage.good, tmp_path / "runs" / stage.good)
    with closing(sqlite3.connect(tmp_path / "runs" / stage.good / "run.sqlite")) as connection, connection:
        assert connection.execute("SELECT value FROM metric WHERE name='examples'").fetchone() == (12.0,)
        connection.execute("UPDATE metric SET value=48 WHERE name='examples'")
    half = TestClient(build(Settings(home=tmp_path)), base_url="http://127.0.0.1:8700")
    said = page(half, link("runs", stage.good))
    assert 'progress value="0.25"' in said and "of 48 examples" in words(said)
    assert "25 %" in page(half, "/")


def test_two_calls_two_users_and_two_runs_are_compared(client, stage, numbers):
    one, other = numbers(stage.good)[0], numbers(stage.poor)[0]
    said = page(client, link("diff", a=f"{stage.good}:{one}", b=f"{stage.poor}:{other}"))
    assert "<del>simulated:1</del>" in said and "<ins>simulated:0.3</ins>" in said and "messages: the same" in said
    assert (
        page(client, link("diff", a=f"{stage.good}/u3", b=f"{stage.poor}/u3")).count("The results of the example") == 1
    )
    runs = page(client, link("diff", a=stage.good, b=stage.poor))
    assert "12 another" in words(runs) and "<del>simulated:1</del>" in runs
    assert "Test the difference" in runs and "sign-flip" not in runs
    tested = page(client, link("diff", a=stage.good, b=stage.poor, test=1))
    assert "target&#39;s percentile" in tested and "sign-flip" in tested
    refused = page(client, link("diff", a=stage.good, b=stage.evil, test=1))
    assert "cannot be tested" in refused and "no example is in both" in refused
    ticked = client.get("/diff", params=[("pick", stage.good), ("pick", stage.poor)], follow_redirects=False)
    assert ticked.status_code == 303 and ticked.headers["location"] == link("diff", a=stage.good, b=stage.poor)
    assert "tick two" in page(client, f"/diff?pick={stage.good}", 400)
    assert "RUN/u17" in page(client, "/diff")


def test_prompts_have_versions_and_are_filled_for_a_user(client, stage):
    said = page(client, "/prompts")
    assert '<a href="/prompts/cot_rec/summarise_batch">' in said
    filled = page(client, link("prompts", "cot_rec/summarise_batch", user="u3", data="world:users=12,items=80,seed=3"))
    assert '<span class="data">1. ' in filled and stage.good in filled
    assert "no user" in page(
        client, link("prompts", "cot_rec/summarise_batch", user="u99", data="world:users=12,items=80,seed=3")
    )
    assert "Did you mean" in words(page(client, "/prompts/cot_rec/summarise_bach", 404))
    digest = re.findall(r"version=([0-9a-f]{8})", filled)[0]
    assert "The same words" in page(client, link("prompts", "cot_rec/summarise_batch", version=digest, against=digest))


def test_the_projects_results_stand_beside_what_was_published_and_say_whose_they_are(client):
    said = page(client, "/results")
    assert "No table has been computed in this home yet." in said
    assert (
        "/results/project/plumbing.pulse.table_4.amazon14_beauty" in said and "none of it computed in this home" in said
    )
    plumbing = page(client, "/results/project/plumbing.pulse.table_4.amazon14_beauty")
    assert "@extractive" in plumbing and "What the data says" not in plumbing and "permutation" not in plumbing
    table = page(client, "/results/project/cot_rec.table_1.amazon14_beauty")
    assert "CoT-Rec MIND" in table and "What the data says" in table and "Protocol:" in table
    assert "no descriptions, ratings or reviews" in table
    assert "none of it was computed in this home" in table and page(
        client, "/results/pulse.table_4.amazon14_beauty", 404
    )
    figure = re.findall(r'src="(/figures/[^"]+)"', said)[0]
    assert client.get(figure).headers["content-type"] == "image/png"
    for away in ("/figures/project/..%2f..%2fREADME", "/results/..%2f..%2fpyproject", "/figures/..%2f..%2fx/y"):
        assert page(client, away, 404)


def test_results_of_this_home_come_first_and_one_that_is_damaged_blocks_no_list(stage):
    folder = stage.settings.home / "results"
    made = ROOT / "docs" / "results" / "plumbing" / "pulse.table_4.amazon14_beauty.json"
    mine = folder / made.stem
    mine.mkdir(parents=True)
    (mine / made.name).write_bytes(made.read_bytes())
    (mine / f"{made.stem}.png").write_bytes(b"\x89PNG")
    (folder / "pulse.leaks.torn").mkdir()
    (folder / "pulse.leaks.torn" / "pulse.leaks.torn.json").write_text('{"experiment": "pul')
    try:
        with TestClient(build(stage.settings, Door()), base_url="http://127.0.0.1:8700") as client:
            said = page(client, "/results")
            own, project = said.index("/results/pulse.table_4.amazon14_beauty"), said.index("/results/project/")
            assert own < said.index("own tables") < project
            assert "cannot be read" in said and "pulse.leaks.torn" in said
            table = page(client, "/results/pulse.table_4.amazon14_beauty")
            assert (
                "Computed in this home" in table
                and "/figures/pulse.table_4.amazon14_beauty/pulse.table_4.amazon14_beauty" in table
            )
            assert (
                client.get("/figures/pulse.table_4.amazon14_beauty/pulse.table_4.amazon14_beauty").content == b"\x89PNG"
            )
    finally:
        shutil.rmtree(folder)


def test_vectors_are_mapped_and_searched(client, stage):
    from whyrec.data import load
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder
    from whyrec.embed.store import VectorStore

    corpus = load("world:users=12,items=80,seed=3", settings=stage.settings)
    embedder = open_embedder("lsa", fit_on=captions(corpus), cache=stage.settings.home / "embedders")
    store = VectorStore(stage.settings.home / "vectors")
    try:
        ids = corpus.catalogue["id"].to_list()
        store.put("items.here", ids=ids, texts=captions(corpus), embedder=embedder, about="items")
        assert "Another process has the vectors" in page(client, "/vectors")
    finally:
        store.close()
    word = captions(corpus)[0].split()[0]
    said = page(client, link("vectors", collection="items.here", text=word))
    assert said.count("<circle") == 80 and '<circle class="near"' in said
    assert "No word of" in page(client, link("vectors", collection="items.here", text="zzzz"))
    assert "There is no collection" in page(client, "/vectors?collection=none", 404)


@pytest.mark.parametrize("part", ["", "calls", "calls/{call}", "calls/{call}?state=1", "examples/{key}"])
def test_text_from_data_and_models_is_never_markup(client, stage, numbers, part):
    number = numbers(stage.evil, "user='s1'")[0]
    address = f"/runs/{stage.evil}/{part.format(call=number, key='test/s1')}".rstrip("/")
    said = page(client, address)
    assert "window.hacked" in said
    assert "<script>window" not in said and "<img src=x" not in said
    assert len(re.findall("<script", said)) == 1, "ours alone"
    assert " style=" not in said and not re.search(r"<[^>]+ on\w+=", said), "the policy would refuse it"


def test_ids_with_every_character_have_an_address(client, stage, numbers):
    stranger = stage.stranger
    said = page(client, link("runs", stage.evil, "calls", user=stranger))
    assert len(numbers(stage.evil, f"user='{stranger}'")) == said.count("data-row")
    path = page(client, f"/runs/{stage.evil}/examples/{quote('test/' + stranger, safe='/')}")
    assert "It ended here" not in path and "<i>" not in path


def test_unknown_pages_and_runs_say_so(client):
    assert "no page at this address" in page(client, "/nothing", 404)
    assert "There is no run named" in words(page(client, "/runs/none", 404))
    assert client.get("/static/../app.py").status_code == 404
    assert client.post("/").status_code in (403, 405)


def test_pages_answer_quickly(client, stage):
    for address in ("/", link("runs", stage.good), link("runs", stage.good, "calls")):
        page(client, address)
        began = time.process_time()
        for _ in range(5):
            page(client, address)
        assert (time.process_time() - began) / 5 < 0.1
