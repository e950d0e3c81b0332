"""Parts of one paper in another's, as docs/mixing.md says: by commands, and without one room knowing the other."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UsageError

DATA = "world:users=60,items=80"


def whyrec(*words):
    result = CliRunner().invoke(build(), list(words), catch_exceptions=True)
    if result.exit_code:
        raise result.exception or AssertionError(result.output)
    return result.output


def run_id(graph, *options):
    from whyrec.runs import list_runs
    from whyrec.settings import read_settings

    whyrec("run", graph, "--data", DATA, "--llm", "simulated:1", "-y", "-q", *options)
    return next(info.id for info in list_runs(read_settings().home) if info.graph == graph)


def payload(run, key):
    return json.loads(whyrec("runs", "show", run, key))


def test_a_preference_of_cot_rec_stands_in_the_behaviour_text_that_pulse_compares_with():
    preferences = run_id("cot_rec.preference", "--users", "6")
    plain = ("-o", "rationales=none", "-o", "widths=2", "-o", "selectors=space", "--users", "6")
    without = run_id("pulse.refine", *plain)
    told = run_id("pulse.refine", "-o", f"preferences={preferences}", *plain)
    assert told != without
    for user in range(6):
        key = f"test/u{user}"
        said, before, after = payload(preferences, key)["text"], payload(without, key), payload(told, key)
        assert after["behaviour"] == f"Prefers: {said}\n{before['behaviour']}"
        assert after["thoughts"] == before["thoughts"] and after["scores"]["space"] != before["scores"]["space"]


def test_chains_of_scoter_are_weighed_in_the_thought_space_of_pulse():
    from graphs.shared.behaviour import behaviour_text
    from graphs.shared.thought_spaces import Learning, learnt, with_rationales
    from graphs.workflow import Source
    from whyrec.data import SplitView, load
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder
    from whyrec.settings import read_settings

    chains = run_id("scoter.validate", "-o", "split=valid", "-o", "samples=2", "-o", "prune=merge")
    with pytest.raises(UsageError, match=r"no run of pulse\.rationale"):
        whyrec("scoter", "weigh", chains, "--data", DATA)
    run_id("pulse.rationale")
    rows = json.loads(whyrec("scoter", "weigh", chains, "--data", DATA, "--json"))
    said = whyrec("scoter", "weigh", chains, "--data", DATA)
    assert f"{len(rows)} chains of 60 users in the space of pulse.rationale" in said
    assert "MRR of the own behaviour" in said and "Spearman" in said and "own against next user's" in said

    settings = read_settings()
    source = Source(load(DATA, settings=settings), settings.home)
    embedder = open_embedder("lsa", fit_on=captions(source.corpus), cache=settings.home / "embedders")
    space = learnt(source, with_rationales(source, Learning(rationales="")), embedder)
    view, second = SplitView(source.corpus, "valid"), rows[2]
    kept = payload(chains, second["key"])["chains"][second["place"]]
    user = source.corpus.user_index[second["key"].removeprefix("valid/")]
    (expected,) = space.scores(["\n".join(kept["reason"])], behaviour_text(view.example(user).history))
    assert second["cosine"] == pytest.approx(float(expected), abs=1e-5) and second["percentile"] == kept["percentile"]
    assert 1.0 <= second["rank"] <= 60.0

    own, other = (np.mean([row[name] for row in rows]) for name in ("cosine", "other"))
    assert own > other  # what a true chain says agrees with its own user more than with the next
    with pytest.raises(UsageError, match=r"one of scoter\.generate or scoter\.validate is needed"):
        whyrec("scoter", "weigh", run_id("cot_rec.preference", "--users", "2"), "--data", DATA)
