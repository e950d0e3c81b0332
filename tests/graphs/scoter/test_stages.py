"""SCoTER's graphs: what is sampled, how it is mapped and scored, how paths are mined, and where steps are kept."""

from __future__ import annotations

import dataclasses
import json
import tempfile

import numpy as np
import polars as pl
import pytest

from graphs.engine.estimate import estimate
from graphs.run import prepare, run
from graphs.scoter import mining
from graphs.scoter.compare import beaten_by, paired
from graphs.scoter.drawn_users import draw_users
from graphs.scoter.judge import Catalogue, Judge, Mapping
from graphs.scoter.pairs import write_pairs
from graphs.scoter.paths import Scores, cluster, prune, ranked, wilson
from graphs.scoter.step_store import StepStore
from graphs.scoter.templates import SHIPPED, find
from graphs.workflow import Source, workflow
from whyrec.data.generated.world import make as make_world
from whyrec.data.some import Drawn
from whyrec.data.split import SplitView, prefix_digest
from whyrec.data.text import captions
from whyrec.embed import unit_rows
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Refused, Reply
from whyrec.runs import open_run
from whyrec.settings import read_settings

BECAUSE = "because what people come back to says more than what they met once"


class Teller:
    """Answers every prompt of this room from a function of (request, what it knows of the user); counts requests."""

    name, revision = "teller", "1"

    def __init__(self, tell):
        self.tell, self.seen = tell, []

    async def complete(self, request):
        self.seen.append(request)
        return [Reply(self.tell(request), sample=s, model=self.name) for s in request.samples]

    async def close(self):
        pass


@pytest.fixture
def corpus(world):
    """The small world with a title of its own for every item, so that it is known what is nearest to what."""
    n = world.corpus.n_items
    titles = pl.Series("title", [f"name{i} kind{i % 7}" for i in range(1, n + 1)])
    blank = pl.Series("brand", [""] * n)
    none = pl.Series("categories", [[] for _ in range(n)], dtype=pl.List(pl.String))
    return dataclasses.replace(world.corpus, catalogue=world.corpus.catalogue.with_columns(titles, blank, none))


def payloads(report):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload for r in found.results("done")}
    finally:
        found.close()


def oracle(corpus, split="train", *, knows=lambda request: True):
    """Recommends the target's own caption at place 3, for the requests that `knows`; else captions of others."""
    view, texts = SplitView(corpus, split), captions(corpus)

    def tell(request):
        if request.about.node == "abstract":
            steps = ["Look at the past", "Find the taste", "Item recommendation"]
            told = {name: f"The {name} of it: {BECAUSE}" for name in ("core_logic", "strengths", "limits", "rationale")}
            return json.dumps({**told, "steps": steps})
        user = corpus.user_index[request.about.user]
        met = {*view.history(user).tolist(), view.target(user)}
        others = [i for i in range(1, corpus.n_items + 1) if i not in met]
        others = [others[place % len(others)] for place in range(20)]
        good = knows(request)
        if good:
            others[2] = view.target(user)
        lines = "\n".join(texts[i - 1] for i in others)
        path = (
            "Study habits -> Weigh recent taste -> Item recommendation"
            if good
            else ("Count brands -> Guess anything popular -> Item recommendation")
        )
        return f"<cot_path>{path}</cot_path>\n<reason>a\nb\nc</reason>\n<recommendations>{lines}</recommendations>"

    return tell


async def test_generate_samples_chains_without_reading_the_target(corpus, how):
    model = Teller(oracle(corpus, knows=lambda r: False))
    flow = workflow("scoter.generate")
    report = await run(flow.name, corpus=corpus, model=model, options=flow.options(samples=3), users=4, how=how())
    found = payloads(report)
    assert report.failed == 0 and len(found) == 4
    view = SplitView(corpus, "train")
    for key, kept in found.items():
        assert [c["path"][-1] for c in kept["chains"]] == ["Item recommendation"] * 3
        assert all(len(c["recommendations"]) == 20 for c in kept["chains"])
        assert kept["prefix"] == view.prefix_digest(corpus.user_index[kept["user"]])
        assert key == f"train/{kept['user']}"
    assert model.seen[0].sampling.temperature == 0.7 and model.seen[0].sampling.top_p == 0.9
    assert len(model.seen) == 4, "the samples of a user are one request"


