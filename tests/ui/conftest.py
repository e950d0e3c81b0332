"""A home with runs over a small world and over data from strangers who try to be a program, and the pages over it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from graphs.run import How, run
from whyrec.data import open_data
from whyrec.llm.built_in.scripted import Scripted
from whyrec.settings import Settings
from whyrec.ui.app import build
from whyrec.ui.safety import Door

WORLD = "world:users=12,items=80,seed=3"
EVIL = "<script>window.hacked=1</script>"
IMAGE = '"><img src=x onerror="window.hacked=2">'
STRANGER = 'a/"<i>&u?x=1#y'


@dataclass(frozen=True)
class Stage:
    """A home and the runs in it."""

    settings: Settings
    good: str
    poor: str
    evil: str
    stranger: str = STRANGER


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    place = tmp_path_factory.mktemp("ui")
    _strangers(place / "data" / "strangers")
    settings = Settings(home=place / "home", data=(place / "data",))
    made = [_run(settings, WORLD, llm) for llm in ("simulated:1", "simulated:0.3")]
    return Stage(settings, *made, _run(settings, "strangers", Scripted(_answer)))


@pytest.fixture(scope="session")
def shaped(stage: Stage) -> dict[str, str]:
    """Runs whose results are of other shapes: a tree, rankings, chains beside a template, samples."""
    runs = {}
    for graph in ("pulse.rationale", "pulse.refine", "cot_rec.recommend", "scoter.distil", "rallrec.predict"):
        runs[graph] = _run(stage.settings, "world:users=12,items=40,seed=5", "simulated:1", graph)
    return runs


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def client(stage: Stage, door: Door) -> Iterator[TestClient]:
    with TestClient(build(stage.settings, door), base_url="http://127.0.0.1:8700", raise_server_exceptions=False) as c:
        yield c


@pytest.fixture
def numbers(stage: Stage) -> Any:
    """Numbers of a run's calls under a condition."""

    def find(run_id: str, condition: str = "1") -> list[int]:
        with closing(sqlite3.connect(stage.settings.home / "runs" / run_id / "run.sqlite")) as connection:
            return [n for (n,) in connection.execute(f"SELECT id FROM call WHERE {condition} ORDER BY id")]

    return find


def _run(settings: Settings, data: str, model: Any, graph: str = "cot_rec.preference") -> str:
    opened = open_data(data, settings=settings)
    how = How(settings=settings, world=opened.world)
    return asyncio.run(run(graph, corpus=opened.data, model=model, how=how)).run


def _answer(request: Any, sample: int) -> Any:
    """Every answer is a program, and one user's cannot be read."""
    if request.about.user == "s2":
        return f"No JSON, but {EVIL}"
    words = {"summary": f"Likes {EVIL} and {IMAGE}", "keywords": [EVIL, "boots", "<b>"]}
    return words if request.format.name == "ShortTermInterest" else {**words, "kept": [], "dropped": [], "added": []}


def _strangers(folder: Path) -> None:
    folder.mkdir(parents=True)
    items = [{"item_id": f"i{n}", "title": f"{EVIL} boots {n}", "description": IMAGE} for n in range(30)]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    users = [STRANGER, *(f"s{n}" for n in range(1, 6))]
    rows = ["user_id,item_id,timestamp,rating"]
    for at, user in enumerate(users):
        quoted = '"' + user.replace('"', '""') + '"'
        rows += [f"{quoted},i{(at * 3 + n) % 30},{1000 + n},5" for n in range(7)]
    (folder / "interactions.csv").write_text("\n".join(rows) + "\n")
