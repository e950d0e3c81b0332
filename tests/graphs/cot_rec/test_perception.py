"""Perceptions are keyed by item, made from the frozen candidates, and share their calls with the other graphs."""

from __future__ import annotations

import pytest

from graphs.run import prepare, run
from graphs.workflow import workflow
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "cot_rec.perception"
FLOW = workflow(NAME)


def results(report):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload for r in found.results("done")}
    finally:
        found.close()


@pytest.mark.parametrize("mode", ["batched", "three_step", "official_json"])
async def test_every_candidate_has_its_own_phrase(mode, world, how, counting):
    model = counting()
    options = FLOW.options(mode=mode, candidates=5)
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=6, how=how())
    stored = results(report)
    assert len(stored) == 6
    view, job = (
        SplitView(world.corpus, "test"),
        prepare(NAME, corpus=world.corpus, model=model, options=options, users=6, how=how()),
    )
    places = []
    for index in job.inputs.indices:
        payload = stored[job.inputs.key(int(index))]
        shown = [item.id for item in job.inputs.state(int(index)).task.candidates]
        assert [p["item"] for p in payload["perceptions"]] == shown and len(set(shown)) == 5
        assert payload["prefix"] == view.prefix_digest(int(index))
        places.append(shown.index(world.corpus.item(view.target(int(index))).id))
        titles = {item.id: item.title for item in job.inputs.state(int(index)).task.candidates}
        for p in payload["perceptions"]:
            assert p["phrase"] and p["review"]
            if mode == "three_step":
                last = p["review"].split("; ")[-1]
                assert (titles[p["item"]] or "untitled").startswith(last[:8].strip()), "each review is of its own item"
            assert (p["stance"] is None) == (mode == "official_json")
    assert len(set(places)) > 1, "the target's place varies"


async def test_two_calls_per_user_when_preferences_and_descriptions_are_stored(world, how, counting):
    described = await run("cot_rec.describe", corpus=world.corpus, model="echo", how=how())
    preferred = await run("cot_rec.preference", corpus=world.corpus, model="echo", users=6, how=how())
    model = counting()
    options = FLOW.options(descriptions=described.run, preferences=preferred.run)
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=6, how=how())
    assert report.exit_code == 0
    assert [r.about.node for r in model.seen].count("review") == 6 and len(model.seen) == 12
    stored, known = results(report), results(preferred)
    assert {k: p["preference"] for k, p in stored.items()} == {k: p["text"] for k, p in known.items()}


async def test_what_is_made_on_the_fly_comes_from_the_cache_of_the_other_graphs(world, how, counting):
    model = counting()
    await run("cot_rec.describe", corpus=world.corpus, model=model, how=how())
    await run("cot_rec.preference", corpus=world.corpus, model=model, users=6, how=how())
    before = len(model.seen)
    report = await run(NAME, corpus=world.corpus, model=model, users=6, how=how())
    assert report.exit_code == 0 and len(model.seen) - before == 12
    assert {r.about.node for r in model.seen[before:]} == {"review", "keywords"}


async def test_preferences_of_another_split_are_a_leak(world, how):
    preferred = await run("cot_rec.preference", corpus=world.corpus, model="echo", users=6, how=how())
    options = FLOW.options(preferences=preferred.run, split="valid")
    report = await run(NAME, corpus=world.corpus, model="echo", options=options, users=6, how=how())
    assert report.failed == 6, "the run has no preferences of this split"
    other = await run("cot_rec.preference", corpus=_shifted(world.corpus), model="echo", users=6, how=how())
    with pytest.raises(LeakageError, match="another history"):
        await run(
            NAME, corpus=world.corpus, model="echo", options=FLOW.options(preferences=other.run), users=6, how=how()
        )


def _shifted(corpus):
    import dataclasses

    return dataclasses.replace(corpus, items=(corpus.items % corpus.n_items + 1).astype(corpus.items.dtype))
