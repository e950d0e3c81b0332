"""What SCoTER keeps in files: ledgers of a stage, names of stages, and the matrices of steps."""

from __future__ import annotations

import numpy as np
import pytest

from graphs.scoter.stages import Ledger, stage_file
from graphs.scoter.step_store import About, StepStore
from whyrec.errors import LeakageError, UsageError


def test_a_ledger_drops_a_line_that_was_cut_off(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append("a", 1)
    with ledger.file.open("a") as out:
        out.write('["b", 2')
    again = Ledger(ledger.file)
    again.append("c", 3)
    assert Ledger(ledger.file).lines == {"a": 1, "c": 3}


def test_answers_in_a_ledger_may_hold_any_line_end(tmp_path):
    ledger = Ledger(tmp_path / "answers.jsonl")
    told = {"a": "one\u2028two\u0085three\x0b\x1e", "b": "four"}
    for key, value in told.items():
        ledger.append(key, value)
    assert Ledger(tmp_path / "answers.jsonl").lines == told


def test_a_stage_is_named_after_what_it_was_made_from(tmp_path):
    given = tmp_path / "given.json"
    given.write_text("1")
    one = stage_file(tmp_path, "clusters", given)
    given.write_text("2")
    assert stage_file(tmp_path, "clusters", given) != one


def test_a_store_survives_a_kill_and_joins_no_other_prefix(tmp_path):
    about = About(("a", "b"), 3, "made", "t", "d")
    store = StepStore.create(tmp_path, about)
    store.put("train/u1@2", "p1", np.full((2, 3), 1.0, np.float32))
    store.put("train/u2@2", "p2", np.full((2, 3), 2.0, np.float32), missing=[1])
    with (tmp_path / "steps.f16").open("ab") as out:
        out.write(b"\x00" * 7)  # a row that was being written
    with (tmp_path / "index.jsonl").open("a") as out:
        out.write('["p3","tr')
    store = StepStore.create(tmp_path, about)
    store.put("train/u3@2", "p3", np.full((2, 3), 3.0, np.float32))
    store.put("train/u4@2", "p1", np.full((2, 3), 9.0, np.float32))
    store = StepStore.open(tmp_path)
    assert len(store) == 3 and store.matrices[:, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert store.of("train/u2@2", "p2")[1].tolist() == [True, False]
    assert store.of("train/u4@2", "p1")[0][0, 0] == 1.0, "equal prefixes share their chain"
    assert store.of("train/u9@1", "p9") is None
    with pytest.raises(LeakageError, match="made from the prefix p1"):
        store.of("train/u1@2", "p7")
    with pytest.raises(UsageError, match="holds steps of"):
        StepStore.create(tmp_path, About(("a",), 3, "made", "t", "d"))


def test_the_nearest_steps_of_other_prefixes_are_those_of_exact_cosine(tmp_path, monkeypatch):
    monkeypatch.setattr("graphs.scoter.step_store._AT_ONCE", 7)
    store = StepStore.create(tmp_path, About(("a", "b"), 5, "made", "t", "d"))
    steps = np.random.default_rng(0).normal(size=(20, 2, 5)).astype(np.float32) * np.arange(1, 21)[:, None, None]
    for row in range(20):
        store.put(f"train/u{row}@2", f"p{row}", steps[row], missing=[1] if row == 4 else [])
    unit = steps[:, 1] / np.linalg.norm(steps[:, 1], axis=1, keepdims=True)
    cosines = unit @ unit[9]
    cosines[[4, 9]] = -2.0  # one has no such step, the other is the one asked about
    found = store.nearest("p9", 1, 30)
    assert len(found) == 18 and [p for p, _ in found[:5]] == [f"p{r}" for r in np.argsort(-cosines)[:5]]
    assert found[0][1] == pytest.approx(float(cosines.max()), abs=1e-2)
    assert store.nearest("p4", 1, 3) == [], "a missing step is near nothing"
