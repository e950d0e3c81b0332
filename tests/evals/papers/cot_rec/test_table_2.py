from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.artefacts import Asked
from evals.artefacts import Source as Texts
from evals.evaluate import Place
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.metrics import metric
from evals.papers.cot_rec import table_2
from evals.registry import Options, about
from evals.results import Results
from evals.session import Choice, Session
from graphs.run import How
from graphs.shared.retriever import retriever
from graphs.workflow import Source
from rec_models import presets
from rec_models.fit import FitSettings
from rec_models.sequential.sasrec import SASRecSettings
from whyrec.data.generated.world import World, make
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.runs import list_runs
from whyrec.settings import read_settings


@pytest.fixture(scope="module")
def world() -> World:
    return make(users=120, items=80, seed=2)


def session(
    world: World, home: Path, *, llm: str = "echo", cells: str = "item-CF*", users: int | None = None, **more: Any
) -> Session:
    how = How(settings=read_settings(home=home), world=world)
    return Session(
        "cot_rec.table_2",
        world.corpus,
        artefacts=GraphArtefacts(world.corpus, how=how),
        place=Place(home, home / "results"),
        choice=Choice((1,), cells),
        options=Options(llms=(llm,), users=users, **more),
    )


def made(s: Session) -> Results:
    return s.run(s.plan(), done=lambda job, run: None, say=lambda line: None)


def hits(world: World, home: Path, users: int | None = None) -> float:
    view = SplitView(world.corpus, "test")
    return float(retriever(Source(world.corpus, home), view, name="item_cf", n=10, seed=0).hits[:users].mean())


def mean(table: Results, ranker: str, name: str = "ndcg@10") -> float:
    return table.rows[f"item-CF, {ranker}"].runs[0].test[name].mean


def test_it_is_listed_with_every_retriever_and_ranker() -> None:
    assert "cot_rec.table_2" in about()
    experiment = table_2.table_2(make(users=30, items=40).corpus, Options(llms=("a", "b")))
    assert len(experiment.cells) == 1 + 2 * (3 + 2 * 3) + 2 * (3 + 3), "of SASRec++ there is one for each model's texts"
    assert {c.axes.get("retriever", "") for c in experiment.cells} == {"", *table_2.RETRIEVERS}
    names = {c.name for c in experiment.cells}
    assert {claim.better for claim in experiment.claims} | {claim.worse for claim in experiment.claims} <= names
    assert {c.base for c in experiment.cells if c.base} <= names
    assert {c.axes["ranker"] for c in experiment.cells if "ranker" in c.axes} == {
        "None",
        "random order",
        "hits first",
        "LLM",
        "LLM+",
        "LLM++",
    }
    assert set(experiment.says) == set(table_2.SAYS)


def test_the_anchors_are_what_the_retriever_allows(world: World, tmp_path: Path) -> None:
    table = made(session(world, tmp_path, cells="item-CF, None; item-CF, random order; item-CF, hits first"))
    share = hits(world, tmp_path)
    assert 0.05 < share < 0.95
    assert mean(table, "hits first") == pytest.approx(share)
    assert mean(table, "random order") == pytest.approx(share * metric("ndcg@10").chance(10))
    assert mean(table, "random order") < mean(table, "None") < mean(table, "hits first")
    assert all(mean(table, r, "recall@10") == pytest.approx(share) for r in ("None", "random order", "hits first"))
    among = {r: table.rows[f"item-CF, {r}"].runs[0].measures[table_2.AMONG_HITS].mean for r in ("None", "hits first")}
    assert among == {"None": pytest.approx(mean(table, "None") / share), "hits first": 1.0}


def test_a_ranker_that_reads_only_letters_has_the_bias_of_uniform_ranks(world: World, tmp_path: Path) -> None:
    s = session(world, tmp_path, llm="echo")
    table = made(s)
    share = hits(world, tmp_path)
    row = table.rows["item-CF, LLM @echo"].runs[0]
    assert row.measures["MAPB"].mean == pytest.approx(2.5) and row.measures["MAPB"].low == pytest.approx(2.5)
    assert row.about["hits"] == round(share * 120) and row.about["labels read by"] == "logprobs"
    assert row.test["recall@10"].mean == pytest.approx(share) and row.unscored == 0 and row.n == 120
    more = table.rows["item-CF, LLM++ @echo"].runs[0]
    assert more.measures["Δ MAPB to LLM"].mean == 0.0 and "Δ MAPB to LLM" not in row.measures
    assert row.measures["MAPB by rotations"].mean == pytest.approx(2.5)
    assert any("the letters the same probabilities" in why for why in row.doubts)
    assert {v.claim for v in table.verdicts} == set(table.claims) - {table_2.TEXTS}, "whose cells were not chosen"
    notes = [name for name in table.notes if "mode=titles" in name]
    assert len(notes) == 1 and "examples" in table.notes[notes[0]] and "run cot_rec.recommend-" in table.notes[notes[0]]