async def test_a_template_is_shown_and_becomes_the_path(world, how, counting):
    model, flow = counting(), workflow("scoter.generate")
    options = flow.options(template="three_step", split="valid")
    report = await run(flow.name, corpus=world.corpus, model=model, options=options, users=3, how=how())
    steps = list(SHIPPED["three_step"].steps)
    assert all(c["path"] == steps for kept in payloads(report).values() for c in kept["chains"])
    shown = model.seen[0].messages[-1].content
    assert [f"{n}. {s}" in shown for n, s in enumerate(steps, 1)] == [True] * 3


async def test_fewer_than_twenty_recommendations_are_asked_for_again(world, how):
    short = "<cot_path>a b -> c d</cot_path><reason>x</reason><recommendations>one\ntwo</recommendations>"
    model = Teller(lambda request: short)
    report = await run("scoter.generate", corpus=world.corpus, model=model, users=1, how=how())
    assert (report.done, report.failed, len(model.seen)) == (0, 1, 2), (
        "the same wrong answer twice comes from the cache"
    )
    assert "recommendations" in model.seen[1].messages[-1].content


def test_descriptions_become_their_nearest_items_and_history_is_left_out(corpus, tmp_path):
    catalogue, texts = Catalogue(corpus, "lsa", cache=tmp_path), captions(corpus)
    view = SplitView(corpus, "train")
    user = int(view.users[0])
    history, target = view.history(user), view.target(user)
    met = int(history[0])
    near = catalogue.near([texts[met - 1], texts[target - 1], texts[target - 1], "qqqq zzzz"])
    free = catalogue.map(near, history, Mapping())
    assert met not in free and target in free and len(set(free)) == len(free)
    assert catalogue.map(near, history, Mapping(exclude_history=False))[0] == met
    greedy = catalogue.map(near, history, Mapping(greedy=True))
    assert len(greedy) == 3, "the second description of the target takes the next nearest item; the unknown one none"
    verdict = Judge(catalogue, view, Mapping()).verdict(user, [texts[target - 1], "qqqq zzzz"])
    assert (verdict.hit, verdict.place, verdict.ndcg, verdict.unmapped) == (True, 1, 1.0, 1)
    assert verdict.percentile > 0.95
    lost = Judge(catalogue, view, Mapping()).verdict(user, ["qqqq zzzz"])
    assert (lost.hit, lost.ndcg, lost.percentile, lost.items) == (False, 0.0, 0.5, ())


async def test_validate_scores_a_run_and_makes_the_same_chains_on_the_fly(corpus, how):
    knows = lambda r: corpus.user_index[r.about.user] % 2 == 0  # noqa: E731
    model, flow = Teller(oracle(corpus, knows=knows)), workflow("scoter.validate")
    made = await run("scoter.generate", corpus=corpus, model=model, users=10, how=how())
    stored = await run(
        flow.name, corpus=corpus, model=model, options=flow.options(generate=made.run), users=10, how=how()
    )
    assert stored.now.calls.calls == 0
    fresh = await run(flow.name, corpus=corpus, model=model, users=10, how=how())
    assert len(model.seen) == 10, "what scoter.generate asked comes from the cache"
    assert payloads(stored) == payloads(fresh)
    for kept in payloads(stored).values():
        expected = corpus.user_index[kept["user"]] % 2 == 0
        assert kept["hit"] == expected
        if expected:
            assert kept["chains"][0]["place"] <= 3 and kept["ndcg"] >= 0.5


def test_pruning_merges_or_drops_near_duplicates():
    rows = unit_rows(np.array([[1, 0.0], [1, 0.1], [0, 1], [1, 0.05]], dtype=np.float32))
    merged = prune(rows, similar=0.85, how="merge")
    assert [g.members for g in merged] == [(0, 1, 3), (2,)]
    assert [g.members for g in prune(rows, similar=0.85, how="drop")] == [(0,), (2,)]


