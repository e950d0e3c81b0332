"""`whyrec.contrast`: runs made for a comparison, as values and as the command's JSON."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import whyrec
from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError

WORLD = "world:users=60,items=120"
CHOOSE: dict[str, Any] = {"options": {"selector": "none"}, "users": 20, "progress": False}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_models_are_run_and_held_against_the_first_as_the_command_does() -> None:
    found = whyrec.contrast("pulse.choose", WORLD, llm=["simulated:0", "simulated:1"], **CHOOSE)
    row = found.to_polars().row(0, named=True)
    assert row["n"] == 20 and row["difference"] > 0 and [one.arm.name for one in found.found.arms][1] == "simulated:1"
    asked = ["compare", "pulse.choose", "--data", WORLD, "--llm", "simulated:0", "--llm", "simulated:1"]
    told = CliRunner().invoke(build(), [*asked, "--users", "20", "-o", "selector=none", "--json", "--yes"])
    again = json.loads(told.stdout)
    assert [one["run"] for one in again["arms"]] == [one.run for one in found.found.arms], "the same runs, found done"
    assert again["rows"][0] == json.loads(json.dumps(found.to_dict()["rows"][0])) and again["data"] == WORLD
    recorded = whyrec.compare(*[one.run for one in found.found.arms])
    assert recorded.to_dict()["graph"] == "pulse.choose"
    assert recorded.to_polars().row(0, named=True)["difference"] == pytest.approx(row["difference"])


def test_a_prompt_edited_in_memory_is_held_against_the_house_in_a_running_loop() -> None:
    prompt = whyrec.open_prompt("pulse/choose")
    edited = prompt.edit("Answer with the letter", "Think of what was rated best. Answer with the letter")

    async def notebook() -> whyrec.Compared:
        return whyrec.contrast("pulse.choose", WORLD, llm=["simulated:1"], prompts=["house", edited], **CHOOSE)

    found = asyncio.run(notebook())
    assert [one.arm.name for one in found.found.arms] == ["prompt house", f"prompt choose {edited.version[:8]}"]
    run = whyrec.open_run(found.found.arms[1].run)
    shown = run.show(next(iter(run.results)).key)
    assert "rated best" in shown.said[0].messages[-1].content


def test_it_is_begun_only_where_confirm_says_yes_and_typos_are_said() -> None:
    told: list[int] = []
    models = ["simulated:0", "simulated:1"]
    with pytest.raises(whyrec.NotConfirmed, match="up to 40 calls"):
        whyrec.contrast("pulse.choose", WORLD, llm=models, confirm=lambda calls: bool(told.append(calls)), **CHOOSE)
    assert told == [40] and not whyrec.list_runs()
    with pytest.raises(UnknownNameError, match=r"argument of whyrec\.contrast"):
        whyrec.contrast("pulse.choose", WORLD, seed=[1, 2], **CHOOSE)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="2 to 12 arms"):
        whyrec.contrast("pulse.choose", WORLD, llm=["simulated:1"], **CHOOSE)
