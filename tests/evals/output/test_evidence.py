"""The page of evidence holds real models only, says what was not measured, and types no number by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals import results as tables
from evals.evaluate import Notes, evaluate, note, plan
from evals.models import model_notes, need_evidence, parameters
from evals.output.evidence import NOTHING, PAPERS, evidence_page
from evals.output.report import page_of, render_results, results_pages
from evals.results import Results
from whyrec.errors import UnknownNameError, UsageError

DOCS = Path(__file__).resolve().parents[3] / "docs"
REAL = "vllm:Qwen/Qwen3-8B"


@pytest.fixture
def measured(bench: Callable[..., Any]) -> Callable[..., Results]:
    """A table of CoT-Rec in which a model, real or not, wrote the row "strong"."""

    def build(llm: str = REAL, about: str = "8 B parameters, not tuned") -> Results:
        b = bench()
        cells = tuple(replace(c, models=(llm,)) if c.name == "strong" else c for c in b.experiment.cells)
        experiment = replace(b.experiment, name="cot_rec.made_up", cells=cells)
        evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1, 2, 3)))
        models = model_notes([llm], [about], home=b.place.home)
        return note(experiment, b.context.corpus, b.place, Notes(models=models, command="whyrec eval cot_rec.made_up"))

    return build


def kept(table: Results, folder: Path) -> Path:
    tables.write(folder / f"{table.slug}.json", table)
    return folder


def test_where_nothing_was_measured_the_page_says_so_for_every_paper(tmp_path: Path) -> None:
    page = evidence_page(tmp_path / "evidence")
    assert page.count(NOTHING) == len(PAPERS) and "No language model has been measured yet." in page


def test_a_table_stands_with_its_model_its_command_and_its_verdict(
    measured: Callable[..., Results], tmp_path: Path
) -> None:
    page = evidence_page(kept(measured(), tmp_path / "evidence"))
    assert f"| `{REAL}` | not counted here | 8 B parameters, not tuned |" in page
    assert "$ whyrec eval cot_rec.made_up" in page and "strong wins: supported" in page
    assert page.count(NOTHING) == len(PAPERS) - 1


@pytest.mark.parametrize(
    ("llm", "about", "says"),
    [
        ("extractive", "8 B", "extractive is a built-in double"),
        ("flaky:json=0.2:extractive", "8 B", "built-in double"),
        ("transformers:/home/me/model", "8 B", "a path of this machine"),
        (REAL, "", "how large it is and whether it was tuned"),
    ],
)
def test_what_does_not_belong_there_is_refused(
    measured: Callable[..., Results], tmp_path: Path, llm: str, about: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        evidence_page(kept(measured(llm, about), tmp_path / "evidence"))
    with pytest.raises(UsageError, match=says):
        need_evidence(model_notes([llm], [about], home=tmp_path))


def test_a_paragraph_names_its_numbers(measured: Callable[..., Results], tmp_path: Path) -> None:
    table = measured()
    folder = kept(table, tmp_path / "evidence")
    text = folder / "cot_rec.txt"
    text.write_text(f"A strong start ranks at {{{{{table.slug} | strong | ndcg@10}}}},\nwhich is more.")
    users = table.rows["strong"].users["ndcg@10"]
    told = f"A strong start ranks at {users.mean:.4f} [{users.low:.4f}, {users.high:.4f}], which is more."
    assert told in evidence_page(folder)
    text.write_text("It ranks at .1234, which is more.")
    with pytest.raises(UsageError, match="number typed into it"):
        evidence_page(folder)
    text.write_text(f"{{{{{table.slug} | stronk | ndcg@10}}}}")
    with pytest.raises(UnknownNameError, match="strong"):
        evidence_page(folder)


def test_what_is_said_of_a_paper_without_a_table_stands_there(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "scoter.txt").write_text("No chain was written\nby a model here.")
    page = evidence_page(folder)
    assert "## SCoTER\n\nNo chain was written by a model here.\n" in page and page.count(NOTHING) == len(PAPERS) - 1
    (folder / "scoter.txt").write_text("It finds {{scoter.table_11.world | mined | recall@20}}.")
    with pytest.raises(UnknownNameError, match=r"scoter\.table_11"):
        evidence_page(folder)


def test_three_kinds_of_pages_of_one_folder(measured: Callable[..., Results], tmp_path: Path) -> None:
    results = tmp_path / "docs" / "results"
    kept(measured(), results / "evidence")
    kept(measured("extractive"), results / "plumbing")
    kept(measured(), results)
    pages = {path.name: path.read_text() for path in render_results(results)}
    papers = {"results_cot_rec.md", "plumbing_cot_rec.md"}
    assert set(pages) == {"results.md", "evidence.md", "plumbing.md", *papers}
    assert all((tmp_path / "docs" / name).exists() for name in pages)
    assert "Supported" in pages["results_cot_rec.md"] and "(p)" in pages["results_cot_rec.md"]
    assert ": supported" in pages["results.md"]
    for word in ("upported", "ontradicted", "(p)", "permutation", "What the data says"):
        assert word not in pages["plumbing.md"] and word not in pages["plumbing_cot_rec.md"]


def test_the_projects_own_pages_are_fresh_and_what_they_show_belongs_there() -> None:
    for folder in (DOCS / "results", DOCS / "results" / "plumbing", DOCS / "results" / "evidence"):
        pages = results_pages(folder)
        for page, text in pages.items():
            assert page.read_text(encoding="utf-8") == text, f"{page} is stale: run `make docs`"
        assert set(DOCS.glob(f"{folder.name}_*.md")) == set(pages) - {page_of(folder)}
    plumbing = tables.read_folder(Results, DOCS / "results" / "plumbing", mark="experiment").values()
    assert plumbing and not any(table.verdicts for table in plumbing), "plumbing carries no verdict"
    results = tables.read_folder(Results, DOCS / "results", mark="experiment").values()
    assert not [row.name for table in results for row in table.rows.values() if row.asked]


def test_the_size_of_weights_is_read_from_their_files(tmp_path: Path) -> None:
    header = b'{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},"b":{"shape":[5]}}'
    for name in ("one", "two"):
        folder = tmp_path / "models" / "small"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(68))
    assert parameters("local:small", home=tmp_path) == 34
    assert parameters(f"transformers:{tmp_path}/models/small?dtype=x", home=tmp_path / "other") == 34
    assert parameters(REAL, home=tmp_path) == parameters("extractive", home=tmp_path) == 0
    with pytest.raises(UsageError, match="speaks of none of the models here"):
        model_notes(["vllm:a", "vllm:b"], ["8 B"], home=tmp_path)
    assert model_notes(["vllm:a", "vllm:b"], ["vllm:b=8 B"], home=tmp_path)["vllm:b"].about == "8 B"
