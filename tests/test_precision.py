"""Precision is measured, not assumed."""

from __future__ import annotations

import pytest
import torch

from whyrec import precision
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings


@pytest.fixture(params=[(30.0, 144.0, "bfloat16"), (47.0, 0.8, "float32"), (47.0, 60.0, "float32")])
def processor(request, monkeypatch):
    """A processor with AVX512-BF16, one with AVX2 alone, one where the difference does not pay for the casts."""
    single, half, best = request.param
    monkeypatch.setattr(precision, "rates", lambda device, threads: {"float32": single, "bfloat16": half})
    return best


def test_auto_takes_what_is_faster_here_and_says_by_how_much(processor):
    found = precision.choose("auto")
    assert found.kind == processor
    assert "measured here: float32" in str(found) and "GFLOP/s" in str(found)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_name_overrides_what_was_measured(processor, name):
    assert precision.choose(name) == precision.Choice(name, "asked for")


def test_rates_are_measured_once_and_leave_everything_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    before = torch.get_float32_matmul_precision()
    found = precision.rates("cpu", torch.get_num_threads())
    assert set(found) == {"float32", "bfloat16"} and all(rate > 0 for rate in found.values())
    assert precision.rates("cpu", torch.get_num_threads()) is found
    assert torch.rand(1) == expected and torch.get_float32_matmul_precision() == before


def test_products_and_casts_are_what_was_chosen_and_only_inside():
    one = torch.rand(4, 4)
    with precision.casting("bfloat16"):
        assert (one @ one).dtype == torch.bfloat16
    with precision.casting("float32"):
        assert (one @ one).dtype == torch.float32
    with precision.products("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == "highest"


def test_what_nobody_can_do_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="graphics cards"):
        precision.choose("tf32", "cpu")
    with pytest.raises(UnknownNameError, match="bfloat16"):
        precision.check("bfloat61")
    monkeypatch.setenv("WHYREC_PRECISION", "half")
    with pytest.raises(UsageError, match="precision"):
        read_settings()
