"""Kill a table while it asks for texts and while it trains: in the end its numbers are those of an unbroken one."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kill_starts import KEY, Kill, Started, delivered, server

TABLE = "cot_rec.table_1"


@dataclass
class EvalOutcome:
    """What the kills of an evaluation did. `differs` says how its table is not that of an unbroken one."""

    kills: list[Kill] = field(default_factory=list)
    cells: int = 0
    differs: str = ""


def check_eval(folder: Path, *, users: int, kills: int, latency: float = 0.02, seed: int = 0) -> EvalOutcome:
    """Kill an evaluation, first while it asks for its texts, then while it trains its cells.

    One server answers both, so that the model has one name in both tables.
    """
    outcome, homes, log = EvalOutcome(), (folder / "whole", folder / "broken"), folder / "eval.log"
    tables = [home / "tables" for home in homes]
    for table in tables:
        table.mkdir(parents=True)
    with server(log, latency) as url:
        Started(homes[0], "unbroken", *_eval(url, users, tables[0])).end()
        asked, (whole,) = delivered(log), tables[0].glob("*.json")
        outcome.cells = len(_numbers(whole))
        moments, command = _moments(outcome.cells, asked, kills, seed), _eval(url, users, tables[1])
        for number, (answers, cells, pause) in enumerate(moments):
            started = Started(homes[1], f"eval-{number:04}", *command)
            while started.running and (delivered(log) - asked < answers or _done(tables[1]) < cells):
                time.sleep(0.01)
            time.sleep(pause)
            landed = _doing(homes[1], tables[1]) if started.running else "after its end"
            outcome.kills.append(started.kill("eval", delivered(log) - asked, landed))
        Started(homes[1], "eval-last", *command).end()
    (broken,) = tables[1].glob("*.json")
    outcome.differs = _other_numbers(whole, broken)
    return outcome


def _moments(cells: int, answers: int, kills: int, seed: int) -> list[tuple[int, int, float]]:
    """(answers delivered, cells done, seconds after that) at which to kill: over the texts, then over the cells."""
    draw, early = random.Random(seed), kills // 2
    among = [(int(answers * (k + draw.random()) / max(early, 1)), 0, 0.0) for k in range(early)]
    late = kills - early
    return among + [(0, int(cells * (k + draw.random()) / (late + 1)), draw.uniform(0.0, 1.0)) for k in range(late)]


def _done(table: Path) -> int:
    """Cells in the table so far; it is written whole, so it can be read at any moment."""
    return sum(len(_numbers(file)) for file in table.glob("*.json"))


def _eval(url: str, users: int, table: Path) -> list[str]:
    return [
        "eval",
        TABLE,
        "--data",
        f"world:users={users},items=60",
        "--llm",
        f"openai:tiny@{url}?key={KEY}",
        "--backbone",
        "SASRec",
        "--epochs",
        "2",
        "--yes",
        "--results",
        str(table),
        "--out",
        str(table.parent / "out"),
    ]


def _doing(home: Path, table: Path) -> str:
    if cells := _done(table):
        return f"at the cells, {cells} of them done"
    runs = len(list((home / "runs").glob("*/run.sqlite")))
    return f"at the texts, in run {runs}" if runs else "before its first run"


def _numbers(file: Path) -> dict[str, Any]:
    """Cell and seed -> every number measured on test users."""
    rows = json.loads(file.read_text()).get("rows", {})
    return {f"{name} {run['seed']}": run["test"] for name, row in rows.items() for run in row["runs"]}


def _other_numbers(one: Path, other: Path) -> str:
    a, b = _numbers(one), _numbers(other)
    if a.keys() != b.keys():
        return f"cells {sorted(a.keys() ^ b.keys())} are in one table only"
    return "; ".join(f"{cell}: {a[cell]} or {b[cell]}" for cell in a if a[cell] != b[cell])[:1000]


def tell_eval(outcome: EvalOutcome) -> bool:
    print(f"eval: {len(outcome.kills)} kills: {'; '.join(kill.landed for kill in outcome.kills)}")
    print(f"{outcome.cells} cells: {outcome.differs or 'the same numbers as a table that nobody killed'}")
    midway = [kill for kill in outcome.kills if kill.landed != "after its end"]
    return not outcome.differs and outcome.cells > 0 and len(midway) >= len(outcome.kills) / 2