def test_the_cluster_of_the_best_lower_bound_wins_and_small_ones_cannot():
    rng = np.random.default_rng(0)
    centres = np.eye(3, 8, dtype=np.float32)
    labels_true = np.repeat([0, 1, 2], [40, 40, 2])
    rows = unit_rows(centres[labels_true] + 0.03 * rng.normal(size=(82, 8)).astype(np.float32))
    groups = prune(rows, similar=1.1, how="merge")
    labels, silhouettes = cluster(rows, groups, most=6, seed=0)
    assert max(silhouettes, key=silhouettes.get) == 3
    hits = [False] * 40 + [True] * 10 + [False] * 30 + [True] * 2
    scores = Scores(hits, [0.5] * 82)
    best, *rest = ranked(rows, labels, groups, scores, quality="wilson", smallest=0.05)
    assert (best.chains, best.recall.mean) == (40, 0.25)
    assert rest[-1].chains == 2 and not rest[-1].eligible
    assert ranked(rows, labels, groups, scores, quality="mean", smallest=0.0)[0].chains == 2, "as printed: luck wins"
    none = Scores([False] * 82, [0.2] * 40 + [0.7] * 40 + [0.4] * 2)
    assert ranked(rows, labels, groups, none, quality="wilson", smallest=0.05)[0].dense.mean == pytest.approx(0.7)


def test_wilson_agrees_with_a_worked_case():
    found = wilson(10, 100)
    assert (found.low, found.high) == (pytest.approx(0.0552, abs=1e-4), pytest.approx(0.1744, abs=1e-4))


def test_paired_tests_find_a_better_template_and_not_an_equal_one():
    user = [f"u{i}" for i in range(60)]
    good = {u: {"hit": i < 20, "percentile": 0.8 + i / 1000} for i, u in enumerate(user)}
    bad = {u: {"hit": i < 4, "percentile": 0.5 + i / 999} for i, u in enumerate(user)}
    pair = paired(bad, good)
    assert (pair["won"], pair["lost"]) == (0, 16) and pair["p recall"] < 0.001 and pair["p percentile"] < 0.001
    assert beaten_by({"good": pair, "same": paired(bad, bad)}, ["good", "same"]) == ["good"]


async def test_mine_finds_the_paths_that_work_and_keeps_their_template(corpus, how):
    knows = lambda r: corpus.user_index[r.about.user] % 3 == 0  # noqa: E731
    model, flow = Teller(oracle(corpus, knows=knows)), workflow("scoter.mine")
    options = flow.options(sample=40, fresh=10)
    report = await run(flow.name, corpus=corpus, model=model, options=options, how=how())
    assert report.failed == 0
    (kept,) = payloads(report).values()
    assert kept["clusters"][0]["recall@20"]["mean"] == 1.0 and "Study habits" in kept["clusters"][0]["nearest"][0]
    asked = next(r for r in model.seen if r.about.node == "abstract" and r.about.example == "mined")
    assert "Study habits" in asked.messages[-1].content and "Count brands" not in asked.messages[-1].content
    assert kept["templates"]["mined"]["steps"] == ["Look at the past", "Find the taste", "Item recommendation"]
    assert set(kept["comparison"]) == {"mined", "top_k", *SHIPPED} and kept["comparison"]["mined"]["n"] == 10
    mined = {r.about.example for r in model.seen if r.about.node == "generate_chains"}
    fresh = {r.about.example for r in model.seen if r.about.node.startswith("revalidate")}
    assert len(mined) == 40 and len(fresh) == 10 and not mined & fresh
    home = read_settings().home
    assert find(home, report.run).steps == ("Look at the past", "Find the taste", "Item recommendation")
    assert find(home, f"{report.run}/top_k").kind == "top-K"
    followed = workflow("scoter.generate").options(template=report.run)
    again = await run("scoter.generate", corpus=corpus, model=model, options=followed, users=2, how=how())
    assert again.failed == 0


