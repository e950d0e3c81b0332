"""Labels on the page: given with the guard of every form, shown, filtered by, taken away as files."""

from __future__ import annotations

import json
import re

import pytest

from whyrec.trace.labels import Labels
from whyrec.ui.site import link

OURS = {"origin": "http://127.0.0.1:8700"}


@pytest.fixture
def mark(client, stage, door):
    def marking(**form):
        given = {"acting": door.acting, **form}
        return client.post(link("runs", stage.good, "label"), data=given, headers=OURS, follow_redirects=False)

    yield marking
    (stage.settings.home / "labels.sqlite").unlink(missing_ok=True)


def test_a_call_is_labelled_and_found_by_its_label(client, stage, numbers, mark):
    number = numbers(stage.good, "user='u3'")[0]
    page = link("runs", stage.good, "calls", number)
    assert 'name="verdict" value="good"' in client.get(page).text
    answer = mark(call=str(number), verdict="bad", note="<b>not</b> this user", who="ann")
    assert answer.status_code == 303 and answer.headers["location"] == f"{page}#label"
    said = client.get(page).text
    assert (
        '<span class="label bad">bad</span>' in said and "&lt;b&gt;not&lt;/b&gt; this user" in said and "ann," in said
    )
    calls = link("runs", stage.good, "calls")
    assert re.findall(r"/calls/(\d+)\"", client.get(f"{calls}?label=bad").text) == [str(number)]
    assert "No call of this run meets" in client.get(f"{calls}?label=good").text
    assert client.get(f"{calls}?label=great").status_code == 400


def test_an_example_is_labelled_and_its_calls_have_its_label(client, stage, numbers, mark):
    assert mark(example="u3", verdict="good").headers["location"].endswith("/examples/test/u3#label")
    assert '<span class="label good">good</span>' in client.get(link("runs", stage.good, "examples", "test/u3")).text
    number = numbers(stage.good, "user='u3'")[0]
    assert ", of its example" in client.get(link("runs", stage.good, "calls", number)).text
    assert mark(example="test/u3", verdict="").status_code == 303
    assert not Labels(stage.settings.home).of_run(stage.good).examples


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"call": "x", "verdict": "good"}, 400),
        ({"call": "999999", "verdict": "good"}, 404),
        ({"example": "nobody", "verdict": "good"}, 404),
        ({"call": "1", "verdict": "great"}, 400),
        ({"verdict": "good"}, 400),
        ({"call": "1", "verdict": "good", "acting": "guess"}, 403),
    ],
)
def test_what_cannot_be_labelled_is_said_and_kept_nowhere(stage, mark, form, status):
    assert mark(**form).status_code == status
    assert not (stage.settings.home / "labels.sqlite").exists()


def test_calls_and_labels_are_taken_away_as_files(client, stage, numbers, mark):
    number = numbers(stage.good)[0]
    mark(call=str(number), verdict="good", who="ann")
    said = client.get(f"{link('runs', stage.good, 'calls')}?label=good&sort=tokens").text
    saved = link("runs", stage.good, "calls.jsonl", label="good")
    assert f'href="{saved}"' in said.replace("&amp;", "&")
    answer = client.get(saved)
    assert answer.headers["content-disposition"] == f'attachment; filename="calls-{stage.good}.jsonl"'
    (row,) = map(json.loads, answer.text.splitlines())
    assert [message["role"] for message in row["messages"]][-1] == "assistant" and row["call"].endswith(f":{number}")
    assert client.get(link("runs", stage.good, "calls.jsonl", node="nowhere")).status_code == 404
    (exported,) = map(json.loads, client.get(link("runs", stage.good, "labels.jsonl")).text.splitlines())
    assert (exported["call"], exported["label"], exported["who"]) == (number, "good", "ann")
