"""`whyrec run`: exit codes, questions, refusals in one sentence, interrupts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyrec.cli import build, run
from whyrec.cli.shared import asking
from whyrec.cli.shared.live import span
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import list_runs
from whyrec.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
WORLD = "world:users=30,items=80"
BASE = ["run", "cot_rec.preference", "--data", WORLD]


def whyrec(*arguments: str, code: int = 0) -> str:
    """Output of a command; errors that the front door would print are raised."""
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_a_run_says_what_it_will_take_and_what_it_did():
    said = whyrec(*BASE, "--llm", "extractive", "--users", "8")
    assert re.search(r"8 examples, about \d+ calls \(at most \d+\), about [\d,]+ tokens in", said)
    assert "8 examples = 8 done + 0 failed + 0 left" in said and "results.parquet" in said
    again = whyrec(*BASE, "--llm", "extractive", "--users", "8")
    assert "all 8 examples are settled, nothing to ask" in again and "0 calls = 0 answered" in again
    fresh = whyrec(*BASE, "--llm", "extractive", "--users", "8", "--new", "--quiet")
    assert "Every answer came from the cache." in fresh and "tokens from" not in fresh


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (["run"], UsageError, "needs a graph"),
        (["run", "cot_rec.preference"], UsageError, "needs --data"),
        (["run", "cot_rec.pref", "--data", WORLD], UnknownNameError, "Did you mean 'cot_rec.preference'"),
        (["run", "cot_rec.preference", "--data", "amazon"], UnknownNameError, "no data set named 'amazon'"),
        ([*BASE, "--llm", "opena:gpt"], UnknownNameError, "no kind of language model named 'opena'"),
        ([*BASE, "-o", "batches=5"], UnknownNameError, "Did you mean 'batch'"),
        ([*BASE, "-o", "batch"], UsageError, "key=value"),
        ([*BASE, "-o", "batch=many"], UsageError, "whole number"),
        ([*BASE, "--split", "tset"], UsageError, "valid | test"),
        ([*BASE, "--split", "test", "-o", "split=valid"], UsageError, "give it once"),
        (["run", "cot_rec.describe", "--data", WORLD, "--split", "valid"], UsageError, "has no split"),
        ([*BASE, "--llm", "openai:gpt-4o-mini"], UsageError, "OPENAI_API_KEY"),
        ([*BASE, "--llm", "openai:tiny@http://127.0.0.1:9/v1", "--yes", "-q"], UsageError, "Nothing answers"),
        ([*BASE, "--llm", "echo", "--budget-usd", "-1"], None, ""),
    ],
)
def test_bad_input_is_one_sentence(arguments, kind, sentence):
    if kind is None:
        whyrec(*arguments, code=2)
        return
    with pytest.raises(kind) as caught:
        whyrec(*arguments)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_large_job_asks_first_and_yes_answers(monkeypatch):
    monkeypatch.setenv("WHYREC_ASK_ABOVE", "5")
    with pytest.raises(UsageError, match="Add --yes"):
        whyrec(*BASE, "--llm", "echo")
    assert not list_runs(read_settings().home), "nothing was begun"
    assert "30 done" in whyrec(*BASE, "--llm", "echo", "--yes")


def test_failed_examples_make_exit_code_1_and_can_be_retried(tmp_path):
    script = tmp_path / "answers.json"
    script.write_text('[{"answer": "no"}]')
    said = whyrec(*BASE, "--llm", f"scripted:{script}", "--users", "3", code=1)
    assert "0 done + 3 failed + 0 left" in said and "--retry-failed" in said
    run_id = re.search(r"run (cot_rec\S+)", said)[1]
    assert "failed 3 x: AnswerError" in whyrec("runs", "show", run_id)
    assert "0 done + 3 failed" in whyrec(*BASE, "--llm", f"scripted:{script}", "--users", "3", "--retry-failed", code=1)


def test_a_spent_budget_leaves_the_rest():
    said = whyrec(*BASE, "--llm", "echo", "--budget-calls", "5", code=1)
    assert "The budget has no room" in said and "to go on with the" in said
    assert "30 done + 0 failed + 0 left" in whyrec(*BASE, "--llm", "echo")


def test_the_list_names_every_graph_and_option():
    said = whyrec("run", "--list")
    for word in ("cot_rec.describe", "cot_rec.preference", "cot_rec.perception", "overlap", "preferences"):
        assert word in said


def test_spans_are_readable():
    assert [span(s) for s in (0.04, 12.3, 205, 7500)] == ["0.0 s", "12 s", "3:25 min", "2:05 h"]


def test_the_module_imports_nothing_heavy():
    heavy = "('langgraph', 'polars', 'torch', 'rich.live')"
    code = f"import sys, whyrec.cli; whyrec.cli.build(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def interrupted(tmp_path, *command):
    """(exit code, stdout, stderr, the server's log) of a command that is asked to stop once six answers are there."""
    server = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "tests/servers/openai_like.py"),
            "--latency",
            "0.3",
            "--log",
            str(tmp_path / "log"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = server.stdout.readline().strip()
        process = subprocess.Popen(
            [sys.executable, "-m", "whyrec", *command, "--llm", f"openai:tiny@{url}"],
            cwd=ROOT,
            env={**os.environ, "WHYREC_CONCURRENCY": "4"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        log, deadline = tmp_path / "log", time.monotonic() + 60
        while (not log.exists() or log.read_bytes().count(b"delivered") < 6) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    assert "Traceback" not in errors
    log_text = log.read_text()
    assert log_text.count('"asked"') == log_text.count('"delivered"'), "every call in flight was waited for"
    return process.returncode, said, errors


@pytest.mark.slow
def test_ctrl_c_finishes_what_is_in_flight_and_says_how_to_go_on(tmp_path):
    code, said, errors = interrupted(tmp_path, *BASE)
    assert code == 130 and "Finishing what is in flight" in said, said + errors
    done, left = map(int, re.search(r"= (\d+) done \+ 0 failed \+ (\d+) left", said).groups())
    assert done >= 4 and done + left == 30 and f"go on with the {left} examples left" in " ".join(said.split())
    (info,) = list_runs(read_settings().home)
    assert (info.counts.done, info.state) == (done, "interrupted")


@pytest.mark.slow
@pytest.mark.parametrize("more", [["compare", "--seed", "0", "--seed", "1"], ["eval"]], ids=lambda more: more[0])
def test_ctrl_c_does_the_same_in_what_runs_graphs_for_a_table(tmp_path, more):
    command, *flags = more
    what = "cot_rec.preference" if command == "compare" else "cot_rec.table_1"
    data = ["--data", "world:users=30,items=80", "--yes"]
    results = ["--results", str(tmp_path / "results")] if command == "eval" else []
    code, said, errors = interrupted(tmp_path, command, what, *data, *flags, *results)
    told = said + errors
    assert code == 130 and "Finishing what is in flight" in told and "the same command goes on" in told, told
    (info,) = list_runs(read_settings().home)
    assert info.state == "interrupted" and info.counts.done >= 4


def test_the_question_is_asked_at_a_terminal(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    from graphs.engine.estimate import Estimate

    expected = Estimate(10, 0, 90, 100, 0, 0, None, 1.0, "assumed", 3)
    monkeypatch.setattr(asking.sys, "stdin", Terminal())
    monkeypatch.setattr(asking.typer, "confirm", lambda question: question == "Make up to 100 calls?")
    run._ask(expected, 50, yes=False)
    monkeypatch.setattr(asking.typer, "confirm", lambda question: False)
    with pytest.raises(asking.typer.Exit):
        run._ask(expected, 50, yes=False)


def test_another_seed_takes_no_longer():
    told = whyrec("run", "cot_rec.preference", "--data", "world:users=12,items=80", "--seed", "9999", "--yes")
    assert "= 12 done" in told