def test_who_is_mined_follows_from_the_options_alone_and_is_no_first(tmp_path):
    """However the users were chosen: which they are is no part of a run's identity, but how many are mined is."""
    corpus = make_world(users=120, items=60).corpus
    view, options = SplitView(corpus, "train"), workflow("scoter.mine").options(sample=30, fresh=10)
    casts = [draw_users(Source(corpus, tmp_path, wanted), view, options, None) for wanted in (None, 40, 90, Drawn(40))]
    assert all(np.array_equal(c.mined, casts[0].mined) and np.array_equal(c.fresh, casts[0].fresh) for c in casts)
    whole = np.concatenate([casts[0].mined, casts[0].fresh])
    assert len(set(whole.tolist())) == 40 and not np.array_equal(np.sort(whole), view.users[:40])
    few = draw_users(Source(corpus, tmp_path, 20), view, options, None)
    assert (len(few.mined), len(few.fresh)) == (14, 6)


async def test_mine_reads_scored_chains_of_a_run_and_takes_fresh_users_beside_it(corpus, how):
    model, flow = Teller(oracle(corpus)), workflow("scoter.mine")
    scored = await run("scoter.validate", corpus=corpus, model=model, users=30, how=how())
    options = flow.options(validate=scored.run, fresh=5)
    job = prepare(flow.name, corpus=corpus, model=model, options=options, how=how())
    assert job.inputs.calls() == 2 + 9 * 5 and job.inputs.options.sample == 30
    report = await run(flow.name, corpus=corpus, model=model, options=options, how=how())
    (kept,) = payloads(report).values()
    assert kept["chains"] == 30 and kept["comparison"]["beauty"]["n"] == 5
    assert not [r for r in model.seen if r.about.node == "generate_chains"]


async def test_a_stage_that_was_cut_off_goes_on_where_it_stopped(corpus, how):
    """A server that goes away fails the run; what was answered is in the ledger and never asked again."""
    told, left = oracle(corpus), [25]

    def tell(request):
        left[0] -= 1
        if left[0] < 0:
            raise Refused("teller is gone")
        return told(request)

    flow, options = workflow("scoter.mine"), workflow("scoter.mine").options(sample=20, fresh=5)
    model = Teller(tell)
    first = await run(flow.name, corpus=corpus, model=model, options=options, how=how(cache=False))
    assert first.done == 0
    model = Teller(told)
    second = await run(flow.name, corpus=corpus, model=model, options=options, how=how(cache=False, retry_failed=True))
    assert second.done == 1
    assert not [r for r in model.seen if r.about.node == "generate_chains"], "these were answered before"
    assert len(model.seen) == 20 + 2 + 45 - 25


