"""`whyrec mechanism`: listed, refused in a sentence, asked about, rendered from its files alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError


def call(folder: Path, *arguments: str) -> Result:
    places = ["--results", str(folder / "results" / "mechanisms"), "--page", str(folder / "mechanisms.md")]
    return CliRunner().invoke(build(), ["mechanism", *arguments, *places])


def test_without_a_name_mechanisms_are_listed(tmp_path: Path) -> None:
    result = call(tmp_path)
    assert result.exit_code == 0 and "scoter-clustering" in result.output and "whyrec mechanism all" in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["pulse-trees"], UnknownNameError, "Did you mean 'pulse-tree'"),
        (["pulse-tree", "--setting", "rough"], UnknownNameError, "rough"),
        (["pulse-tree", "--seeds", "1"], UsageError, "more --seeds"),
        (["rallrec-merging", "--llm", "simulated:2", "--users", "4", "--seeds", "2"], UsageError, "from 0 to 1"),
    ],
)
def test_a_wrong_name_or_value_is_one_sentence(
    tmp_path: Path, arguments: list[str], kind: type[Exception], says: str
) -> None:
    result = call(tmp_path, *arguments)
    assert isinstance(result.exception, kind) and says in str(result.exception)


def test_the_name_it_had_says_what_it_is_called_now() -> None:
    result = CliRunner().invoke(build(), ["ablate", "all", "--seeds", "3"])
    assert isinstance(result.exception, UsageError) and "`whyrec mechanism` now" in str(result.exception)


def test_long_work_is_asked_about(tmp_path: Path) -> None:
    result = call(tmp_path, "all", "--seeds", "50")
    assert result.exit_code == 1 and "CPU minutes" in result.output and not (tmp_path / "results").exists()


def test_a_page_without_files(tmp_path: Path) -> None:
    result = call(tmp_path, "--render")
    assert result.exit_code == 0 and "Not yet measured with this simulator" in (tmp_path / "mechanisms.md").read_text()


def test_a_small_one_from_end_to_end(tmp_path: Path) -> None:
    """Too few rows to decide anything, so it is a quick look without a verdict."""
    small = ["rallrec-injection", "--llm", "simulated:1", "--setting", "easy", "--seeds", "2", "--users", "24"]
    result = call(tmp_path, *small, "--first-seed", "100")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "thinks, hinted beside thinks, retrieval: no result, only a quick look" in " ".join(result.output.split())
    assert result.exit_code == 0
    text = (tmp_path / "mechanisms.md").read_text()
    assert "## rallrec-injection" in text and "seed=101" not in text and "seed=100" in text
    assert call(tmp_path, "--render").exit_code == 0 and (tmp_path / "mechanisms.md").read_text() == text
