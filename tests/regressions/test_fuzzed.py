"""What fuzzing found where nobody else mends it, and what the check of kills got wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("record", ["{", "[1]", '{"ml-100k.zip": 1}'])
def test_22_a_damaged_record_of_a_download_is_a_sentence(whyrec, tmp_path, record):
    folder = tmp_path / "home" / "data" / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "SOURCE.json").write_text(record)
    done = whyrec("data", "get", "ml-100k")
    assert done.sentence, done.said
    assert "SOURCE.json" in done.said and "Delete it" in done.said


@pytest.mark.parametrize("damage", ["no database", "other encoding"])
def test_22_a_damaged_search_index_is_made_again(whyrec, tmp_path, damage):
    assert whyrec("run", "cot_rec.preference", "--data", "world:users=3,items=24", "--llm", "extractive").code == 0
    first = whyrec("trace", "ls", "latest", "a*")
    assert first.code == 0, first.said
    (index,) = (tmp_path / "home" / "runs").glob("*/search.sqlite")
    whole = index.read_bytes()
    index.write_bytes(b"no database at all" * 500 if damage == "no database" else whole[:56] + b"\0\0\0\4" + whole[60:])
    again = whyrec("trace", "ls", "latest", "a*")
    assert again.code == 0, again.said
    assert again.out == first.out


def test_23_a_request_that_is_read_after_a_kill_counts_as_sent_before_it(monkeypatch):
    """It lay in the socket of a dead process: its answer reached nobody, so asking again is no second time."""
    spec = importlib.util.spec_from_file_location("whyrec_kills", ROOT / "tests" / "checks" / "kill_nine.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    killed = 1.0
    kills = [module.Kill("run", "a", killed, 1.0, 70, "between answers")] if hasattr(module, "Kill") else [killed]
    outcome, log = module.Outcome(kills=kills), []
    for event, by, time in (("asked", "a", 1.01), ("delivered", "a", 1.06), ("asked", "b", 5.0)):
        log += [{"event": event, "digest": f"d{n}", "number": n, "by": by, "time": time} for n in range(70)]
    module._account(outcome, log)
    assert (outcome.twice, outcome.beyond) == ([0], [0])
