"""SCoTER's tables: every row reads the run it says, and outcomes are the places of the targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evals.artefacts import Asked
from evals.experiment import BELOW, Context
from evals.metrics import metric
from evals.papers import scoter
from evals.registry import Options, builder
from whyrec.data.generated.world import make
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.records import Failure, Ranking
from whyrec.runs import Result


@pytest.fixture(scope="module")
def corpus():
    return make("easy", users=40, items=80).corpus


SPREAD = {"mean": 0.25, "low": 0.1, "high": 0.5, "n": 4}
CLUSTER = {"chains": 4, "hits": 1, "recall@20": SPREAD, "percentile": SPREAD, "eligible": False}
MINED = Result("data", "", "train", "done", payload={"chains": 9, "paths": 3, "k": 1, "clusters": [CLUSTER]})


class Chains:
    """Runs made up on the spot: every user's chain recommends what `says` says of the user."""

    def __init__(self, corpus, says):
        self.corpus, self.says, self.asked = corpus, says, []

    def results(self, asked):
        if asked.graph == scoter.MINE:
            return (MINED,)
        self.asked.append(asked)
        users = SplitView(self.corpus, "test").users[: asked.users]
        return tuple(self._result(int(user)) for user in users)

    def _result(self, user):
        name, said = str(self.corpus.user_ids[user]), self.says(user)
        if said is None:
            return Result(key=f"test/{name}", user=name, split="test", status="failed", reason="no answer")
        payload = {"chains": [{"recommendations": said}]}
        return Result(key=f"test/{name}", user=name, split="test", status="done", payload=payload)


def outcomes(corpus, row, says, tmp_path, users=None):
    options = Options(users=users, cache=tmp_path)
    cell = next(c for c in scoter.table_11(corpus, options).cells if c.name == row)
    artefacts = Chains(corpus, says)
    context = Context(corpus, artefacts, Path(tmp_path), say=lambda _line: None)
    return cell.function(context, 0).test, artefacts.asked


def test_an_oracle_finds_all_and_another_users_chains_do_not(corpus, tmp_path):
    view, texts = SplitView(corpus, "test"), captions(corpus)
    others = [t for t in texts if t]
    says = lambda user: [texts[view.target(user) - 1] or others[0]] + ["nothing known qqqq"] * 19  # noqa: E731
    mean = {}
    for row in (f"{scoter.MINED} @extractive", f"{scoter.PLACEBO} @extractive"):
        rows, asked = outcomes(corpus, row, says, tmp_path)
        assert len(rows) == len(view.users) and isinstance(asked[0], Asked)
        mean[row] = np.mean([metric("recall@20").score(r) for r in rows])
    assert mean[f"{scoter.MINED} @extractive"] > 0.8 > 0.3 > mean[f"{scoter.PLACEBO} @extractive"]


def test_the_dense_surrogate_and_the_clusters_stand_in_the_table(corpus, tmp_path):
    view, texts = SplitView(corpus, "test"), captions(corpus)
    cell = next(c for c in scoter.table_2(corpus, Options(cache=tmp_path)).cells if c.name == "mined @extractive")
    chains = Chains(corpus, lambda user: [texts[view.target(user) - 1] or "qqqq"] * 20)
    told = cell.function(Context(corpus, chains, Path(tmp_path), say=lambda _line: None), 0)
    dense = told.measures[scoter.DENSE]
    assert dense.n == len(view.users) and 0.9 < dense.mean <= 1.0
    assert told.doubts == () and cell.models == ("extractive",)
    chains = Chains(corpus, lambda user: ["qqqq"] * 20)
    lost = cell.function(Context(corpus, chains, Path(tmp_path), say=lambda _line: None), 0).measures[scoter.DENSE]
    assert lost.mean == 0.5, "descriptions without a known word are like no item, and so like all of them"
    assert "mined from 9 chains with 3 different paths, 1 clusters" in told.about[BELOW]
    assert "4 chains, 1 hits, R@20 0.2500 [0.1000, 0.5000]" in told.about[BELOW] and "too small" in told.about[BELOW]


def test_failed_users_are_failures_and_the_rest_is_last(corpus, tmp_path):
    rows, _ = outcomes(
        corpus, "Two-step @extractive", lambda user: None if user % 2 else ["qqqq"] * 20, tmp_path, users=10
    )
    assert len(rows) == 10
    failed = [r for r in rows if isinstance(r, Failure)]
    assert failed and all(r.reason == "no answer" for r in failed)
    assert all(r.better == corpus.n_items - 1 for r in rows if isinstance(r, Ranking))


def test_a_target_stands_at_the_place_of_its_description():
    assert scoter.ranking(3, (9, 4, 7), 7, 100).better == 2
    assert metric("ndcg@20").score(scoter.ranking(3, (9, 4, 7), 7, 100)) == pytest.approx(0.5)
    assert metric("recall@20").score(scoter.ranking(3, (9, 4), 7, 100)) == 0.0


@pytest.mark.parametrize("name", ["scoter.table_2", "scoter.table_3", "scoter.table_11"])
def test_rows_name_their_runs_and_claims_their_rows(name, corpus):
    experiment = builder(name)(corpus, Options(llms=("simulated:0", "simulated:1"), users=12))
    anchors = [cell.name for cell in experiment.cells[:3]]
    assert anchors == ["chance", "popularity", "item-CF"]
    mined = next(c for c in experiment.cells if c.name == "mined @simulated:1")
    template = dict(mined.needs[0].options)["template"]
    assert template == Asked("scoter.mine", "simulated:1", (("embedder", "lsa"),), 12)
    assert all(cell.needs[0].users == 12 for cell in experiment.cells[3:])
    assert experiment.claims and set(experiment.says) == {claim.name for claim in experiment.claims}


def test_printed_numbers_stand_in_their_columns(corpus):
    table = scoter.table_11(corpus, Options())
    five = next(c for c in table.cells if c.name == "Five-step @extractive")
    assert five.published["Beauty, DeepSeek-R1"] == {"recall@20": 0.0098, "ndcg@20": 0.0052}
    assert "Table 11" in table.columns["Beauty, Qwen3-8B-FT"]
    transfer = scoter.table_3(corpus, Options())
    sports = next(c for c in transfer.cells if c.name == "Sports template @extractive")
    assert sports.published["Beauty (HSTU with chains)"] == {"recall@10": 0.1057, "ndcg@10": 0.0555}


def test_chance_is_what_twenty_items_by_lot_find(corpus, tmp_path):
    rows, _ = outcomes(corpus, "chance", lambda user: None, tmp_path, users=5)
    assert len(rows) == 5 and metric("recall@20").score(rows[0]) == pytest.approx(20 / corpus.n_items)
