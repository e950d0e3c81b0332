"""Results belong to whoever computes them (20), and a table says first whom it measures and how long it takes (21)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Whyrec = Callable[..., Any]
SMALL = ("eval", "cot_rec.table_1", "--data", "world:users=40,items=40", "--embedder", "lsa:16")
PAIR = ("--cells", "item-CF;SASRec user=None,item=Random")
STRAW_MAN = "the backbone is no straw man"


def test_20_a_table_goes_to_the_home_and_nothing_into_the_current_folder(whyrec: Whyrec, tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    done = whyrec(*SMALL, "--cells", "popularity", env={"WHYREC_HOME": str(home)}, cwd=here)
    assert done.code == 0, done.said
    assert not list(here.iterdir())
    assert list((home / "results").glob("cot_rec.table_1.*/*.json"))


def test_20_a_quick_look_reads_no_result(whyrec: Whyrec, tmp_path: Path) -> None:
    done = whyrec(*SMALL, *PAIR, "--epochs", "1", env={"WHYREC_HOME": str(tmp_path / "home")}, seconds=300)
    assert done.code == 0 and STRAW_MAN in done.said, done.said
    verdict = done.said[done.said.index(STRAW_MAN) :].split("): ", 1)[1]
    assert verdict.startswith("No result.")


def test_20_no_verdict_over_rows_that_were_not_run_here(whyrec: Whyrec, tmp_path: Path) -> None:
    shared = ("--results", tmp_path / "shared" / "results")
    theirs = whyrec(*SMALL, *PAIR, *shared, "--epochs", "1", env={"WHYREC_HOME": str(tmp_path / "theirs")}, seconds=300)
    assert theirs.code == 0 and STRAW_MAN in theirs.said, theirs.said
    ours = whyrec(*SMALL, "--cells", "popularity", *shared, env={"WHYREC_HOME": str(tmp_path / "ours")})
    assert ours.code == 0, ours.said
    assert STRAW_MAN not in ours.said


def test_21_users_works_for_a_table_that_trains_on_everybody(whyrec: Whyrec, tmp_path: Path) -> None:
    done = whyrec(*SMALL, "--cells", "popularity", "--users", "20", env={"WHYREC_HOME": str(tmp_path / "home")})
    assert done.code == 0
    assert "Measures 20 users" in done.said and "train on all" in done.said


def test_21_a_table_says_first_how_long_it_takes(whyrec: Whyrec, tmp_path: Path) -> None:
    environment = {"WHYREC_HOME": str(tmp_path / "home"), "WHYREC_ASK_ABOVE": "0"}
    done = whyrec(*SMALL, "--dry-run", env=environment)
    assert done.code == 0, done.said
    assert "Takes about" in done.said and "rough figure" in done.said
