"""Ten retrieved items, shuffled once, ranked from the letters' probabilities; targets decide only who is asked."""

from __future__ import annotations

import numpy as np
import pytest

from graphs.run import prepare, run
from graphs.shared import retriever as shared
from graphs.shared.placements import places_rotated, places_swapped, rotations, swaps
from graphs.shared.retriever import retriever
from graphs.workflow import Source, workflow
from rec_models import presets
from rec_models.collaborative.itemcf import ItemCF
from rec_models.fit import FitSettings
from rec_models.rank import rank
from rec_models.sequential.sasrec import SASRecSettings
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.built_in.scripted import Scripted
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "cot_rec.recommend"
FLOW = workflow(NAME)


def results(report, status="done"):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload if status == "done" else r.reason for r in found.results(status)}
    finally:
        found.close()


def quick(monkeypatch):
    """A SASRec that trains for one epoch."""
    small = SASRecSettings(width=8, blocks=1, heads=1, max_length=10)
    monkeypatch.setattr(presets, "settings", lambda name, corpus: (small, FitSettings(epochs=1, users_per_step=16)))


def test_item_cf_lists_are_those_of_the_full_ranking_without_what_was_seen(world, tmp_path):
    for split in ("valid", "test"):
        view = SplitView(world.corpus, split)
        found = retriever(Source(world.corpus, tmp_path), view, name="item_cf", n=10, seed=0)
        rankings = rank(ItemCF(SplitView(world.corpus, "valid")), view, top=10)
        assert [tuple(row) for row in found.items.tolist()] == [r.items for r in rankings]
        assert not any(np.isin(found.of(int(u)), view.history(int(u))).any() for u in view.users)
        hits = [r.better < 10 for r in rankings]
        assert found.hits.tolist() == [int(view.target(int(u))) in found.of(int(u)).tolist() for u in view.users]
        assert 0 < sum(hits) < len(hits)


def test_sasrec_is_trained_once_and_its_lists_are_kept(world, tmp_path, monkeypatch):
    quick(monkeypatch)
    source, view = Source(world.corpus, tmp_path), SplitView(world.corpus, "test")
    first = retriever(source, view, name="sasrec", n=10, seed=0)
    other = retriever(source, view, name="sasrec", n=10, seed=1)
    assert (first.items != other.items).any(), "the seed is of its weights"
    monkeypatch.setattr("rec_models.fit.fit", lambda *args, **rest: pytest.fail("trained again"))
    assert (retriever(source, view, name="sasrec", n=10, seed=0).items == first.items).all()


def test_a_catalogue_too_small_is_said(world, tmp_path):
    with pytest.raises(UsageError, match="catalogue of 80"):
        retriever(Source(world.corpus, tmp_path), SplitView(world.corpus, "test"), name="item_cf", n=81, seed=0)


@pytest.mark.parametrize("mode", ["none", "titles", "preference", "perception"])
async def test_what_is_kept_in_every_mode(mode, world, how):
    options = FLOW.options(mode=mode)
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=8, how=how())
    stored = results(report)
    assert len(stored) == 8
    view = SplitView(world.corpus, "test")
    lists = retriever(Source(world.corpus, read_settings().home), view, name="item_cf", n=10, seed=0)
    for index in view.users[:8]:
        payload = stored[f"test/{world.corpus.user_ids[int(index)]}"]
        assert payload["retrieved"] == lists.of(int(index)).tolist()
        assert sorted(payload["shown"]) == sorted(payload["retrieved"]) and payload["shown"] != payload["retrieved"]
        ids = [world.corpus.item(i).id for i in payload["retrieved"]]
        if mode == "none":
            assert (payload["probabilities"], payload["ranking"], payload["way"]) == ([], ids, "")
            continue
        (told,) = payload["probabilities"]
        assert sum(told) == pytest.approx(1.0) and payload["way"] == "logprobs"
        assert payload["ranking"][0] == world.corpus.item(payload["shown"][int(np.argmax(told))]).id
        assert bool(payload["preference"]) == (mode != "titles")
        assert [p["item"] for p in payload["perceptions"]] == (ids if mode == "perception" else [])


