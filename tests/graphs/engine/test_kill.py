"""Killed with -9 at any moment, a run is neither poorer nor richer for it: Show 5 in small."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).resolve().parents[2] / "checks"


@pytest.fixture(scope="module")
def kill_nine():
    spec = importlib.util.spec_from_file_location("whyrec_kill_nine", CHECKS / "kill_nine.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.slow
def test_five_kills_lose_and_double_nothing(kill_nine, tmp_path):
    outcome = kill_nine.check(tmp_path, users=80, kills=5, latency=0.05, more=("--concurrency", "4"), export_kills=2)
    assert outcome.digest == outcome.unbroken, "the same results as an unbroken run"
    assert outcome.midway >= 3, f"most kills hit a run at work: {outcome.kills}"
    assert outcome.in_export >= 1, f"and one its export: {outcome.kills}"
    assert outcome.beyond == [0] * 7, f"asked twice per kill: {outcome.twice}"
    assert not outcome.export


def log(*events):
    return [{"event": e, "digest": d, "number": n, "by": by, "time": t} for e, d, n, by, t in events]


def outcome_of(kill_nine, at):
    return kill_nine.Outcome(kills=[kill_nine.Kill("run", "a", at, 1.0, 70, "between answers")])


LOST = [("asked", f"d{n}", n, "a", 1.0) for n in range(70)] + [("delivered", f"d{n}", n, "a", 1.1) for n in range(70)]
AGAIN = [("asked", f"d{n}", 100 + n, "b", 5.0) for n in range(70)]


def test_the_accounting_finds_answers_asked_twice(kill_nine):
    outcome = outcome_of(kill_nine, 4.0)
    kill_nine._account(outcome, log(*LOST, *AGAIN))
    assert (outcome.twice, outcome.beyond) == ([70], [70]), "old answers, more than a window"
    outcome = outcome_of(kill_nine, 1.15)
    kill_nine._account(outcome, log(*LOST, *AGAIN))
    assert (outcome.twice, outcome.beyond) == ([70], [0]), "all of the last 100 ms"
    outcome = outcome_of(kill_nine, 4.0)
    kill_nine._account(outcome, log(*LOST[:60], *LOST[70:130], *AGAIN[:60]))
    assert (outcome.twice, outcome.beyond) == ([60], [0]), "not more than 64"
    outcome = outcome_of(kill_nine, 9.0)
    kill_nine._account(outcome, log(LOST[0], LOST[70], ("asked", "d0", 100, "a", 5.0)))
    assert outcome.beyond == [1], "asked twice by one start"
    outcome = outcome_of(kill_nine, 1.05)
    kill_nine._account(outcome, log(LOST[0], LOST[70], AGAIN[0]))
    assert outcome.twice == [0], "on its way when the client died: delivered to nobody"


def test_a_request_that_is_read_after_the_kill_is_of_the_start_that_was_killed(kill_nine):
    """It lay in the socket of a dead process: what answers it reaches nobody, and asking again is no second time."""
    outcome = outcome_of(kill_nine, 1.0)
    late = [("asked", f"d{n}", n, "a", 1.01) for n in range(70)] + [
        ("delivered", f"d{n}", n, "a", 1.06) for n in range(70)
    ]
    kill_nine._account(outcome, log(*late, *AGAIN))
    assert (outcome.twice, outcome.beyond) == ([0], [0])


def test_an_answer_that_a_start_left_alone_was_given_is_never_asked_for_again(kill_nine):
    outcome = outcome_of(kill_nine, 1.0)
    kill_nine._account(
        outcome, log(("asked", "d", 0, "b", 2.0), ("delivered", "d", 0, "b", 2.1), ("asked", "d", 1, "c", 9.0))
    )
    assert outcome.beyond == [1]
