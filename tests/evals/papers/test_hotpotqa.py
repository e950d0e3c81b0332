"""PULSE Table 7 on a small world of facts: better answers score better, anchors need no model, failures are counted."""

from __future__ import annotations

import pytest

from evals.evaluate import Place, evaluate, plan
from evals.experiment import BELOW, Context
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.output.table import as_csv, markdown
from evals.papers import hotpotqa
from evals.registry import Options, build
from graphs.run import How
from whyrec.data.generated.facts import make
from whyrec.data.generated.world import make as make_world
from whyrec.data.questions import Gold, Questions
from whyrec.errors import UsageError
from whyrec.records import Failure
from whyrec.runs import Result
from whyrec.settings import read_settings

FACTS = make(40)


def context(tmp_path, artefacts=None):
    how = How(settings=read_settings(), world=FACTS)
    return Context(FACTS.questions, artefacts or GraphArtefacts(FACTS.questions, how=how), tmp_path, say=lambda _: None)


def test_a_better_model_scores_better_and_at_zero_it_guesses(tmp_path):
    experiment = build(hotpotqa.NAME, FACTS.questions, Options(llms=("simulated:0", "simulated:1")))
    cells = [
        c
        for c in experiment.cells
        if c.axes.get("row") in (None, "Standard", "ReAct", hotpotqa.COSINE, hotpotqa.RANDOM)
    ]
    place = Place(read_settings().home, tmp_path)
    here = context(tmp_path)
    table = evaluate(experiment, here, place, jobs=plan(experiment, here, place, seeds=(1,), cells=cells))
    f1 = {name: row.users["f1"].mean for name, row in table.rows.items()}
    for row in ("Standard", "ReAct", hotpotqa.COSINE):
        assert f1[f"{row} @simulated:1"] == 1.0 and f1[f"{row} @simulated:0"] < 0.2
    assert f1["title most like the question"] < 0.5 and f1["any title"] < 0.3
    assert table.data.questions == 40 and "40 questions" in markdown(table) and "F1 [95%]" in markdown(table)
    assert "f1,f1 low" in as_csv(table)
    jobs = plan(experiment, here, place, seeds=(1,), cells=cells)
    assert all(job.stored for job in jobs), "nothing runs twice"


def test_a_failed_question_is_counted_and_an_answer_finds_its_question(tmp_path):
    ids = [q.id for q in FACTS.questions.questions]

    class Told:
        def results(self, asked):
            said = {"answer": Gold(FACTS.questions).answer(7), "finished": False}
            failed = Result(key=f"question/{ids[3]}", user="", split="", status="failed", reason="cut off")
            done = Result(key=f"question/{ids[7]}", user="", split="", status="done", payload=said)
            return (failed, done)

    (cell, *_) = [c for c in hotpotqa.table_7(FACTS.questions).cells if c.axes]
    told = cell.function(context(tmp_path, Told()), 0)
    assert told.test[0] == Failure(3, "cut off") and told.about["unfinished searches"] == 1
    assert told.about[BELOW].startswith("1 of 2 searches did not finish"), "a reader sees why its score is 0"
    assert (told.test[1].question, told.test[1].exact, told.test[1].f1) == (7, True, 1.0)


def test_the_papers_numbers_stand_only_beside_hotpotqa():
    def printed(name):
        named = Questions(name, FACTS.questions.questions, FACTS.questions._solutions)
        cells = hotpotqa.table_7(named, Options(spaces=("runs/space",))).cells
        return {c.axes["row"]: c.published for c in cells if c.published}

    assert printed("facts") == {}
    found = printed("hotpotqa?questions=40")
    assert found["CoT"] == {hotpotqa.COLUMN: {"f1": 0.5623, "em": 0.4553}}
    assert found["best rationale, thought space space"] == {hotpotqa.COLUMN: {"f1": 0.606, "em": 0.4951}}
    assert set(found) == {"Standard", "CoT", "Act", "ReAct+CoT", "best rationale, thought space space"}


def test_interactions_are_refused_and_so_are_questions_elsewhere():
    corpus = make_world(users=10, items=30).corpus
    with pytest.raises(UsageError, match="but questions with paragraphs are needed"):
        build(hotpotqa.NAME, corpus, Options())
    with pytest.raises(UsageError, match="but users with histories are needed"):
        build("cot_rec.table_1", FACTS.questions, Options())
