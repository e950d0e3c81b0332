"""Prompts of one's own folder take the place of the house's in every run, and versions can be given names."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import prompts
import whyrec as library
from whyrec.cli import build
from whyrec.errors import UsageError
from whyrec.settings import read_settings

NAME = "cot_rec/summarise_batch"
WORLD = "world:users=12,items=40"


def edited(words="Say what this {{ domain.user }} was after"):
    return prompts.load(NAME).text.replace("Say what this {{ domain.user }} was interested in", words)


def put(text):
    path = read_settings().prompt_folder / f"{NAME}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def ran():
    return library.run("cot_rec.preference", WORLD, llm="extractive", users=4, progress=False)


def cli(*arguments):
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.output.split())


def test_a_run_takes_ones_own_and_is_another_run():
    first = ran()
    path = put(edited())
    second = ran()
    assert first.id != second.id
    assert "was after" in cli("trace", "show", f"{second.id}:1")
    path.unlink()
    assert ran().id == first.id


def test_a_graph_that_does_not_use_it_is_unchanged():
    before = library.run("cot_rec.describe", WORLD, llm="extractive", users=2, progress=False).id
    put(edited())
    assert library.run("cot_rec.describe", WORLD, llm="extractive", users=2, progress=False).id == before


def test_one_that_does_not_fit_is_a_sentence():
    put(edited().replace("answer: ShortTermInterest", "answer: Another"))
    with pytest.raises(UsageError, match="cannot take its place: its answer type is 'Another'"):
        ran()
    put("no prompt")
    with pytest.raises(UsageError, match="is not a usable prompt"):
        ran()


def test_versions_are_listed_shown_run_and_compared_by_name(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    put(edited())
    assert "is the version" in cli("prompts", "tag", NAME, "after")
    assert "after (your own)" in cli("prompts", "ls")
    put(edited("Tell what this {{ domain.user }} was after"))
    assert "Tell what this" in cli("prompts", "show", NAME)
    assert "Say what this {{ domain.user }} was after" in cli("prompts", "show", f"{NAME}@after")
    with pytest.raises(UsageError, match="another text already"):
        cli("prompts", "tag", NAME, "after")
    said = cli(
        "compare", "cot_rec.preference", "--data", WORLD, "--llm", "extractive", "--users", "4", "--yes",
        "--prompt", "house", "--prompt", f"{NAME}@after",
    )  # fmt: skip
    assert "paired by example" in said
    with pytest.raises(Exception, match=f"no version of a prompt named '{NAME}@never'"):
        cli("prompts", "show", f"{NAME}@never")
    with pytest.raises(UsageError, match="is no name for a version"):
        cli("prompts", "tag", NAME, "../up")


def test_a_prompt_of_another_folder_by_the_settings(tmp_path, monkeypatch):
    before = ran().id
    (tmp_path / "words" / "cot_rec").mkdir(parents=True)
    (tmp_path / "words" / f"{NAME}.md").write_text(edited())
    monkeypatch.setenv("WHYREC_PROMPTS", str(tmp_path / "words"))
    assert ran().id != before
