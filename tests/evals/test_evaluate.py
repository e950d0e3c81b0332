from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals import results as tables
from evals.evaluate import Notes, evaluate, load, machine, note, only_run_here, plan, revision
from evals.experiment import Context, Told
from evals.results import ModelNote, Results
from whyrec.errors import UnknownNameError

Build = Callable[..., Any]  # the fixture `bench` of conftest.py


def run(b: Any, *, seeds: tuple[int, ...] = (1, 2, 3), cells: str = "*") -> Results:
    jobs = plan(b.experiment, b.context, b.place, seeds=seeds, cells=b.experiment.select(cells))
    return evaluate(b.experiment, b.context, b.place, jobs=jobs)


def test_a_table_holds_every_cell_with_every_seed(bench: Build) -> None:
    b = bench()
    table = run(b)
    assert list(table.rows) == ["popularity", "plain", "strong", "same", "written"]
    assert [r.seed for r in table.rows["strong"].runs] == [1, 2, 3]
    assert [r.seed for r in table.rows["popularity"].runs] == [0]
    strong = table.rows["strong"]
    assert strong.users["recall@10"].mean == pytest.approx(0.3, abs=0.02)
    assert strong.users["recall@10"].low < strong.users["recall@10"].mean < strong.users["recall@10"].high
    assert strong.seeds["recall@10"].interval == "t over seeds" and strong.seeds["recall@10"].n == 3
    assert strong.runs[0].valid["recall@10"] > 0 and strong.runs[0].about == {"epochs": 3}
    assert strong.runs[0].chance["recall@10"] == pytest.approx(10 / 115)
    assert (
        tables.read(b.place.table(table.slug)).model_dump()
        == tables.Results.model_validate(tables.rounded(table.model_dump(mode="json"))).model_dump()
    )


