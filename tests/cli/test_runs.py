"""`whyrec runs`: list, show, compare, remove."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

BASE = ["run", "cot_rec.preference", "--data", "world:users=12,items=80", "--quiet", "--yes"]


def whyrec(*arguments: str) -> str:
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def made(*arguments: str) -> str:
    return re.search(r"run (cot_rec\S+)", whyrec(*BASE, *arguments))[1]


def test_runs_are_listed_shown_compared_and_removed():
    assert "There are no runs" in whyrec("runs", "ls")
    echo, again = made("--llm", "echo"), made("--llm", "echo", "--new")
    other = made("--llm", "extractive", "-o", "batch=5", "-o", "overlap=1")
    listed = whyrec("runs", "ls")
    assert all(name in listed for name in (echo, again, other)) and "done" in listed

    shown = whyrec("runs", "show", other)
    assert "merges: mean" in shown
    assert "data_digest" in shown and "git_revision" in shown and "test/u0" in shown and "[dim]" not in shown

    same = " ".join(whyrec("runs", "diff", echo, again).split())
    assert "12 examples are the same, 0 differ, 0 are only in" in same
    differ = " ".join(whyrec("runs", "diff", echo, other, "--limit", "1").split())
    assert "0 examples are the same, 12 differ" in differ and "extractive" in differ and "batch" in differ
    assert differ.count("- test/") == 1 and differ.count("+ test/") == 1

    assert f"Removed {again}" in whyrec("runs", "rm", again, "--yes")
    with pytest.raises(UnknownNameError, match="no run named"):
        whyrec("runs", "show", again)
    assert echo in whyrec("runs", "ls")


def test_a_file_as_home_is_no_home_without_runs(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("mine")
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    with pytest.raises(UsageError, match="is a file"):
        whyrec("runs", "ls")


def test_examples_of_one_run_only_are_counted():
    few = made("--llm", "echo", "--users", "5")
    more = made("--llm", "extractive")
    said = " ".join(whyrec("runs", "diff", few, more).split())
    assert f"5 differ, 0 are only in {few}, 7 only in {more}" in said


def test_a_damaged_run_hides_no_other():
    echo = made("--llm", "echo")
    place = read_settings().home / "runs" / "cot_rec.junk"
    place.mkdir()
    (place / "run.sqlite").write_text("junk")
    listed = " ".join(whyrec("runs", "ls").split())
    assert echo in listed and "unreadable cot_rec.junk" in listed
    assert echo in whyrec("trace", "ls"), "the latest is the latest that can be read"
    assert echo in whyrec("runs", "show", "latest") and "left out: cot_rec.junk" in " ".join(
        whyrec("prompts", "history", "cot_rec/summarise_batch").split()
    )
    with pytest.raises(UsageError, match="beginning of 2 runs"):
        whyrec("runs", "show", "cot_rec.")


def test_a_runs_head_says_in_which_precision_its_retriever_was_trained(monkeypatch):
    from rec_models import presets
    from rec_models.fit import FitSettings
    from rec_models.sequential.sasrec import SASRecSettings

    tiny = (SASRecSettings(width=8, blocks=1, heads=1, max_length=5), FitSettings(epochs=1))
    monkeypatch.setitem(presets.BACKBONES, "SASRec", tiny)
    asked = ["run", "cot_rec.recommend", "--data", "world:users=30,items=40", "--llm", "extractive", "--users", "3"]
    whyrec(*asked, "-o", "retriever=sasrec", "-o", "mode=titles", "--yes")
    shown = " ".join(whyrec("runs", "show", "latest").split())
    assert re.search(r"trained sasrec (float32|bfloat16) \(measured here: float32 ", shown), shown
