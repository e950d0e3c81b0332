"""RALLRec+'s tables and figures: numbers from a pool of samples, known answers first."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from evals.evaluate import Place, evaluate, plan
from evals.experiment import Context
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.metrics import auc
from evals.papers.rallrec import figures as rallrec_figures
from evals.papers.rallrec import tables as rallrec
from evals.papers.rallrec.clicks import AUC, OVER_EXPERT, Pool, auc_difference, item_rate, pool_of, told
from evals.registry import Options, about, builder
from evals.statistics.aggregate import auc_summary
from graphs.run import How
from whyrec.data.ctr import CtrView, ctr_rows
from whyrec.data.generated.world import make
from whyrec.records import Click, Failure
from whyrec.runs import Result
from whyrec.settings import read_settings


@pytest.fixture(scope="module")
def world():
    return make(users=120, items=50)


def pool(n=200, r=4, seed=0):
    """Samples that know the label a little, an expert that knows it better; short samples are right more often."""
    rng = np.random.default_rng(seed)
    clicked = rng.random(n) < 0.6
    sign = np.where(clicked, 1.0, -1.0)
    samples = np.clip(0.5 + 0.1 * sign[:, None] + rng.normal(0, 0.2, (n, r)), 0, 1)
    experts = np.stack([np.clip(0.5 + 0.2 * sign + rng.normal(0, 0.25, n), 0.01, 0.99), rng.random(n) / 100], axis=1)
    wrong = (samples > 0.5) != clicked[:, None]
    tokens = rng.integers(50, 100, (n, r)) + 60 * wrong
    return Pool(np.arange(n), samples, experts, tokens, clicked, (Failure(999, "no answer"),))


def test_a_pool_is_read_by_row_with_labels_of_its_own(world):
    rows = ctr_rows(world.corpus)
    view = CtrView(rows, "test")
    first, second, third = (int(r) for r in view.rows[:3])

    def result(row, payload):
        return Result(key=f"test/row-{row}", user="u", split="test", status="done", payload=payload)

    one = {"p": [0.25, 0.75], "expert": 0.9, "expert_variance": 0.01, "tokens": [3, 4], "ways": ["logprobs", "vote"]}
    two = {**one, "p": [0.5, 0.5], "expert": 0.2}
    fewer = {**two, "p": [0.5], "tokens": [7], "ways": ["vote"], "missing": 1}
    short = pool_of([result(second, fewer), result(first, one)], rows, "test")
    assert short.own.tolist() == [0.5, 0.5] and short.variance.tolist() == [0.0625, 0.0] and short.missing == 1
    full = pool_of([result(first, one)], rows, "test")
    same = [p.merged("consistency", alpha=0.1, epsilon=1e-3)[0] for p in (short, full)]
    assert same[0] == same[1], "a row that lacks a sample changes no other row"
    at, probability, tokens = rallrec_figures.by_length(short)
    assert (at.tolist(), probability.tolist(), tokens.tolist()) == ([0, 0, 1], [0.25, 0.75, 0.5], [3, 4, 7])
    failed = dataclasses.replace(result(third, None), status="failed", reason="cut")
    found = pool_of([result(second, two), result(first, one), failed], rows, "test")
    assert found.rows.tolist() == [first, second] and found.samples.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert found.experts.tolist() == [[0.9, 0.01], [0.2, 0.01]] and found.votes == 2
    assert found.clicked.tolist() == view.clicked(np.array([first, second])).tolist()
    assert found.failures == (Failure(third, "cut"),)
    assert item_rate(found, rows).shape == (2,) and ((item_rate(found, rows) > 0) & (item_rate(found, rows) < 1)).all()


def test_what_a_cell_tells():
    p = pool()
    mine = p.merged("consistency", alpha=0.1, epsilon=1e-3)
    said = told(p, mine)
    clicks = [Click(int(r), q, bool(c)) for r, q, c in zip(p.rows, mine, p.clicked, strict=True)]
    assert said.measures[AUC].mean == auc(clicks) and said.measures[AUC].unscored == 1
    assert said.about["base rate"] == pytest.approx(p.clicked.mean(), abs=1e-4)
    expert = auc_summary([Click(c.row, float(e), c.clicked) for c, e in zip(clicks, p.experts[:, 0], strict=True)])
    assert said.measures[OVER_EXPERT].mean == pytest.approx(said.measures[AUC].mean - expert.mean)
    assert OVER_EXPERT not in told(p, p.experts[:, 0]).measures
    one_label = dataclasses.replace(p, clicked=np.ones(len(p.rows), dtype=bool))
    assert not told(one_label, mine).measures, "no AUC where all labels are the same"


def test_the_paired_interval_knows_that_the_rows_are_the_same():
    p = pool(600)
    a, b = p.experts[:, 0], np.clip(p.experts[:, 0] + np.random.default_rng(1).normal(0, 0.01, 600), 0, 1)
    found = auc_difference(a, b, p.clicked)
    alone = auc_summary([Click(i, float(x), bool(c)) for i, (x, c) in enumerate(zip(a, p.clicked, strict=True))])
    assert found.high - found.low < 0.2 * (alone.high - alone.low) and found.low <= 0.0 <= found.high + 0.01
    assert auc_difference(a, a, p.clicked).mean == 0.0
    flipped = auc_difference(a, 1 - a, p.clicked)
    assert flipped.mean == pytest.approx(2 * alone.mean - 1) and flipped.low > 0


def test_alpha_and_epsilon_are_those_with_the_lowest_loss():
    p = pool()
    useless = dataclasses.replace(p, samples=np.full_like(p.samples, 0.5) + 0.4 * (~p.clicked[:, None] - 0.5))
    assert rallrec.choose(useless)[0] == 0.0, "samples that are always wrong get no weight"
    knowing = dataclasses.replace(p, samples=np.where(p.clicked[:, None], 0.99, 0.01) * np.ones((1, 4)))
    assert rallrec.choose(knowing)[0] == max(rallrec.ALPHAS)


def test_groups_ascend_and_hold_every_response_once():
    p = pool()
    at, probability, tokens = rallrec_figures.by_length(p)
    assert (np.diff(tokens) >= 0).all() and np.bincount(at).tolist() == [4] * 200
    assert sorted(probability.tolist()) == sorted(p.samples.ravel().tolist())
    at, _, variance = rallrec_figures.by_variance(p)
    assert (np.diff(variance) >= 0).all() and sorted(at.tolist()) == list(range(200))


def test_a_window_moves_over_the_rows_and_responses_go_by_their_row(world, tmp_path):
    cut = rallrec_figures.Cut("window", 9, rallrec_figures.by_variance)
    parts = [cut.part(g, 200) for g in range(9)]
    assert [len(part) for part in parts] == [40] * 9 and parts[0][0] == 0 and parts[-1][-1] == 199
    assert all(0 < b[0] - a[0] <= 20 for a, b in pairwise(parts)), "neighbours overlap by half"
    assert len(rallrec_figures.Cut("window", 9, rallrec_figures.by_variance, 500).part(8, 200)) == 200
    p = pool()
    p = dataclasses.replace(p, rows=p.rows + 1000)
    by_length = rallrec_figures.Cut("group", 5, rallrec_figures.by_length)
    found = rallrec_figures.told_of(p, 0, by_length)
    assert len(found.test) == 160 and {click.row for click in found.test} <= set(p.rows.tolist())
    assert found.measures[AUC].n == len({click.row for click in found.test}) < 160


def test_every_experiment_of_the_paper_is_registered(world):
    names = [name for name in about() if name.startswith("rallrec.")]
    assert names == [f"rallrec.{x}" for x in ("figure_2", "figure_3", "figure_6", "figure_7", "table_5", "table_6")]
    for name in names:
        experiment = builder(name)(world.corpus, Options(llms=("extractive", "simulated:1")))
        assert experiment.name == name and experiment.cells and all(not cell.seeded for cell in experiment.cells)


def test_published_numbers_stand_beside_the_rows_they_are_of(world):
    cells = {c.name: c for c in rallrec.table_5(world.corpus).cells}
    full = cells["KP=1,CM=1 @extractive"].published
    assert full == {"RALLRec+ MovieLens": {"AUC": 0.7663, "log_loss": 0.6118, "accuracy": 0.6948}}
    assert cells["at once @extractive"].published["RALLRec+ MovieLens"]["AUC"] == 0.5865
    assert "Tables 2, 3, 4, 5 of RALLRec+" in rallrec.table_5(world.corpus).columns["RALLRec+ MovieLens"]
    assert set(full) <= set(rallrec.table_5(world.corpus).columns)


@pytest.mark.parametrize(
    "name", ["rallrec.table_5", "rallrec.table_6", "rallrec.figure_2", "rallrec.figure_3", "rallrec.figure_6"]
)
def test_an_experiment_runs_from_rows_to_a_table(name, world, tmp_path: Path):
    how = How(settings=read_settings(home=tmp_path), world=world)
    artefacts = GraphArtefacts(world.corpus, how=how)
    experiment = builder(name)(world.corpus, Options(llms=("simulated:1",), users=25))
    context = Context(world.corpus, artefacts, tmp_path)
    place = Place(tmp_path, tmp_path / "results")
    table = evaluate(experiment, context, place, jobs=plan(experiment, context, place, seeds=(0,)))
    assert set(table.rows) == {c.name for c in experiment.cells}
    for row in table.rows.values():
        (run,) = row.runs
        assert run.unscored == 0 and 0 <= run.test["accuracy"].mean <= 1 and "base rate" in run.about
    if name == "rallrec.table_5":
        assert table.rows["base rate"].runs[0].measures[AUC].mean == 0.5, "a constant orders nothing"
        assert {v.claim for v in table.verdicts} == set(experiment.says)
        chosen = table.rows["KP=1,CM=1, chosen on valid @simulated:1"].runs[0]
        assert chosen.about["alpha"] in rallrec.ALPHAS and set(chosen.valid) == {"log_loss", "accuracy"}
