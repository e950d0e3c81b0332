"""`whyrec dial`: listed, refused in a sentence, measured, rendered again from its files alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError


def call(folder: Path, *arguments: str) -> Result:
    places = ["--results", str(folder / "results" / "dial"), "--page", str(folder / "dial.md")]
    return CliRunner().invoke(build(), ["dial", *arguments, *places])


def test_without_a_name_dials_are_listed(tmp_path: Path) -> None:
    result = call(tmp_path)
    assert result.exit_code == 0 and "cot_rec.ranker" in result.output and "whyrec dial all" in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["puls"], UnknownNameError, "Did you mean 'pulse'"),
        (["pulse", "--levels", "0,much"], UsageError, "0,.5,1"),
        (["pulse", "--levels", "1,0"], UsageError, "rising"),
        (["pulse", "--setting", "rough"], UnknownNameError, "rough"),
        (["hotpotqa.cot", "--setting", "hard"], UsageError, "one setting"),
    ],
)
def test_a_wrong_name_or_value_is_one_sentence(
    tmp_path: Path, arguments: list[str], kind: type[Exception], says: str
) -> None:
    result = call(tmp_path, *arguments)
    assert isinstance(result.exception, kind) and says in str(result.exception)


def test_long_work_is_asked_about(tmp_path: Path) -> None:
    result = call(tmp_path, "all", "--seeds", "90")
    assert result.exit_code == 1 and "CPU minutes" in result.output and not (tmp_path / "results").exists()


def test_a_dial_that_turns_and_its_page(tmp_path: Path) -> None:
    small = ["hotpotqa.cot", "--users", "20", "--levels", "0,.5,1"]
    result = call(tmp_path, *small)
    assert result.exit_code == 0, result.output
    assert "No result, only a quick look (20 users instead of 150). F1 rises" in result.output
    page = (tmp_path / "dial.md").read_text()
    assert "## Questions answered by reasoning" in page and (tmp_path / "img" / "dial.hotpotqa.cot.png").exists()
    again = call(tmp_path, "--render")
    assert again.exit_code == 0 and (tmp_path / "dial.md").read_text() == page


def test_a_quick_look_has_no_verdict_and_does_not_fail(tmp_path: Path) -> None:
    result = call(tmp_path, "hotpotqa.cot", "--users", "5", "--levels", "0,.1", "--seeds", "2")
    assert result.exit_code == 0 and "its verdict will read: no result" in result.output
    assert "It does not turn" not in result.output


def test_a_dial_lies_in_the_home_of_whoever_measures_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    small = ["hotpotqa.cot", "--users", "5", "--levels", "0,1", "--seeds", "2"]
    assert CliRunner().invoke(build(), ["dial", *small]).exit_code == 0
    folder = tmp_path / "home" / "results" / "dial.hotpotqa.cot"
    written = {path.name for path in folder.iterdir()}
    assert written == {"hotpotqa.cot.json", "dial.hotpotqa.cot.md", "dial.hotpotqa.cot.png"}
    page = (folder / "dial.hotpotqa.cot.md").read_text()
    assert "(dial.hotpotqa.cot.png)" in page and "docs/" not in page.splitlines()[2]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert CliRunner().invoke(build(), ["dial", "--render"]).exit_code == 0
    refused = CliRunner().invoke(build(), ["dial", "--render", "--page", "x.md"])
    assert isinstance(refused.exception, UsageError) and "--page goes with --results" in str(refused.exception)
