from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import prompts
from prompts.prompt import FOLDER
from whyrec.cli.prompts import app
from whyrec.errors import UnknownNameError, UsageError

WORLD = "world:users=60,items=80"


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if isinstance(result.exception, (UsageError, UnknownNameError)):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def a_user() -> str:
    from whyrec.data import SplitView, load

    view = SplitView(load(WORLD), "test")
    return view.example(int(view.users[0])).user


def test_ls_names_every_prompt_with_its_version() -> None:
    output = run("ls")
    for name in prompts.names():
        assert name in output
        assert prompts.load(name).digest[:8] in output


def test_show_prints_the_file() -> None:
    assert run("show", "cot_rec/merge_preference") == prompts.load("cot_rec/merge_preference").text


@pytest.mark.parametrize("name", prompts.names())
def test_show_renders_every_prompt_for_a_user(name: str) -> None:
    output = run("show", name, "--render", a_user(), "--data", WORLD)
    assert output.startswith("--- system\n")
    assert "{{" not in output


def test_a_later_split_shows_one_more_event() -> None:
    valid, test = (
        run("show", "cot_rec/official_preference_perception", "--render", a_user(), "--data", WORLD, "--split", s)
        for s in ("valid", "test")
    )
    assert valid != test


def test_unknown_names_are_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match="no prompt named 'cot_rec/sumarise'"):
        run("show", "cot_rec/sumarise")
    with pytest.raises(UsageError, match=r"has no user 'nobody' with a valid history\. Users with one are"):
        run("show", "cot_rec/summarise_batch", "--render", "nobody", "--data", WORLD)
    with pytest.raises(UsageError, match=r"no split 'dev'\. Splits are train, valid, test"):
        run("show", "cot_rec/summarise_batch", "--render", "x", "--data", WORLD, "--split", "dev")
    with pytest.raises(UsageError, match="no prompt file"):
        run("lint", "nowhere.md")


def test_lint_finds_the_house_clean() -> None:
    assert run("lint") == f"{len(prompts.names())} prompts checked, 0 complaints.\n"


def test_lint_complains_and_exits_with_one(tmp_path: Path) -> None:
    text = (FOLDER / "cot_rec/write_review.md").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.md"
    wrong.write_text(text.replace("answer: Review", "answer: Revue"), encoding="utf-8")
    assert "its answer type 'Revue' is unknown. Known: " in run("lint", str(wrong), code=1)
    wrong.write_text(text.replace("stance", "mood"), encoding="utf-8")
    assert "the instructions never name the field 'stance' of Review" in run("lint", str(wrong), code=1)
    wrong.write_text("no prompt", encoding="utf-8")
    assert "does not start with front matter" in run("lint", str(wrong), code=1)
    wrong.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in run("lint", str(wrong), code=1)