def test_a_ranker_that_ignores_places_has_none(world: World, tmp_path: Path) -> None:
    table = made(session(world, tmp_path, llm="extractive", cells="item-CF, LLM @*"))
    assert table.rows["item-CF, LLM @extractive"].runs[0].measures["MAPB"].mean == 0.0


def test_users_nobody_is_asked_about_count_as_misses_and_failures_as_unscored(world: World, tmp_path: Path) -> None:
    script = tmp_path / "mute.json"
    script.write_text('[{"when": "", "answer": "no letter at all"}]')
    with pytest.raises(UsageError, match="no log-probabilities came back"):
        made(session(world, tmp_path, llm=f"scripted:{script}", cells="item-CF, LLM @*", users=50))
    told = session(world, tmp_path, llm=f"scripted:{script}", cells="item-CF, LLM @*", users=50, labels="answer")
    assert told.experiment.labels == "answer"
    table = made(told)
    (row,) = table.rows.values()
    asked = round(hits(world, tmp_path, 50) * 50)
    assert 0 < asked < 50 and (row.runs[0].n, row.runs[0].unscored) == (50 - asked, asked)
    assert row.runs[0].test["ndcg@10"].mean == 0.0 and row.runs[0].measures == {}


def test_the_first_order_shown_is_the_one_that_counts(world: World, tmp_path: Path) -> None:
    """Echo holds A for the likeliest: the target's place is where the one shuffle put it."""
    s = session(world, tmp_path, llm="echo", cells="item-CF, LLM @echo")
    table = made(s)
    view, total = SplitView(world.corpus, "test"), 0.0
    asked = next(need for need in s.needs if isinstance(need, Asked) and dict(need.options)["mode"] == "titles")
    for result in s.artefacts.results(asked):
        payload: Any = result.payload
        place = payload["shown"].index(view.target(world.corpus.user_index[result.user]))
        total += float(metric("ndcg@10").rankings([place], [0])[0])
    assert table.rows["item-CF, LLM @echo"].runs[0].test["ndcg@10"].mean == pytest.approx(total / 120)


def test_printed_values_stand_beside_our_recommender_without_texts() -> None:
    experiment = table_2.table_2(make(users=30, items=40).corpus)
    printed = {cell.name: cell.published for cell in experiment.cells}
    assert printed["SASRec, LLM @extractive"]["CoT-Rec MIND"] == {"ndcg@10": 0.0763, "MAPB": 0.9723}
    assert printed["SASRec, LLM+ @extractive"]["CoT-Rec Yelp BERT4Rec"]["MAPB"] == 1.1010
    assert "CoT-Rec MIND" not in printed["SASRec, LLM+ @extractive"], "the paper does not print it"
    assert printed["SASRec, None"]["CoT-Rec Food"] == {"ndcg@10": 0.0096}
    assert printed["SASRec++, None @extractive"]["CoT-Rec MIND"] == {"ndcg@10": 0.0836}
    assert printed["SASRec++, LLM++ @extractive"]["CoT-Rec Yelp"] == {"ndcg@10": 0.0174, "MAPB": 1.1964}
    assert not printed["item-CF, LLM @extractive"]


def test_a_retriever_started_from_texts_reads_the_runs_that_table_1_makes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SASRecSettings(width=8, blocks=1, heads=1, max_length=10)
    monkeypatch.setattr(presets, "settings", lambda name, corpus: (small, FitSettings(epochs=1, users_per_step=16)))
    s = session(world, tmp_path, llm="extractive", cells="SASRec++, None*; SASRec++, LLM @*")
    table = made(s)
    row, ranker = (table.rows[f"SASRec++, {n} @extractive"].runs[0] for n in ("None", "LLM"))
    assert row.n == ranker.n == 120 and row.test["recall@10"].mean == ranker.test["recall@10"].mean > 0
    before = {info.id for info in list_runs(tmp_path)}
    for source in (Texts("description", "extractive"), Texts("preference", "extractive")):
        assert s.artefacts.texts(source).texts
    assert {info.id for info in list_runs(tmp_path)} == before, "nothing had to be made for Table 1's texts"
