from __future__ import annotations

import csv
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from evals.session import Session
from whyrec.cli.measures import eval as noun
from whyrec.errors import UnknownNameError, UsageError

CELLS = "popularity;item-CF;SASRec user=None,item=Random;SASRec user=Preference,item=Caption @extractive"


def call(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(noun.command)
    folders = ["--results", str(folder / "docs" / "results"), "--out", str(folder / "build")]
    return CliRunner().invoke(app, [*arguments, *folders])


def table_1(folder: Path, *arguments: str) -> Result:
    small = ["--data", "world:users=40,items=40", "--llm", "extractive", "--embedder", "lsa:16", "--epochs", "1"]
    return call(folder, "cot_rec.table_1", *small, *arguments)


def test_without_a_name_it_lists_the_experiments(tmp_path: Path) -> None:
    result = call(tmp_path)
    assert result.exit_code == 0 and "cot_rec.table_1" in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["cot_rec.tabel_1", "--data", "world"], UnknownNameError, "Did you mean 'cot_rec.table_1'"),
        (["cot_rec.table_1"], UsageError, "--data"),
        (["cot_rec.table_1", "--data", "wrld"], UnknownNameError, "wrld"),
        (["cot_rec.table_1", "--data", "world", "--backbone", "sasrec"], UsageError, "SASRec, BERT4Rec"),
        (["cot_rec.table_1", "--data", "world", "--map", "umap"], UsageError, "pca, truncate, random"),
        (["cot_rec.table_1", "--data", "world", "--fold", "2/10"], UsageError, "10/2"),
        (["cot_rec.table_1", "--data", "world", "-o", "titles"], UsageError, "KEY=VALUE"),
        (["cot_rec.table_1", "--data", "world", "-o", "title=anonymous"], UnknownNameError, "titles"),
        (["cot_rec.table_1", "--data", "world", "-o", "labels=best"], UsageError, "logprobs or score"),
        (["cot_rec.table_2", "--data", "world", "--embed", "lsa", "--embed", "hashed"], UsageError, "cot_rec.table_1"),
        (
            ["cot_rec.table_1", "--data", "world", "--about", "gpt=8 B", "--llm", "echo", "--llm", "x:y"],
            UsageError,
            "x:y",
        ),
        (["cot_rec.table_1", "--data", "world:users=40,items=40", "--cells", "GRU*"], UnknownNameError, "popularity"),
    ],
)
def test_a_wrong_name_is_one_sentence(tmp_path: Path, arguments: list[str], kind: type[Exception], says: str) -> None:
    result = call(tmp_path, *arguments)
    assert isinstance(result.exception, kind) and says in str(result.exception)


def test_a_file_where_the_tables_are_to_go_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results").write_text("mine")
    result = table_1(tmp_path)
    assert isinstance(result.exception, UsageError) and "is a file" in str(result.exception)


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    result = table_1(tmp_path, "--dry-run", "--cells", CELLS)
    assert result.exit_code == 0 and "preference@extractive 10/2" in result.output
    assert not (tmp_path / "docs").exists()


def test_a_dry_run_lists_what_cells_can_name_apart_from_what_is_read(tmp_path: Path) -> None:
    lines = table_1(tmp_path, "--dry-run", "--cells", CELLS).output.splitlines()
    start = next(at for at, line in enumerate(lines) if "cells with" in line)
    end = next(at for at, line in enumerate(lines) if "cells read" in line)
    cells = [line.strip() for line in lines[start + 1 : end]]
    assert cells and not any("10/2" in cell and cell.startswith("preference@") for cell in cells)
    again = table_1(tmp_path, "--dry-run", "--cells", ";".join(cells))
    assert again.exit_code == 0 and f"{len(cells)} cells with" in again.output


def test_an_estimate_says_calls_and_time_and_does_nothing(tmp_path: Path) -> None:
    result = table_1(tmp_path, "--estimate", "--cells", CELLS)
    assert result.exit_code == 0 and "calls" in result.output and "Takes about" in result.output
    assert "reads preference" not in result.output and not (tmp_path / "docs").exists()


