"""`whyrec trace`: from a question to the answer in two commands; typos; text from data is never markup."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError

BASE = ["run", "cot_rec.preference", "--data", "world:users=12,items=80", "--quiet", "--yes"]


def whyrec(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def made(*arguments: str) -> str:
    return re.search(r"run (cot_rec\S+)", whyrec(*BASE, *arguments))[1]


def test_from_a_user_to_the_prompt_and_the_path():
    run = made("--llm", "simulated:1")
    listed = whyrec("trace", "ls", run, "--user", "u3")
    number = re.search(rf"whyrec trace show {re.escape(run)}:(\d+)", " ".join(listed.split()))[1]
    shown = whyrec("trace", "show", f"{run}:{number}")
    assert "<history>" in shown and "system" in shown and "as ShortTermInterest" in shown and "test/u3" in shown
    assert whyrec("trace", "show", number) == shown, "a number alone is a call of the latest run"
    state = whyrec("trace", "show", number, "--state")
    assert "state: step 1, summarise" in state and "what comes out is what the run has stored" in " ".join(
        state.split()
    )
    path = whyrec("trace", "example", run, "u3", "--states")
    assert whyrec("trace", "example", f"{run}/u3", "--states") == path
    assert "1. summarise" in path and "init_long" in path and f"call {number}" in path and "changed long" in path


def test_two_runs_and_two_calls_are_compared_word_by_word():
    one, other = made("--llm", "simulated:1"), made("--llm", "simulated:0")
    said = whyrec("trace", "diff", f"{one}/u3", f"{other}/u3")
    assert "simulated:1" in said and "simulated:0" in said and "[-" in said and "{+" in said and "result" in said
    same = whyrec("trace", "diff", f"{one}:1", f"{one}:1")
    assert "messages: the same" in same and "answer: the same" in same


def test_a_call_is_sent_again_changed():
    run = made("--llm", "simulated:1")
    said = whyrec(
        "trace",
        "replay",
        f"{run}:1",
        "--llm",
        "simulated:0",
        "--replace",
        "at most 40 words=>in a word",
        "--times",
        "2",
    )
    assert "[-at most 40 words-]{+in a word+}" in " ".join(said.split()).replace("+} {", "+}{")
    assert "now: simulated:0" in said and "Kept as replay 1" in said
    with pytest.raises(UsageError, match="OLD=>NEW"):
        whyrec("trace", "replay", f"{run}:1", "--replace", "x")
    with pytest.raises(UsageError, match="cannot be read"):
        whyrec("trace", "replay", f"{run}:1", "--prompt", "/nowhere.md")
    with pytest.raises(UnknownNameError, match="Did you mean 'simulated'"):
        whyrec("trace", "replay", f"{run}:1", "--llm", "simulatd:1")


def test_json_and_csv_are_for_other_programs():
    run = made("--llm", "extractive")
    rows = [json.loads(line) for line in whyrec("trace", "ls", run, "--format", "json", "--limit", "3").splitlines()]
    assert [row["id"] for row in rows] == [1, 2, 3] and all(row["answer"] and row["blanks"] for row in rows)
    head, *lines = whyrec("trace", "ls", run, "--format", "csv", "--limit", "3").splitlines()
    assert head.startswith("id,at,kind,example,user") and len(lines) == 3


def test_typos_are_sentences():
    run = made("--llm", "extractive")
    with pytest.raises(UnknownNameError, match="Did you mean 'summarise'"):
        whyrec("trace", "ls", run, "--node", "sumarise")
    with pytest.raises(UsageError, match="is not a call"):
        whyrec("trace", "show", "first")
    with pytest.raises(UsageError, match="Whose example"):
        whyrec("trace", "example", run)
    few = made("--llm", "simulated:1", "--users", "2")
    with pytest.raises(
        UsageError, match=r"is not about test/u7: it went over other examples, such as test/u0, test/u1"
    ):
        whyrec("trace", "example", few, "u7")
    with pytest.raises(UsageError, match="has no call 999"):
        whyrec("trace", "show", f"{run}:999")
    with pytest.raises(UnknownNameError, match="no run named 'nope'"):
        whyrec("trace", "ls", "nope")
    with pytest.raises(UsageError, match="none of ok, unusable, error, placeholder"):
        whyrec("trace", "ls", run, "--status", "good")
    with pytest.raises(UsageError, match="none of table, json, csv"):
        whyrec("trace", "ls", run, "--format", "xml")
    for output in ("table", "json", "csv"):
        whyrec("trace", "ls", run, "--node", "merge", "--user", "nobody", "--format", output, code=1)
    assert "nearest users" in whyrec("trace", "ls", run, "--user", "u3x", code=1)


def test_without_a_run_there_is_a_sentence():
    with pytest.raises(UsageError, match="There are no runs in"):
        whyrec("trace", "ls")


def test_control_characters_and_markup_are_shown_not_obeyed():
    from whyrec.cli.trace_text import plain

    assert plain("[bold]x[/bold] \x1b[31mred\x00").plain == "[bold]x[/bold] ␛[31mred␀"
