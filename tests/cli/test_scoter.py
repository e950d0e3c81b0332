"""`whyrec scoter`: templates listed and shown, pairs written, steps searched."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import LeakageError, UnknownNameError, UsageError

DATA = "world:users=60,items=80"


def whyrec(*words, ok=True):
    result = CliRunner().invoke(build(), list(words), catch_exceptions=True)
    if ok and result.exit_code:
        raise result.exception or AssertionError(result.output)
    return result


def run_id(graph, *options):
    from whyrec.runs import list_runs
    from whyrec.settings import read_settings

    whyrec("run", graph, "--data", DATA, "--users", "12", "-y", "-q", *options)
    return next(info.id for info in list_runs(read_settings().home) if info.graph == graph)


def test_templates_are_listed_and_a_mined_one_is_shown_with_its_clusters():
    listed = json.loads(whyrec("scoter", "templates", "--json").output)
    assert [row["name"] for row in listed][:3] == ["two_step", "three_step", "five_step"] and len(listed) == 7
    mined = run_id("scoter.mine")
    listed = json.loads(whyrec("scoter", "templates", "--json").output)
    assert [row["name"] for row in listed][7:] == [mined, f"{mined}/top_k"]
    assert listed[7]["comparison"]["n"] == 4 and listed[7]["accepted"] in (True, False)
    shown = whyrec("scoter", "templates", "--show", mined).output
    assert "abstracted from: " in shown and "core logic" in shown and "clusters" in shown and "fresh users" in shown
    assert "Feature prediction" in whyrec("scoter", "templates", "--show", "yelp").output
    assert "yelp" in whyrec("scoter", "templates").output
    with pytest.raises(UnknownNameError, match="beauty"):
        whyrec("scoter", "templates", "--show", "beautiful")


def test_pairs_and_steps_of_a_run(tmp_path):
    chains = run_id("scoter.distil", "-o", "template=two_step")
    out = tmp_path / "pairs.jsonl"
    said = whyrec("scoter", "pairs", chains, "--data", DATA, "--out", str(out)).output
    assert said.startswith("12 pairs") and len(out.read_text().splitlines()) == 12
    indexed = whyrec("scoter", "index", chains, "--data", DATA).output
    assert "24 steps in collection steps-scoter.distil" in indexed and "24 of them new" in indexed
    assert "0 of them new" in whyrec("scoter", "index", chains, "--data", DATA, "--search", "garden hose").output
    held = json.loads(whyrec("search", "--collections", "--json").output)
    assert [(one["rows"], one["about"]) for one in held] == [(24, f"steps of {chains}")]
    for command in (("pairs", chains, "--out", str(out)), ("index", chains)):
        with pytest.raises(UsageError, match="other data"):
            whyrec("scoter", *command, "--data", "world:users=61,items=80")
    later = run_id("scoter.distil", "-o", "template=two_step", "-o", "split=test")
    with pytest.raises(LeakageError, match="no train prefix"):
        whyrec("scoter", "pairs", later, "--data", DATA, "--out", str(out))


def test_a_step_matrix_is_shown_with_its_headers_and_the_nearest_steps():
    from graphs.scoter.step_store import StepStore
    from whyrec.runs import open_run
    from whyrec.settings import read_settings

    run = run_id("scoter.distil", "-o", "template=two_step", "-o", "mode=subsample", "-o", "per_user=2")
    store = StepStore.open(open_run(read_settings().home, run).folder / "steps")
    key, prefix = next(iter(store.keys.items()))
    user = key.partition("/")[2].partition("@")[0]
    for asked in ((), (user,), (key,), (prefix,)):
        shown = whyrec("scoter", "steps", run, *asked, "-k", "1").output.splitlines()
        assert shown[0].startswith(f"{run}: {len(store)} prefixes along two_step")
        assert f"{key}: prefix {prefix}, H float16 [2, {store.shape[1]}]" in shown
        headers = [line for line in shown if line.startswith(("  1. ", "  2. "))]
        assert [h.partition(" (length 1.00: ")[0] for h in headers] == [
            "  1. User Interest Mining",
            "  2. Item Tag Prediction & Recommendation",
        ]
    assert any(line.startswith("also: ") for line in whyrec("scoter", "steps", run, user).output.splitlines())
    with pytest.raises(UsageError, match=f"such as {key}"):
        whyrec("scoter", "steps", run, "nobody")
