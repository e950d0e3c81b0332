"""rallrec.predict: what is asked, what is kept, and which options go together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from graphs.rallrec.expert import VARIANTS, logistic_expert
from graphs.rallrec.merge import Opinion, hedged, merged
from graphs.rallrec.predict import Options, Predictions
from graphs.rallrec.retrieve import retriever
from graphs.run import prepare, run
from graphs.workflow import Source
from whyrec.data.ctr import CtrView, ctr_rows
from whyrec.data.generated.world import make
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.model import Reply, Usage
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "rallrec.predict"
SMALL = {"k": 4, "samples": 3, "expert_rows": 200}


@pytest.fixture(scope="module")
def corpus():
    return make(users=150, items=60).corpus


THOUGHT = "The item is near what this user rated high, and far from what was rated low."


class Thinker:
    """Thinks a text per sample; reads out by its own last word (it shows no log-probabilities)."""

    name, revision = "thinker", ""

    def __init__(self, *texts):
        self.texts, self.seen = texts, []

    async def complete(self, request):
        self.seen.append(request)
        return [Reply(self.texts[s % len(self.texts)], sample=s, usage=Usage(1, 10 + s)) for s in request.samples]

    async def close(self):
        pass


async def predicted(corpus, how, model, users=6, **options):
    chosen = Options(**{**SMALL, **options})
    report = await run(NAME, corpus=corpus, model=model, options=chosen, users=users, how=how(cache=False))
    assert report.failed == 0, report.reason
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: r.payload for r in found.results("done")}, report
    finally:
        found.close()


async def test_samples_votes_and_merging_are_kept(corpus, how):
    model = Thinker(f"{THOUGHT} Answer: Yes", f"{THOUGHT} Answer: No", f"{THOUGHT} Answer: Yes")
    stored, _ = await predicted(corpus, how, model, readout="vote")
    for told in stored.values():
        assert told["p"] == told["votes"] == [1.0, 0.0, 1.0] and told["ways"] == ["vote"] * 3
        assert told["tokens"] == [10, 11, 12] and told["cut_off"] == 0 and told["own"] == pytest.approx(2 / 3)
        assert told["probability"] == pytest.approx(merged(told["p"], Opinion(told["expert"], told["expert_variance"])))
        assert told["hint"] == hedged(told["expert"])
    assert len(model.seen) == len(stored), "one request for all samples"


async def test_hints_stand_in_the_prompt_and_none_leaves_it_out(corpus, how):
    said = {}
    for hint in ("hedged", "flipped", "placebo", "plain", "none"):
        model = Thinker(f"{THOUGHT} Answer: Yes")
        stored, _ = await predicted(corpus, how, model, readout="vote", hint=hint)
        said[hint] = {k: p["hint"] for k, p in stored.items()}
        shown = {r.about.example: r.messages[-1].content for r in model.seen}
        for key, hint_text in said[hint].items():
            assert ("<opinion>" in shown[key]) == bool(hint_text) and hint_text in shown[key]
    assert not any(said["none"].values())
    assert all("might be" in text for text in said["plain"].values())
    assert all(said["flipped"][k] != said["hedged"][k] for k in said["hedged"])
    assert said["placebo"] != said["hedged"]


async def test_a_placebo_thinks_about_another_users_row_and_reads_out_its_own(corpus, how):
    model = Thinker(f"{THOUGHT} Answer: Yes")
    stored, _ = await predicted(corpus, how, model, readout="vote", reasons="placebo")
    own = {p["row"]: p["user"] for p in stored.values()}
    for request in model.seen:
        assert request.about.node == "reason"
    assert len(model.seen) == len(own)
    inputs = Predictions(Source(corpus, read_settings().home), Options(**SMALL, reasons="placebo"))
    view = CtrView(ctr_rows(corpus), "test")
    for row in own:
        assert view.user(inputs.partner(row)) != view.user(row)
        assert inputs.state(row).task.other.row == inputs.partner(row)


async def test_titles_alone_unless_the_catalogue_is_wanted(corpus, how):
    for facts, there in (("titles", False), ("catalogue", True)):
        model = Thinker(f"{THOUGHT} Answer: Yes")
        await predicted(corpus, how, model, readout="vote", facts=facts)
        assert any("categories:" in r.messages[-1].content for r in model.seen) == there
        assert all("rated:" in r.messages[-1].content for r in model.seen)


async def test_at_once_is_one_call_and_the_expert_may_be_the_model_or_a_run(corpus, how, counting):
    direct, report = await predicted(corpus, how, "extractive", mode="direct", hint="none", expert="none")
    assert all(p["expert"] is None and p["probability"] == p["own"] and p["tokens"] == [] for p in direct.values())
    assert report.now.calls.calls == len(direct)
    by_run, _ = await predicted(corpus, how, "extractive", expert="run", expert_run=report.run)
    assert {k: p["expert"] for k, p in by_run.items()} == {k: p["own"] for k, p in direct.items()}
    by_model, again = await predicted(corpus, how, "extractive", expert="model")
    assert {k: p["expert"] for k, p in by_model.items()} == {k: p["own"] for k, p in direct.items()}
    assert again.now.calls.calls == len(by_model) * 7
    job = prepare(NAME, corpus=corpus, model=counting(), options=Options(**SMALL, expert="model"), users=6, how=how())
    assert job.inputs.calls() == 6 * 7


async def test_an_expert_run_over_other_histories_is_refused(corpus, how):
    _, report = await predicted(corpus, how, "extractive", mode="direct", hint="none", expert="none")
    ratings = corpus.ratings.copy()
    ratings[::2] = 6 - ratings[::2]
    other = dataclasses.replace(corpus, ratings=ratings)
    with pytest.raises(LeakageError, match="another history"):
        await predicted(other, how, "extractive", expert="run", expert_run=report.run)


async def test_a_placebos_thoughts_are_those_of_the_other_rows_own_turn(corpus, how):
    async def asked(users, **options):
        model = Thinker(f"{THOUGHT} Answer: Yes")
        await predicted(corpus, how, model, users=users, readout="vote", **options)
        return [(r.about.example, [m.content for m in r.messages]) for r in model.seen]

    own, placebo = dict(await asked(60)), await asked(3, reasons="placebo")
    assert len(placebo) == 3 and all(own[key] == messages for key, messages in placebo)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"expert": "none"}, "no opinion to inject"),
        ({"expert": "run"}, "go together"),
        ({"expert_run": "x"}, "go together"),
        ({"mode": "direct", "reasons": "placebo"}, "does not think"),
        ({"samples": 0}, "at least 1"),
        ({"alpha": "much"}, "Option alpha"),
    ],
)
def test_options_that_contradict_are_refused(wrong, said, corpus):
    with pytest.raises(UsageError, match=said):
        Predictions(Source(corpus, read_settings().home), Options(**wrong))


def test_the_expert_is_better_than_chance_and_is_kept(corpus):
    big = make(users=400, items=60).corpus
    source = Source(big, read_settings().home)
    part = retriever(source, Predictions(source, Options(k=6)).options)
    expert = logistic_expert(part, train_rows=800, folder=source.home / "experts")
    rows = CtrView(part.view.data, "test").rows
    p, y = expert.probabilities(rows), part.view.clicked(rows)
    wins = (p[y][:, None] > p[~y][None]).mean()
    assert wins > 0.6, "AUC on test rows it has never seen"
    (kept,) = (source.home / "experts").iterdir()
    changed = kept.stat().st_mtime_ns
    again = logistic_expert(part, train_rows=800, folder=source.home / "experts")
    assert kept.stat().st_mtime_ns == changed and again.probabilities(rows[:5]) == pytest.approx(p[:5])
    opinion = expert.opinion(int(rows[0]))
    assert opinion.probability == pytest.approx(p[0]) and opinion.variance >= 0 and len(VARIANTS) == 4
    assert np.mean([expert.opinion(int(r)).variance for r in rows[:20]]) > 0, "ways of showing differ"


def test_an_expert_of_one_label_is_refused(corpus):
    source = Source(corpus, read_settings().home)
    part = retriever(source, Predictions(source, Options(liked_above="0")).options)
    with pytest.raises(UsageError, match="are likes, so there is nothing to learn"):
        logistic_expert(part, train_rows=50, folder=source.home / "experts")


def test_the_expert_does_not_learn_the_echo_of_a_label_in_the_vectors(monkeypatch):
    """An item a user liked is near that user's history because it was liked: train rows need vectors without that."""
    big = make(users=250, items=300, seed=4).corpus
    source = Source(big, read_settings().home)
    part = retriever(source, Predictions(source, Options(k=6)).options)
    rows = CtrView(part.view.data, "test").rows
    liked = part.view.clicked(rows)

    def loss(folder: str) -> float:
        expert = logistic_expert(part, train_rows=500, folder=source.home / folder)
        p = expert.probabilities(rows)
        return float(-np.where(liked, np.log(p), np.log1p(-p)).mean())

    base = liked.mean()
    blind = -(base * np.log(base) + (1 - base) * np.log(1 - base))
    honest = loss("honest")
    monkeypatch.setattr("graphs.rallrec.vectors.ItemVectors.without", lambda self, _rows: self)
    assert honest < 1.1 * blind < 1.25 * blind < loss("echo")
