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
    outcome = kill_nine.check(tmp_path, users=80, kills=5, latency=0.05, more=("--concurrency", "4"))
    assert outcome.digest == outcome.unbroken, "the same results as an unbroken run"
    assert outcome.midway >= 3, "most kills hit a run at work"
    assert outcome.beyond == [0] * 5, f"asked twice per kill: {outcome.twice}"


def test_the_accounting_finds_answers_asked_twice(kill_nine):
    def log(*events):
        return [{"event": e, "digest": d, "number": n, "time": t} for e, d, n, t in events]

    lost = [("asked", f"d{n}", n, 1.0) for n in range(70)] + [("delivered", f"d{n}", n, 1.1) for n in range(70)]
    again = [("asked", f"d{n}", 100 + n, 5.0) for n in range(70)]
    outcome = kill_nine.Outcome(kills=[4.0])
    kill_nine._account(outcome, log(*lost, *again))
    assert (outcome.twice, outcome.beyond) == ([70], [70]), "old answers, more than a window"
    outcome = kill_nine.Outcome(kills=[1.15])
    kill_nine._account(outcome, log(*lost, *again))
    assert (outcome.twice, outcome.beyond) == ([70], [0]), "all of the last 100 ms"
    outcome = kill_nine.Outcome(kills=[4.0])
    kill_nine._account(outcome, log(*lost[:60], *lost[70:130], *again[:60]))
    assert (outcome.twice, outcome.beyond) == ([60], [0]), "not more than 64"
    outcome = kill_nine.Outcome(kills=[9.0])
    kill_nine._account(outcome, log(lost[0], lost[70], again[0]))
    assert outcome.beyond == [1], "asked twice without a kill"
    outcome = kill_nine.Outcome(kills=[1.05])
    kill_nine._account(outcome, log(lost[0], lost[70], again[0]))
    assert outcome.twice == [0], "on its way when the client died: delivered to nobody"
