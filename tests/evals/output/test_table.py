from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evals import results as tables
from evals.evaluate import evaluate, plan
from evals.experiment import Context, Told
from evals.output.plot import plot
from evals.output.report import render_results, results_pages
from evals.output.table import _noted, as_csv, grid, markdown, short, terminal
from evals.results import Results
from evals.summary import Summary


@pytest.fixture
def table(bench: Callable[..., Any]) -> Results:
    b = bench()
    return evaluate(b.experiment, b.context, b.place, jobs=plan(b.experiment, b.context, b.place, seeds=(1, 2, 3)))


def test_ours_with_interval_beside_theirs_and_the_anchors(table: Results) -> None:
    made = grid(table)
    assert made.headings[:3] == ("", "R@10 [95%]", "N@10 [95%]") and made.headings[-1] == "Food: R@10 / N@10"
    rows = {row[0]: row for row in made.rows}
    assert list(rows) == ["chance", "popularity", "plain", "strong", "same", "written"]
    assert rows["chance"][1] == "0.0870" and made.dim == {0, 1}
    assert rows["strong"][-1] == "0.0281 / 0.0150" and rows["plain"][-1] == ""
    users = table.rows["strong"].users["recall@10"]
    assert rows["strong"][1] == f"{users.mean:.4f} [{users.low:.4f}, {users.high:.4f}]"
    assert "+3 unscored" in rows["same"][-2] and "unscored" not in rows["strong"][-2]
    assert rows["strong"][3].startswith("+") and rows["strong"][3].endswith("(<0.001)") and rows["plain"][3] == ""


def test_markdown_names_data_protocol_and_what_stands_beside(table: Results) -> None:
    text = markdown(table)
    assert "## A made-up table: made-up" in text and "full ranking, nothing masked" in text
    assert "Food: published, Food of a paper, ranked otherwise." in text
    assert "**strong wins** (it should): Supported." in text and "**plain wins** (it should not): Contradicted." in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 2 + 6


def test_a_published_column_without_a_row_of_ours_and_a_chance_beside_chance_are_left_out(table: Results) -> None:
    made = markdown(table.model_copy(update={"columns": {**table.columns, "Nothing": "a table that has no such row"}}))
    assert "Nothing" not in made and "| *chance* |" in made
    with_row = {**table.rows, "chance": table.rows["popularity"].model_copy(update={"name": "chance"})}
    assert markdown(table.model_copy(update={"rows": with_row})).count("| *chance* |") == 1


def test_what_data_lack_which_code_made_rows_and_what_says_nothing_stand_with_the_table(table: Results) -> None:
    plain, same = table.rows["plain"], table.rows["same"]
    older = plain.model_copy(update={"runs": tuple(run.model_copy(update={"revision": "old"}) for run in plain.runs)})
    vague = same.model_copy(
        update={"runs": tuple(r.model_copy(update={"doubts": ("it is constant",)}) for r in same.runs)}
    )
    rows = {**table.rows, "plain": older, "same": vague}
    text = markdown(
        table.model_copy(update={"rows": rows, "commands": ("whyrec eval made.up",), "unjudged": "a sample"})
    )
    assert "Its items and events have titles (100%)" in text and "and no descriptions, ratings or reviews." in text
    assert "at different revisions of the code" in text and "old (plain)" in text and "--one-revision" in text
    assert "- same says nothing: it is constant." in text and "No verdicts: a sample." in text
    assert "$ whyrec eval made.up" in text
    quiet = markdown(table, verdicts=False)
    assert "What the data says" not in quiet and "(p)" not in quiet and "permutation" not in quiet


def test_csv_can_be_read_back(table: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    strong = next(r for r in rows if r["cell"] == "strong")
    assert float(strong["recall@10"]) == pytest.approx(table.rows["strong"].users["recall@10"].mean, abs=1e-6)
    assert float(strong["recall@10 published Food"]) == 0.0281 and strong["kind"] == "strong"
    assert float(strong["ndcg@10 validation (not a result)"]) > 0
    assert float(strong["recall@10 delta p"]) < 0.01 and rows[0]["recall@10 delta p"] == ""


def test_the_terminal_shows_numbers_and_verdicts(table: Results) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal(table))
    text = console.export_text()
    assert "strong" in text and "0.0281 / 0.0150" in text and "Contradicted." in text and "[95%]" in text