async def test_the_estimate_of_mining_is_what_is_made(world, how, monkeypatch, tmp_path):
    """From a dry run over a few users, which leaves nothing behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = prepare("scoter.mine", corpus=world.corpus, model="extractive", how=how(cache=False))
    expected = await estimate(job)
    report = await run("scoter.mine", corpus=world.corpus, model="extractive", how=how(cache=False))
    made = report.now.calls
    assert expected.calls == made.calls == 40 + 2 + 9 * 20
    assert abs(expected.tokens_in - made.tokens_in) < 0.1 * made.tokens_in
    assert abs(expected.tokens_out - made.tokens_out) < 0.1 * made.tokens_out
    assert not list(tmp_path.glob("whyrec-*"))


def test_the_best_chains_are_hits_in_their_order_then_by_lot():
    rows = [{"hit": h, "place": p} for h, p in ((False, 0), (True, 9), (True, 2), (False, 0))]
    assert mining.best_chains(rows, 3, seed=0)[:2] == [rows[2], rows[1]]


def headers(steps, leave_out=()):
    parts = ["overall_analysis", *steps, "summary"]
    return "\n\n".join(f"## {p}\nAbout {p} this is what the lines show." for p in parts if p not in leave_out)


@pytest.mark.parametrize(("mode", "per_user"), [("last_only", 3), ("subsample", 2), ("per_prefix", 3)])
async def test_distil_keeps_a_matrix_for_every_prefix(mode, per_user, world, how):
    steps, flow = SHIPPED["five_step"].steps, workflow("scoter.distil")
    model = Teller(lambda request: headers(steps))
    options = flow.options(template="five_step", mode=mode, per_user=per_user)
    report = await run(flow.name, corpus=world.corpus, model=model, options=options, users=5, how=how())
    found = payloads(report)
    view = SplitView(world.corpus, "train")
    lengths = [len(view.history(int(u))) for u in view.users[:5]]
    wanted = {"last_only": 5, "subsample": sum(min(n, 2) for n in lengths), "per_prefix": sum(lengths)}[mode]
    assert report.failed == 0 and len(found) == wanted
    store = StepStore.open(read_settings().home / "runs" / report.run / "steps")
    for key, kept in found.items():
        user, length = world.corpus.user_index[kept["user"]], int(key.rpartition("@")[2])
        assert kept["prefix"] == prefix_digest(view.history(user)[:length])
        assert kept["sections"][0] == f"About {steps[0]} this is what the lines show."
        matrix, mask = store.of(key, kept["prefix"])
        assert matrix.shape == (5, store.about.width) and matrix.dtype == np.float16 and mask.all()
    written = write_pairs(
        open_run(read_settings().home, report.run), world.corpus, read_settings().home / "pairs.jsonl", cap=20
    )
    lines = [json.loads(line) for line in (read_settings().home / "pairs.jsonl").read_text().splitlines()]
    assert written.pairs == len(lines) == wanted and lines[0]["completion"].startswith("## overall_analysis")
    sent = [m.content for m in model.seen[0].messages]
    assert sent in [[m["content"] for m in line["messages"]] for line in lines], "the student sees the teacher's prompt"


@pytest.mark.parametrize("incomplete", ["drop", "keep"])
async def test_a_chain_that_lacks_a_step_is_asked_for_again_then_dropped_or_kept(incomplete, world, how):
    steps, flow = SHIPPED["three_step"].steps, workflow("scoter.distil")
    model = Teller(lambda request: headers(steps, leave_out=(steps[1],)))
    options = flow.options(template="three_step", incomplete=incomplete)
    report = await run(flow.name, corpus=world.corpus, model=model, options=options, users=1, how=how())
    assert len(model.seen) == 2 and steps[1] in model.seen[1].messages[-1].content
    if incomplete == "drop":
        assert (report.done, report.failed) == (0, 1)
        return
    ((key, kept),) = payloads(report).items()
    assert kept["missing"] == [1]
    store = StepStore.open(read_settings().home / "runs" / report.run / "steps")
    matrix, mask = store.of(key, kept["prefix"])
    assert mask.tolist() == [True, False, True] and not matrix[1].any()
    pairs = write_pairs(open_run(read_settings().home, report.run), world.corpus, read_settings().home / "p", cap=20)
    assert (pairs.pairs, pairs.incomplete) == (0, 1)


async def test_options_that_make_no_sense_are_refused(world, how):
    flow = workflow("scoter.distil")
    for name, options, error, sentence in (
        ("scoter.generate", {"template": "six_step"}, UnknownNameError, "two_step"),
        ("scoter.generate", {"samples": 0}, UsageError, "samples between 1 and"),
        ("scoter.validate", {"similar": 0}, UsageError, "per cent"),
        ("scoter.mine", {"exemplars": 1}, UsageError, "exemplars=1"),
        ("scoter.distil", {"split": "test", "mode": "per_prefix"}, UsageError, "one prefix per user"),
    ):
        with pytest.raises(error, match=sentence):
            prepare(name, corpus=world.corpus, model="echo", options=workflow(name).options(**options), how=how())
    with pytest.raises(UsageError, match="at least 2 users"):
        prepare("scoter.mine", corpus=world.corpus, model="echo", users=2, how=how())
    made = await run(flow.name, corpus=world.corpus, model="extractive", users=1, how=how())
    with pytest.raises(UsageError, match=r"one of scoter\.generate is needed"):
        prepare(
            "scoter.validate",
            corpus=world.corpus,
            model="echo",
            options=workflow("scoter.validate").options(generate=made.run),
            how=how(),
        )
