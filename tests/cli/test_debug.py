"""`whyrec debug`: start, stop, look, change, go on."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import prompts
from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError

START = ["debug", "cot_rec.preference", "--data", "world:users=12,items=80", "--llm", "simulated:1"]


def whyrec(*arguments: str) -> str:
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_session_from_start_to_fork():
    assert "There are no sessions" in whyrec("debug")
    said = whyrec(*START, "--user", "u3", "--before", "init_long")
    assert "session 1" in said and "summarise" in said and "init_long" in said
    assert "(end)" in whyrec("debug", "1", "--before", "merge")
    assert '"key": "test/u3"' in whyrec("debug", "1", "--show", "1")
    forked = whyrec("debug", "1", "--from", "1", "--set", "short.summary=Only poems.")
    assert "edit" in forked and "poems" in forked
    assert "1  cot_rec.preference" in whyrec("debug")
    assert whyrec("debug", "1") == forked


def test_a_session_speaks_by_roles_seeds_and_edited_prompts_and_keeps_them(tmp_path):
    edited = tmp_path / "short.md"
    edited.write_text(prompts.load("cot_rec/summarise_batch").text + "\nWrite like a poet.\n", encoding="utf-8")
    started = whyrec(*START, "--user", "u3", "--prompt", str(edited), "--seed", "3")
    assert "simulated:1, edited cot_rec/summarise_batch, seed 3" in started
    edited.unlink()
    assert whyrec("debug", "1") == started, "the session has the text"
    assert "(end)" in whyrec("debug", "1", "--from", "1")
    with pytest.raises(UnknownNameError, match=r"role in cot_rec\.preference named 'expert'"):
        whyrec(*START, "--user", "u3", "--llm", "expert=echo")
    judged = ["debug", "rallrec.predict", "--data", "world:users=30,items=80", "--llm", "simulated:1"]
    said = whyrec(*judged, "--llm", "expert=simulated:0.5", "--user", "row-100")
    assert "expert=simulated:0.5" in said


def test_what_is_missing_or_misspelt_is_said():
    with pytest.raises(UsageError, match=r"needs --user.* whyrec debug cot_rec\.preference --data world:"):
        whyrec(*START)
    with pytest.raises(UsageError, match=r"whyrec debug pulse\.choose --data world --user u3"):
        whyrec("debug", "pulse.choose", "--user", "u3")
    with pytest.raises(UnknownNameError, match="no graph named 'latest'"):
        whyrec("debug", "latest")
    with pytest.raises(UnknownNameError, match="example named 'u99'"):
        whyrec(*START, "--user", "u99")
    assert "There are no sessions" in whyrec("debug"), "a session that never began is not one"
    with pytest.raises(UnknownNameError, match="nope"):
        whyrec(*START, "--user", "u3", "--before", "nope")
    assert "There are no sessions" in whyrec("debug"), "nor is one that cannot begin"
    with pytest.raises(UnknownNameError, match="debugging session named '7'"):
        whyrec("debug", "7")
    whyrec(*START, "--user", "u3")
    for flags, said in (
        (["--llm", "extractive"], "--llm cannot be said of a session that is there already"),
        (["--user", "u5", "--data", "world"], "--data, --user cannot"),
        (["--show", "0", "--from", "0"], "leave out --from"),
    ):
        with pytest.raises(UsageError, match=said):
            whyrec("debug", "1", *flags)
    with pytest.raises(UsageError, match="--data: of what"):
        whyrec("debug", "--data", "world")
    with pytest.raises(UsageError, match="--set cannot be said of a session that is not there yet"):
        whyrec(*START, "--user", "u3", "--set", "k=1")
    with pytest.raises(UsageError, match="say which with --from"):
        whyrec("debug", "1", "--set", "k=0")
    with pytest.raises(UsageError, match=r"There is no short\.nothing"):
        whyrec("debug", "1", "--from", "1", "--set", "short.nothing=0")
    with pytest.raises(UnknownNameError, match="state named '77'"):
        whyrec("debug", "1", "--show", "77")