def test_a_narrow_terminal_gets_two_tables(table: Results) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal(table, 60))
    text = console.export_text()
    assert "Beside what was published" in text and text.count("0.0281 / 0.0150") == 1


def test_the_figure_is_drawn_for_every_metric(table: Results, tmp_path: Path) -> None:
    file = plot(table, tmp_path / "deep" / "figure.svg")
    drawn = file.read_text()
    assert drawn.startswith("<?xml") and len(drawn) > 10_000
    assert plot(table, tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_is_written_from_the_files_alone(table: Results, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    index, made_up = tmp_path / "results.md", tmp_path / f"results_{table.experiment.partition('.')[0]}.md"
    assert "No table has been computed yet." in results_pages(folder)[index]
    tables.write(folder / f"{table.slug}.json", table)
    assert render_results(folder) == [index, made_up]
    assert {page: page.read_text() for page in (index, made_up)} == results_pages(folder)
    assert f"]({made_up.name})" in index.read_text() and "- A made-up table" in index.read_text()
    assert "## A made-up table" in made_up.read_text() and "](results.md)" in made_up.read_text()


def test_a_papers_page_goes_with_its_last_table_and_no_other_file_does(table: Results, tmp_path: Path) -> None:
    folder, notes = tmp_path / "results", tmp_path / "results_notes.md"
    notes.write_text("mine")
    tables.write(folder / f"{table.slug}.json", table)
    index, made_up = render_results(folder)
    (folder / f"{table.slug}.json").unlink()
    assert render_results(folder) == [index]
    assert not made_up.exists() and notes.read_text() == "mine"


def test_short_names() -> None:
    assert (short("recall@10"), short("ndcg@5"), short("log_loss")) == ("R@10", "N@5", "log loss")


def test_what_exists_only_over_a_set_of_users_stands_after_the_metrics(bench: Callable[..., Any]) -> None:
    b = bench()
    strong = next(cell for cell in b.experiment.cells if cell.name == "strong")

    def function(context: Context, seed: int) -> Told:
        return replace(strong.function(context, seed), measures={"mapb": Summary(1.5, 1.25, 1.75, 40)})

    cells = tuple(replace(cell, function=function) if cell is strong else cell for cell in b.experiment.cells)
    cells = tuple(
        replace(c, published={"Food": {"ndcg@10": 0.015, "mapb": 0.9}}) if c.name == "strong" else c for c in cells
    )
    experiment = replace(b.experiment, cells=cells, measures=("mapb",))
    table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1,)))
    made = grid(table)
    rows = {row[0]: row for row in made.rows}
    assert made.headings[3] == "mapb [95%]" and rows["strong"][3] == "1.5000 [1.2500, 1.7500]"
    assert rows["plain"][3] == "" and rows["strong"][-1] == "0.0150 / 0.9000"
    written = {r["cell"]: r for r in csv.DictReader(io.StringIO(as_csv(table)))}
    assert (written["strong"]["mapb low"], written["plain"]["mapb"]) == ("1.25", "")
    again = tables.read(b.place.table(table.slug))
    assert again.rows["strong"].runs[0].measures["mapb"].n == 40 and again.measures == ("mapb",)
    unnamed = replace(experiment, measures=())
    jobs = plan(unnamed, b.context, b.place, seeds=(2,))
    with pytest.raises(AssertionError, match="names the measures"):
        evaluate(unnamed, b.context, b.place, jobs=jobs)


def test_of_many_runs_only_the_sum_is_told() -> None:
    few = {f"graph@m seed={i}": f"run graph-{i}; examples 1,000; failed {i}" for i in range(12)}
    assert _noted(few)[3] == "graph@m seed=3: run graph-3; examples 1,000; failed 3"
    many = {**few, "one more": "run graph-x; examples 500; failed 0", "users": "all of them"}
    assert _noted(many) == [
        "13 runs, named in the table's JSON file: 66 of 12,500 examples failed.",
        "users: all of them",
    ]


def test_rows_over_other_examples_are_told(table: Results) -> None:
    """As where one row was computed with other --users; failed examples are no others."""
    words = "Rows are not all over the same users (n)"
    assert words not in markdown(table)
    plain = table.rows["plain"]
    fewer = plain.model_copy(update={"runs": tuple(run.model_copy(update={"n": run.n - 9}) for run in plain.runs)})
    assert words in markdown(table.model_copy(update={"rows": {**table.rows, "plain": fewer}}))
