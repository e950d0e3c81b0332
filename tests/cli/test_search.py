"""`whyrec search`: items, users and what runs have said, in collections that say what they hold."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError

DATA = "world:users=30,items=80"


def whyrec(*words):
    result = CliRunner().invoke(build(), list(words), catch_exceptions=True)
    if result.exit_code:
        raise result.exception or AssertionError(result.output)
    return result.output


def run_id(graph, *options):
    from whyrec.runs import list_runs
    from whyrec.settings import read_settings

    whyrec("run", graph, "--data", DATA, "--users", "6", "-y", "-q", *options)
    return next(info.id for info in list_runs(read_settings().home) if info.graph == graph)


def found(*words):
    return json.loads(whyrec("search", "garden hose", "--data", DATA, "--json", *words))


def listed():
    return {one["name"]: one for one in json.loads(whyrec("search", "--collections", "--json"))}


def test_reasons_of_the_latest_run_are_found_by_user_and_selector():
    assert "No collections" in whyrec("search", "--collections")
    with pytest.raises(UsageError, match=r"whyrec run pulse\.refine"):
        found("--in", "reasons")
    run = run_id("pulse.refine", "-o", "rationales=none", "-o", "widths=2", "-o", "selectors=space,longest,base")
    hits = found("--in", "reasons", "-k", "50")["reasons"]
    kept = json.loads(whyrec("runs", "show", run, "test/u1"))
    mine = {hit["id"]: hit["text"] for hit in hits if hit["id"].startswith("u1 ")}
    for selector, number in kept["chosen"].items():
        (text,) = [text for id_, text in mine.items() if selector in id_.partition(" ")[2].split(",")]
        assert text == kept["thoughts"][number]["text"]
    (name,) = listed()
    assert name.startswith(f"reasons-{run}.world") and listed()[name]["rows"] == len(hits)
    assert listed()[name]["about"] == f"reasons of {run} by extractive"
    assert f"reasons of {run} by extractive" in whyrec("search", "--collections")


def test_items_and_users_are_searched_where_no_run_is_asked_for():
    both = found()
    assert list(both) == ["items", "users"] and "ose" in both["items"][0]["text"]
    assert list(found("--in", "users")) == ["users"]
    assert {one["about"].split(" ")[0] for one in listed().values()} == {"items", "what"}


def test_what_cannot_be_searched_says_so():
    with pytest.raises(UnknownNameError, match="reasons"):
        found("--in", "raisons")
    with pytest.raises(UsageError, match="needs a text"):
        whyrec("search", "--data", DATA)
    preferences = run_id("cot_rec.preference")
    assert list(found("--run", preferences)) == ["preferences"]
    with pytest.raises(UsageError, match="holds preferences, not chains"):
        found("--run", preferences, "--in", "chains")
    with pytest.raises(UsageError, match="is about"):
        whyrec("search", "hose", "--data", "world:users=31,items=80", "--run", preferences)
    with pytest.raises(UsageError, match="no texts to search"):
        found("--run", run_id("rallrec.retrieve"))
    with pytest.raises(UsageError, match="keys such as test/u0"):
        whyrec("runs", "show", preferences, "test/nobody")
