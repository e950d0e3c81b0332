"""The floor of bench/sasrec.py counts what the model really multiplies."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import floors, sasrec
from rec_models.base import Batch
from rec_models.sequential.sasrec import SASRec
from whyrec.data.generated import world
from whyrec.settings import Settings


@pytest.mark.parametrize("inner", [1, 4])
def test_forward_flops_are_those_of_the_model(inner):
    network = replace(sasrec.NETWORK, inner=inner)
    batch = Batch(torch.arange(6), torch.ones(6, 1, dtype=torch.int64), torch.ones(6, dtype=torch.int64))
    with FlopCounterMode(display=False) as counted:
        SASRec(9, network)(batch)
    attention = network.blocks * 6 * 4 * network.width  # torch's counter does not know the fused attention on CPU
    assert sasrec.forward_flops(np.ones(6, np.int64), network) == counted.get_total_flops() + attention


def test_a_place_attends_to_those_before_it():
    d, one, three = sasrec.NETWORK.width, sasrec.forward_flops(np.array([1])), sasrec.forward_flops(np.array([3]))
    assert three - 3 * one == sasrec.NETWORK.blocks * 4 * d * (1 + 2)


def test_without_beauty_there_are_no_rows(capsys, tmp_path):
    assert sasrec.measure_here([1], Settings(home=tmp_path, data=(tmp_path,))) == {}
    assert "left out" in capsys.readouterr().err


def test_rows_say_what_they_must(monkeypatch):
    """On a tiny corpus with one repetition: names, values, bounds."""
    monkeypatch.setattr(sasrec, "REPEATS", 1)
    monkeypatch.setattr(sasrec, "seconds_per_flop", lru_cache(lambda *shape, threads, exact=False: 1e-11))
    rows = sasrec.on_threads(world.make(users=60, items=80).corpus, 1)
    assert len(rows) == 6
    for name, row in rows.items():
        assert set(row) == {"value", "unit", "bound", "holds"}
        assert row["value"] > 0
        assert (row["holds"] is None) == ("over" not in name)
    assert any("torch uses" in row["unit"] for row in rows.values()), "one line names the processor"


def test_a_floor_is_the_best_rate_of_any_precision_at_the_given_shape(monkeypatch):
    monkeypatch.setattr(floors, "rates", lambda device, threads: {"float32": 40.0, "bfloat16": 1.0})
    assert floors.kinds(exact=False) == [torch.float32], "fifty times slower: not timed in large products"
    monkeypatch.setattr(floors, "rates", lambda device, threads: {"float32": 30.0, "bfloat16": 144.0})
    assert floors.kinds(exact=False) == [torch.float32, torch.bfloat16]
    assert floors.kinds(exact=True) == [torch.float32], "places are counted, not approximated"