def test_seed_by_seed_so_that_a_whole_table_exists_early(bench: Build) -> None:
    b = bench()
    run(b, seeds=(1, 2))
    assert [seed for _name, seed in b.ran] == [0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_nothing_runs_twice(bench: Build) -> None:
    b = bench()
    first = run(b)
    assert len(b.ran) == 13
    assert run(b) == first and len(b.ran) == 13
    run(b, seeds=(1, 2, 3, 4))
    assert len(b.ran) == 17 and all(seed == 4 for _name, seed in b.ran[13:])


def test_failures_are_counted_and_enter_no_mean(bench: Build) -> None:
    table = run(bench(), seeds=(1,), cells="same")
    row = table.rows["same"]
    assert (row.runs[0].n, row.runs[0].unscored, row.users["ndcg@10"].unscored) == (397, 3, 3)


def test_an_interrupted_table_goes_on(bench: Build) -> None:
    b = bench()

    def stop(context: Context, seed: int) -> Told:
        raise KeyboardInterrupt

    cells = tuple(replace(c, function=stop) if c.name == "same" else c for c in b.experiment.cells)
    broken = replace(b.experiment, cells=cells)
    with pytest.raises(KeyboardInterrupt):
        evaluate(broken, b.context, b.place, jobs=plan(broken, b.context, b.place, seeds=(1,)))
    kept = tables.read(b.place.table("made.up.made-up"))
    assert list(kept.rows) == ["popularity", "plain", "strong"]
    run(b, seeds=(1,))
    assert [name for name, _seed in b.ran] == ["popularity", "plain", "strong", "same", "written"]


def test_changed_settings_or_texts_run_again_and_drop_what_followed_from_the_old(bench: Build) -> None:
    before = bench()
    run(before)
    after = bench(strong=0.35)
    jobs = plan(after.experiment, after.context, after.place, seeds=(1, 2, 3))
    assert {j.cell.name for j in jobs if j.stored is None} == {"strong"}
    table = evaluate(after.experiment, after.context, after.place, jobs=[j for j in jobs if j.seed == 1])
    assert [r.seed for r in table.rows["strong"].runs] == [1], "old runs are of another recipe"
    rewritten = bench(strong=0.35, version="2")
    jobs = plan(rewritten.experiment, rewritten.context, rewritten.place, seeds=(1,))
    assert {j.cell.name for j in jobs if j.stored is None} == {"written"}


def test_what_was_derived_from_a_replaced_run_is_dropped_at_once(bench: Build) -> None:
    b = bench()
    table = run(b)
    other = table.rows["plain"].model_copy(update={"runs": (), "users": {}})
    cut = tables.with_rows(table, {**table.rows, "plain": other})
    assert cut.verdicts == () and cut.rows["strong"].delta == {} and cut.rows["popularity"] == table.rows["popularity"]


def test_other_data_under_the_same_name_starts_afresh(bench: Build) -> None:
    b = bench()
    run(b, seeds=(1,))
    b = bench(users=399)
    jobs = plan(b.experiment, b.context, b.place, seeds=(1,), cells=b.experiment.select("plain"))
    assert jobs[0].stored is None


def test_a_committed_table_needs_no_outcomes_to_be_kept_and_rendered(bench: Build) -> None:
    b = bench()
    first = run(b)
    for file in (b.place.home / "cells").glob("*.npz"):
        file.unlink()
    assert load(b.place, first.rows["plain"].runs[0].digest) is None
    again = run(b)
    assert len(b.ran) == 13 and again.verdicts == first.verdicts and again.rows == first.rows


def test_cells_known_on_this_machine_are_not_run_again_for_an_empty_table(bench: Build) -> None:
    b = bench()
    first = run(b)
    b.place.table(first.slug).unlink()
    assert run(b).rows == first.rows and len(b.ran) == 13


def test_cells_are_chosen_by_pattern(bench: Build) -> None:
    b = bench()
    run(b, seeds=(1,), cells="p*; strong")
    assert [name for name, _seed in b.ran] == ["popularity", "plain", "strong"]
    with pytest.raises(UnknownNameError, match=r"weak.*popularity"):
        b.experiment.select("weak")
    assert [c.name for c in b.experiment.select("*", {"kind": "plain"})] == ["plain"]


def test_only_chosen_cells_ask_for_their_texts(bench: Build) -> None:
    b = bench()
    run(b, seeds=(1,), cells="plain")
    assert b.artefacts.calls == []
    run(b, seeds=(1,), cells="written")
    assert set(b.artefacts.calls) == {"description@echo"}


def test_notes_are_kept(bench: Build) -> None:
    b = bench()
    run(b, seeds=(1,))
    said = Notes({"texts": "12 users have no preference"}, models={"m": ModelNote(real=True)}, command="whyrec eval")
    note(b.experiment, b.context.corpus, b.place, said)
    note(b.experiment, b.context.corpus, b.place, said)
    table = run(b, seeds=(1,))
    assert table.notes == {"texts": "12 users have no preference"} and table.models["m"].real
    assert table.commands == ("whyrec eval",)


def test_two_tables_do_not_share_a_file() -> None:
    assert tables.slug("cot_rec.table_1", "world:easy") == "cot_rec.table_1.world_easy"
    assert tables.slug("cot_rec.table_1", "/some/where/amazon14_beauty") == "cot_rec.table_1.amazon14_beauty"


def test_the_file_is_readable_json_with_short_floats(bench: Build) -> None:
    b = bench()
    table = run(b, seeds=(1,))
    raw = json.loads(b.place.table(table.slug).read_text())
    assert raw["rows"]["plain"]["runs"][0]["valid"]["recall@10"] == table.rows["plain"].runs[0].valid["recall@10"]
    assert len(str(raw["rows"]["strong"]["delta"]["ndcg@10"]["users"]["difference"])) <= 11


def test_ranges_fail_below_and_warn_above(bench: Build) -> None:
    experiment = bench().experiment
    assert experiment.out_of_range({"strong": {"recall@10": 0.3}}) == ([], [])
    low, high = experiment.out_of_range({"strong": {"recall@10": 0.1}})
    assert high == [] and "strong: recall@10 is 0.1000, expected 0.2 to 0.4 (made up): too low" in low[0]
    low, high = experiment.out_of_range({"strong": {"recall@10": 0.5}})
    assert low == [] and "leakage tests" in high[0]
    assert experiment.out_of_range({"plain": {"recall@10": 0.0}}) == ([], [])


def test_no_verdict_is_told_over_rows_that_were_not_run_here(bench: Build) -> None:
    b = bench()
    table = run(b, seeds=(1,))
    assert only_run_here(table, b.place) == table and len(table.verdicts) == 4
    b.place.outcomes(table.rows["strong"].runs[0].digest).unlink()
    told = only_run_here(table, b.place)
    assert [v.claim for v in told.verdicts] == ["a hair helps", "anything beats popularity"]
    assert told.notes["rows not run here"].startswith("strong; 2 comparisons") and told.rows == table.rows


def test_a_quick_look_is_no_result_whatever_its_p_says(bench: Build) -> None:
    b = bench()
    cells = tuple(replace(c, quick="training was cut" if c.name == "strong" else "") for c in b.experiment.cells)
    experiment = replace(b.experiment, cells=cells)
    jobs = plan(experiment, b.context, b.place, seeds=(1, 2, 3))
    table = evaluate(experiment, b.context, b.place, jobs=jobs)
    kinds = {v.claim: v.verdict for v in table.verdicts}
    assert (
        kinds["strong wins"] == kinds["plain wins"] == "no result" and kinds["anything beats popularity"] == "supported"
    )
    assert "no result, training was cut." in next(v.sentence for v in table.verdicts if v.claim == "strong wins")
    assert table.rows["strong"].quick == "training was cut" and not table.rows["plain"].quick
    again = evaluate(experiment, b.context, b.place, jobs=jobs)
    assert again.verdicts == table.verdicts


def test_what_other_code_made_is_marked_and_made_again_where_one_revision_is_wanted(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()
    monkeypatch.setattr("evals.evaluate.revision", lambda: "old")
    run(b, cells="plain; popularity")
    monkeypatch.setattr("evals.evaluate.revision", lambda: "new")
    table = run(b, cells="strong")
    said = next(v for v in table.verdicts if v.claim == "strong wins")
    assert said.revisions == ("new", "old") and "different revisions: new, old" in said.sentence
    ran = len(b.ran)
    jobs = plan(b.experiment, b.context, b.place, seeds=(1, 2, 3), one_revision=True)
    again = evaluate(b.experiment, b.context, b.place, jobs=jobs)
    assert [name for name, _ in b.ran[ran:]].count("plain") == 3 and "strong" not in [n for n, _ in b.ran[ran:]]
    assert {run.revision for row in again.rows.values() for run in row.runs} == {"new"}
    assert not any(v.revisions for v in again.verdicts)


def test_a_page_written_is_no_change_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("evals/a.py", "docs/p.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    who = ("-c", "user.name=t", "-c", "user.email=t@t")
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr("evals.evaluate.__file__", str(tmp_path / "evals" / "a.py"))
    found = revision.__wrapped__
    clean = found()
    assert len(clean) == 10
    (tmp_path / "docs" / "p.md").write_text("2")
    assert found() == clean
    (tmp_path / "evals" / "a.py").write_text("2")
    assert found() == f"{clean}+"


def test_where_and_by_which_code_it_was_computed() -> None:
    assert revision() == "unknown" or len(revision().rstrip("+")) >= 7
    assert machine("cpu").startswith("cpu (") and "cores" in machine("cuda:0")