async def test_each_mode_tells_the_ranker_more(world, how, counting):
    shown = {}
    for mode in ("titles", "preference", "perception"):
        model = counting()
        await run(NAME, corpus=world.corpus, model=model, options=FLOW.options(mode=mode), users=2, how=how())
        shown[mode] = [r.messages[-1].content for r in model.seen if r.about.node == "rank"]
        assert len(shown[mode]) == 2
    assert "long_term_preference" not in shown["titles"][0] and "impression" not in shown["titles"][0]
    assert "<long_term_preference>" in shown["preference"][0] and "impression" not in shown["preference"][0]
    assert shown["perception"][0].count(" | impression: ") == 10
    assert "A. " in shown["titles"][0] and "J. " in shown["titles"][0]


async def test_with_hits_only_those_are_asked_about_and_told_the_same(world, how, counting):
    seen = {}
    for only in ("all", "hits"):
        model = counting()
        options = FLOW.options(mode="titles", only=only)
        report = await run(NAME, corpus=world.corpus, model=model, options=options, users=40, how=how(cache=False))
        seen[only] = {r.about.example: r.messages[-1].content for r in model.seen}
        assert report.failed == 0 and len(seen[only]) == report.done
    view = SplitView(world.corpus, "test")
    lists = retriever(Source(world.corpus, read_settings().home), view, name="item_cf", n=10, seed=0)
    hits = {f"test/{world.corpus.user_ids[int(u)]}" for u in view.users[:40][lists.hits[:40]]}
    assert 0 < len(hits) < 40 and seen["hits"] == {key: seen["all"][key] for key in hits}


async def test_placements_put_every_item_at_every_place_once(world, how):
    options = FLOW.options(mode="titles", placements=10)
    job = prepare(NAME, corpus=world.corpus, model="echo", options=options, users=3, how=how())
    for index in job.inputs.indices:
        orders = np.array(job.inputs.state(int(index)).orders)
        assert (np.sort(orders, axis=0) == np.arange(10)[:, None]).all() and (
            np.sort(orders, axis=1) == np.arange(10)
        ).all()
    assert job.inputs.calls() == 30
    report = await run(NAME, corpus=world.corpus, model="echo", options=options, users=3, how=how())
    assert report.now.calls.calls == 30
    for payload in results(report).values():
        assert np.array(payload["probabilities"]).shape == (10, 10)
        assert len({tuple(row) for row in payload["probabilities"]}) == 1, "echo likes letters, not items"
    with pytest.raises(UsageError, match="placing=swap measures position bias"):
        prepare(NAME, corpus=world.corpus, model="echo", options=FLOW.options(placing="swap"), how=how())
    with pytest.raises(UsageError, match="1 or all 10 rotations"):
        prepare(NAME, corpus=world.corpus, model="echo", options=FLOW.options(placements=3), how=how())


async def test_a_model_without_probabilities_says_one_letter(world, how):
    report = await run(
        NAME,
        corpus=world.corpus,
        model=Scripted(lambda request, sample: "C"),
        options=FLOW.options(mode="titles"),
        users=2,
        how=how(cache=False),
    )
    for payload in results(report).values():
        assert payload["way"] == "answer" and payload["probabilities"] == [[0.0, 0.0, 1.0] + [0.0] * 7]
        first = world.corpus.item(payload["shown"][2]).id
        others = [world.corpus.item(i).id for i in payload["retrieved"] if world.corpus.item(i).id != first]
        assert payload["ranking"] == [first, *others], "equals keep the retriever's order"


