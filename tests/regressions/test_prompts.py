"""12: a prompt file that YAML reads otherwise, and a template that computes, from a file or from somebody's run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prompts
from whyrec.errors import UsageError

HOUSE = prompts.load("cot_rec/summarise_batch").text
COMPUTES = HOUSE.replace("</history>", "{{ 9**(9**9) }}\n</history>")


def how_it_ends(text: str) -> BaseException | None:
    try:
        prompts.parse(text, where="edited.md")
    except Exception as error:
        return error
    return None


def test_12_front_matter_that_yaml_reads_otherwise_is_a_sentence(cases: Path, whyrec: Callable[..., Any]) -> None:
    done = whyrec("prompts", "diff", cases / "prompt_date.md", "cot_rec/summarise_batch")
    assert done.sentence and "prompt_date.md" in done.said and "'d'" in done.said, done
    error = how_it_ends((cases / "prompt_variables.md").read_text(encoding="utf-8"))
    assert isinstance(error, UsageError) and "variables must map" in str(error)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("max_tokens: 400", "max_tokens: true", "max_tokens"),
        ("max_tokens: 400", "max_tokens: 400, stop: END", "stop"),
        ("answer: ShortTermInterest", "answer: ShortTermInterest\nanswer: ShortTermInterest", "'answer'"),
        ("history: the events", "history: 2001-13-45\n  # the events", "'history'"),
        ("description: ", 'description: "\\U99999999" #', "front matter"),
    ],
)
def test_12_a_value_of_the_wrong_kind_is_a_sentence(old: str, new: str, field: str) -> None:
    assert old in HOUSE
    error = how_it_ends(HOUSE.replace(old, new, 1))
    assert isinstance(error, UsageError) and field in str(error) and "edited.md" in str(error)


def test_12_a_template_that_computes_is_refused_by_line(tmp_path: Path, whyrec: Callable[..., Any]) -> None:
    path = tmp_path / "edited.md"
    path.write_text(COMPUTES, encoding="utf-8")
    done = whyrec("prompts", "diff", path, "cot_rec/summarise_batch", seconds=30)
    assert done.sentence and "line 3" in done.said and "**" in done.said, done


def test_12_a_run_of_somebody_else_cannot_make_us_compute(tmp_path: Path, whyrec: Callable[..., Any]) -> None:
    home = {"WHYREC_HOME": str(tmp_path / "home")}
    done = whyrec(
        "run",
        "cot_rec.preference",
        "--data",
        "world:users=4,items=80",
        "--llm",
        "extractive",
        "--quiet",
        "--yes",
        env=home,
    )
    assert done.code == 0, done
    (path,) = (tmp_path / "home" / "runs").glob("*/run.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE prompt SET text=? WHERE name='cot_rec/summarise_batch'", (COMPUTES,))
    connection.close()
    shown = whyrec("trace", "show", "latest:1", env=home, seconds=30)
    assert shown.sentence and "**" in shown.said, shown
