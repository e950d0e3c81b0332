from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.artefacts import Asked
from evals.evaluate import evaluate, plan
from evals.experiment import Cell, Context, Experiment, Told
from evals.inputs import workflow_runs
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.session import shown_name
from graphs.run import How, RunReport
from whyrec.data.generated.world import World, make
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget
from whyrec.records import Failure, Ranking
from whyrec.runs import list_runs
from whyrec.settings import read_settings

PREFERENCE = Asked("cot_rec.preference", "extractive", (("batch", "5"),), users=6)
PERCEPTION = Asked("cot_rec.perception", "extractive", (("candidates", "4"), ("preferences", PREFERENCE)), users=6)


@pytest.fixture(scope="module")
def world() -> World:
    return make(users=12, items=30, seed=1)


def how(world: World, home: Path) -> How:
    return How(settings=read_settings(home=home), world=world)


def test_an_asked_names_everything_it_depends_on() -> None:
    assert str(Asked("a.b", "echo")) == "a.b@echo"
    assert str(PERCEPTION) == (
        "cot_rec.perception@extractive candidates=4 preferences=(cot_rec.preference@extractive batch=5 users=6) users=6"
    )


def test_a_name_is_short_where_that_tells_it_from_the_others() -> None:
    made = [
        Asked("a.choose", "m", (("reasons", Asked("a.refine", "m", users=n)), ("k", k)))
        for n, k in ((1, "1"), (1, "2"), (2, "2"))
    ]
    names = [shown_name(need, among=made) for need in made]
    assert names == ["a.choose@m reasons=(a.refine) k=1", *map(str, made[1:])] and len(set(names)) == 3


def test_a_run_is_made_once_after_the_one_it_names(world: World, tmp_path: Path) -> None:
    seen: list[tuple[str, RunReport]] = []
    artefacts = GraphArtefacts(
        world.corpus, how=how(world, tmp_path), said=lambda need, report: seen.append((str(need), report))
    )
    results = artefacts.results(PERCEPTION)
    assert [name for name, _report in seen] == [str(PREFERENCE), str(PERCEPTION)]
    assert len(results) == 6 and [r.key for r in results] == sorted(r.key for r in results)
    assert all(r.status == "done" and len((r.payload or {})["perceptions"]) == 4 for r in results)
    assert artefacts.results(PERCEPTION) is results and len(seen) == 2
    assert artefacts.note(PERCEPTION) == {"run": seen[1][1].run, "examples": 6, "failed": 0}
    again = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    assert again.digest(PERCEPTION) == artefacts.digest(PERCEPTION)
    assert len(list_runs(tmp_path)) == 2


def test_of_a_larger_run_only_what_was_asked_for_is_read(world: World, tmp_path: Path) -> None:
    small = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    before = small.results(PREFERENCE), small.digest(PREFERENCE)
    whole = small.results(replace(PREFERENCE, users=None))
    assert len(whole) == 12 and small.digest(replace(PREFERENCE, users=None)) != before[1]
    again = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    assert (again.results(PREFERENCE), again.digest(PREFERENCE)) == before


def test_what_is_to_be_asked_is_known_before_and_nothing_afterwards(world: World, tmp_path: Path) -> None:
    artefacts = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    found = dict(artefacts.estimates([PERCEPTION]))
    assert [e.examples for e in found.values() if e] == [6, 6] and list(found) == [PREFERENCE, PERCEPTION]
    assert list_runs(tmp_path) == [], "an estimate runs nothing"
    artefacts.results(PERCEPTION)
    assert [e.examples for _need, e in artefacts.estimates([PERCEPTION]) if e] == [0, 0]


def test_a_run_that_cannot_be_estimated_yet_is_said(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    real = workflow_runs.prepare

    def needs_it(graph: str, **rest: Any) -> Any:
        if graph == "cot_rec.perception" and not rest["options"].preferences:
            raise UsageError("name a run of preferences")
        return real(graph, **rest)

    monkeypatch.setattr(workflow_runs, "prepare", needs_it)
    artefacts = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    assert dict(artefacts.estimates([PERCEPTION]))[PERCEPTION] is None
    with pytest.raises(UsageError, match="name a run"):
        artefacts.estimates([Asked("cot_rec.perception", "extractive")])


def test_what_is_left_is_an_error_and_the_same_command_goes_on(world: World, tmp_path: Path) -> None:
    little = replace(how(world, tmp_path), budget=Budget(calls=3))
    with pytest.raises(UsageError, match=r"cot_rec\.preference@extractive.*left.*goes on from there"):
        GraphArtefacts(world.corpus, how=little).results(PREFERENCE)
    assert len(GraphArtefacts(world.corpus, how=how(world, tmp_path)).results(PREFERENCE)) == 6


def test_an_interrupt_stays_one(world: World, tmp_path: Path) -> None:
    told = how(world, tmp_path)
    told.stop.ask()
    with pytest.raises(KeyboardInterrupt):
        GraphArtefacts(world.corpus, how=told).results(PREFERENCE)


def test_failed_examples_are_handed_out_too(world: World, tmp_path: Path) -> None:
    """A scripted model without answers fails every example; the cell decides what that means."""
    script = tmp_path / "script.json"
    script.write_text('[{"when": "", "answer": "nothing useful"}]')
    artefacts = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    asked = replace(PREFERENCE, llm=f"scripted:{script}")
    results = artefacts.results(asked)
    assert {r.status for r in results} == {"failed"} and all(r.reason for r in results)
    assert artefacts.note(asked)["failed"] == 6


def test_unknown_options_are_refused_by_name(world: World, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="batches"):
        GraphArtefacts(world.corpus, how=how(world, tmp_path)).results(
            Asked("cot_rec.preference", "extractive", (("batches", "5"),))
        )


def test_a_cell_reads_a_run_and_is_run_again_when_it_differs(bench: Callable[..., Any]) -> None:
    ran: list[str] = []

    def function(context: Context, seed: int) -> Told:
        ran.append(str(context.artefacts.results(PREFERENCE)[0].payload))
        return Told([Ranking(0, 1, 0, 10), Failure(1, "no answer")])

    cell = Cell("reads", function, needs=(PREFERENCE,), seeded=False)
    experiment = Experiment("made.reading", "Reads", "none", (cell,), ("ndcg@10",))
    for version in ("1", "1", "2"):
        b = bench(version=version)
        jobs = plan(experiment, b.context, b.place, seeds=(1,))
        table = evaluate(experiment, b.context, b.place, jobs=jobs)
        assert table.rows["reads"].runs[0].unscored == 1
    assert ran == ["{'version': '1'}", "{'version': '2'}"]
