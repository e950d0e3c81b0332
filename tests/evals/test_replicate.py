from __future__ import annotations

from pathlib import Path

import pytest

from evals.registry import Options
from evals.replicate import ground, replicate
from whyrec.errors import UnknownNameError
from whyrec.settings import read_settings

OPTIONS = Options(llms=("simulated:1",), users=8)
CELLS = ("chance", "no reason @simulated:1")


def test_cells_of_one_world_user_by_user(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    on = ground("world:easy,users=40,items=40,seed=2", settings)
    found = replicate("pulse.table_4", on, cells=CELLS, options=OPTIONS)
    assert list(found.outcomes) == list(found.runs) == list(CELLS)
    assert [len(o.users) for o in found.outcomes.values()] == [8, 8]
    assert found.runs["chance"].test["hr@1"].mean == pytest.approx(0.1)
    assert found.outcomes["chance"].values("hr@1") == pytest.approx([0.1] * 8)


def test_what_is_there_is_not_run_again_and_worlds_have_tables_of_their_own(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    names = [f"world:easy,users=40,items=40,seed={seed}" for seed in (2, 3, 2)]
    found = [replicate("pulse.table_4", ground(name, settings), cells=CELLS, options=OPTIONS) for name in names]
    first, other, again = (replica.runs["no reason @simulated:1"] for replica in found)
    assert again == first and other.digest != first.digest
    assert len(list((tmp_path / "replicas").glob("*/pulse.table_4*.json"))) == 2


def test_unknown_cells_are_named(tmp_path: Path) -> None:
    on = ground("world:easy,users=40,items=40", read_settings(home=tmp_path))
    with pytest.raises(UnknownNameError, match="dice"):
        replicate("pulse.table_4", on, cells=("dice",), options=OPTIONS)