async def test_earlier_runs_are_read_in_place_of_calls(world, how, counting):
    corpus, start = world.corpus, {"corpus": world.corpus, "users": 5}
    made = await run(NAME, model=counting(), how=how(), **start)
    likes = await run("cot_rec.preference", model=counting(), how=how(), **start)
    model = counting()
    options = FLOW.options(preferences=likes.run, perceptions=made.run)
    report = await run(NAME, model=model, options=options, how=how(cache=False), **start)
    assert [r.about.node for r in model.seen] == ["rank"] * 5, "both are stored"
    assert results(report) == results(made), "what is stored is what is made on the fly"
    assert prepare(NAME, model="echo", options=options, how=how(), **start).inputs.calls() == 5
    other = FLOW.options(perceptions=made.run, seed=1, retriever="frozen")
    failed = await run(NAME, corpus=corpus, model=counting(), options=other, users=2, how=how())
    assert failed.failed == 2 and all("has no perception of" in why for why in results(failed, "failed").values())


async def test_perceptions_of_the_frozen_candidates_serve_the_frozen_retriever(world, how, counting):
    seen = await run("cot_rec.perception", corpus=world.corpus, model=counting(), users=4, how=how())
    model, options = counting(), FLOW.options(retriever="frozen", perceptions=seen.run)
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=4, how=how())
    assert report.done == 4 and not any(r.about.node == "review" for r in model.seen)


async def test_a_stored_preference_of_another_prefix_is_never_joined(world, how, counting, monkeypatch, leak_checks):
    with monkeypatch.context() as patch:
        leak_checks.show_one_more(patch)
        leaky = await run("cot_rec.preference", corpus=world.corpus, model=counting(), users=3, how=how())
    with pytest.raises(LeakageError, match="another history"):
        await run(
            NAME,
            corpus=world.corpus,
            model=counting(),
            options=FLOW.options(preferences=leaky.run),
            users=3,
            how=how(),
        )


def test_lists_follow_their_code(world, tmp_path, monkeypatch):
    source, view = Source(world.corpus, tmp_path), SplitView(world.corpus, "test")
    retriever(source, view, name="item_cf", n=10, seed=0)
    monkeypatch.setattr(shared, "_GENERATION", 2)
    retriever(source, view, name="item_cf", n=10, seed=0)
    assert len(list((tmp_path / "retrieved").glob("item_cf-test-10-*.npy"))) == 2


async def test_swaps_move_the_target_alone_and_share_the_first_order(world, how):
    """As the paper's code does: the target changes places with each candidate, the others keep theirs."""
    options = FLOW.options(mode="titles", only="hits", placements=10, placing="both")
    report = await run(NAME, corpus=world.corpus, model="echo", options=options, users=20, how=how())
    view, found = SplitView(world.corpus, "test"), results(report)
    assert found and report.now.calls.calls == 19 * len(found), "the first order is asked about once"
    for payload in found.values():
        assert np.array(payload["probabilities"]).shape == (10, 10) == np.array(payload["swapped"]).shape
        assert places_swapped(payload["swapped"]) == [float(place) for place in range(1, 11)], "echo likes letters"
        first = payload["shown"].index(view.target(world.corpus.user_index[payload["user"]]))
        assert places_rotated(payload["probabilities"], first) == [float(place) for place in range(1, 11)]
    only = FLOW.options(mode="titles", only="hits", placements=10, placing="swap", labels="answer")
    report = await run(NAME, corpus=world.corpus, model="echo", options=only, users=20, how=how())
    assert {payload["way"] for payload in results(report).values()} == {"answer"}
    assert all(len(p["probabilities"]) == 1 and len(p["swapped"]) == 10 for p in results(report).values())


def test_swapped_orders_by_hand() -> None:
    assert swaps((3, 1, 2), 1, "swap") == ((1, 3, 2), (3, 1, 2), (3, 2, 1))
    assert swaps((3, 1, 2), 9, "swap") == () == swaps((3, 1, 2), 1, "rotate")
    assert rotations((3, 1, 2), 3, "both") == ((3, 1, 2), (1, 2, 3), (2, 3, 1))
    assert rotations((3, 1, 2), 3, "swap") == ((3, 1, 2),)
    told = [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]
    assert places_swapped(told) == [1.0, 2.0, 3.0]
    # rotation 0 has it at place 1 (second), rotation 1 at place 0 (first), rotation 2 at place 2 (third)
    assert places_rotated(told, 1) == [1.0, 2.0, 3.0]