def test_a_double_is_refused_for_the_page_of_evidence_before_anything_runs(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(noun.command)
    small = ["cot_rec.table_1", "--data", "world:users=40,items=40", "--llm", "extractive"]
    folder = tmp_path / "docs" / "results" / "evidence"
    result = CliRunner().invoke(app, [*small, "--results", str(folder), "--yes"])
    assert isinstance(result.exception, UsageError) and "built-in double" in str(result.exception)
    assert not folder.exists()


def test_the_whole_way_and_again_from_what_is_there(tmp_path: Path) -> None:
    result = table_1(tmp_path, "--cells", CELLS, "--seeds", "2", "--markdown", "--csv", "--json", "--plot")
    assert result.exit_code == 0, result.output
    assert "4 fits to do" in result.output and "at most" in result.output and "Takes about" in result.output
    assert result.output.index("Measures all users of the test split.") < result.output.index("Takes about")
    stem = "cot_rec.table_1.world_users=40_items=40"
    written = {p.name for p in (tmp_path / "build").iterdir()}
    assert written == {f"{stem}.{ending}" for ending in ("md", "csv", "json", "png")}
    page = (tmp_path / "docs" / "results_cot_rec.md").read_text()
    assert (
        "training was cut at 1 epoch of at most 60" in page
        and "no result" in page
        and "preference@extractive 10/2: run cot_rec.preference-" in page
    )
    with (tmp_path / "build" / f"{stem}.csv").open() as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    assert rows["popularity"]["seeds"] == "1" and rows["SASRec user=None,item=Random"]["seeds"] == "2"
    again = table_1(tmp_path, "--cells", CELLS, "--seeds", "2")
    assert "6 of them there already; nothing to do" in " ".join(again.output.split())
    assert "All its cells are there already." in again.output
    assert (tmp_path / "docs" / "results_cot_rec.md").read_text() == page
    rendered = call(tmp_path, "--render")
    assert rendered.exit_code == 0 and (tmp_path / "docs" / "results_cot_rec.md").read_text() == page


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evals.session.Session.run", stop)
    result = table_1(tmp_path, "--cells", "popularity")
    assert result.exit_code == 130 and "the same command goes on" in result.output


def test_too_low_a_number_fails_and_too_high_a_one_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "out_of_range", lambda self, table: ([], ["R@10 is above what is known"]))
    result = table_1(tmp_path, "--cells", "popularity")
    assert result.exit_code == 0 and "above what is known" in result.output
    monkeypatch.setattr(Session, "out_of_range", lambda self, table: (["R@10 is too low"], []))
    result = table_1(tmp_path, "--cells", "popularity")
    assert result.exit_code == 1 and "R@10 is too low" in result.output


def test_many_calls_of_a_model_that_costs_are_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYREC_ASK_ABOVE", "10")
    monkeypatch.setattr("graphs.engine.estimate.price_of", lambda name, home: None)
    assert table_1(tmp_path, "--cells", CELLS).exit_code == 1, "nobody answers"
    assert not (tmp_path / "docs").exists()
    assert table_1(tmp_path, "--cells", CELLS, "--yes").exit_code == 0


def test_a_table_lies_in_the_home_of_whoever_computes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    app = typer.Typer()
    app.command()(noun.command)
    small = ["cot_rec.table_1", "--data", "world:users=40,items=40", "--cells", "popularity;item-CF", "--users", "20"]
    result = CliRunner().invoke(app, [*small, "--csv"])
    assert result.exit_code == 0, result.output
    stem = "cot_rec.table_1.world_users=40_items=40"
    folder = tmp_path / "home" / "results" / stem
    assert {path.name for path in folder.iterdir()} == {f"{stem}.{ending}" for ending in ("json", "md", "png", "csv")}
    assert not list(here.iterdir()), "nothing is written into the current folder"
    assert (
        "Measures 20 users drawn at random (always the same) of the test split; models write about all" in result.output
    )
    page = (folder / f"{stem}.md").read_text()
    assert f"({stem}.png)" in page and "| popularity* |" in page.replace("| *", "| ")
    (folder / f"{stem}.md").unlink()
    assert CliRunner().invoke(app, ["--render"]).exit_code == 0 and (folder / f"{stem}.md").read_text() == page
