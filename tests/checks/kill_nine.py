"""Kill whyrec with -9 again and again: nothing may be lost, doubled, or asked twice beyond a commit window.

    python tests/checks/kill_nine.py                 # 2,000 users, 20 kills in a run, 5 in its export, 5 in an eval
    python tests/checks/kill_nine.py --users 200 --kills 5 --export-kills 2 --eval-kills 2

A loopback server in a process of its own logs every request when it arrives and when its answer is in the kernel's
hands. Every start of whyrec shows it a key of its own, so that a request tells which start sent it, however late it is
read. Three parts:

- *run*: killed when a drawn number of answers has been delivered, started again, killed again, and at last left alone.
  Its sorted-result digest equals that of an unbroken run; and of the answers that a killed start had been given, those
  asked for again were delivered within 100 ms before the kill, or are at most 64.
- *export*: the finished run is started again and killed while it writes its Parquet file. What lies under the file's
  name is whole or not there, and in the end it holds what the unbroken run's holds.
- *eval*: a table is killed while it asks for texts and while it trains. In the end its numbers are those of an unbroken
  one.

Where each kill landed is kept in OUT/kills.jsonl, the servers' logs beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:  # tests are no package, and this file is opened by its path
    sys.path.append(str(Path(__file__).parent))
from kill_eval import check_eval, tell_eval
from kill_starts import KEY, ROOT, Kill, Started, delivered, events, server

WINDOW_CALLS, WINDOW_S = 64, 0.1
GRAPH = "cot_rec.preference"


@dataclass
class Outcome:
    """What the kills of a run did. `twice` has, per kill, how many answers given before it were asked for again."""

    digest: str = ""
    unbroken: str = ""
    kills: list[Kill] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    calls: int = 0
    export: str = ""  # what is wrong with the Parquet file, or with one that a kill left

    @property
    def midway(self) -> int:
        return sum(kill.landed == "between answers" for kill in self.kills)

    @property
    def in_export(self) -> int:
        return sum(kill.landed == "writing the Parquet file" for kill in self.kills)

    @property
    def holds(self) -> bool:
        return self.digest == self.unbroken != "" and not any(self.beyond) and not self.export


def _run(url: str, users: int, more: Sequence[str]) -> list[str]:
    return [
        "run",
        GRAPH,
        "--data",
        f"world:users={users}",
        "--llm",
        f"openai:tiny@{url}?key={KEY}",
        "--yes",
        "--quiet",
        *more,
    ]


def digest(home: Path) -> str:
    sys.path.insert(0, str(ROOT))
    from whyrec.runs import list_runs, open_run

    (info,) = list_runs(home)
    run = open_run(home, info.id)
    try:
        return run.digest()
    finally:
        run.close()


def unbroken(folder: Path, users: int, latency: float, more: Sequence[str]) -> tuple[str, int]:
    """Digest and number of calls of a run that nobody kills."""
    with server(folder / "unbroken.log", latency) as url:
        Started(folder / "unbroken", "unbroken", *_run(url, users, more)).end()
    return digest(folder / "unbroken"), delivered(folder / "unbroken.log")


def check(
    folder: Path,
    *,
    users: int,
    kills: int,
    latency: float,
    more: Sequence[str] = (),
    export_kills: int = 0,
    seed: int = 0,
) -> Outcome:
    """Kill a run `kills` times and its export `export_kills` times, and hold it to account."""
    outcome, log, home = Outcome(), folder / "killed.log", folder / "killed"
    outcome.unbroken, calls = unbroken(folder, users, latency, more)
    draw = random.Random(seed)
    with server(log, latency) as url:
        command = _run(url, users, more)
        for number in range(kills):
            goal = delivered(log) + max(1, int(calls / (kills + 2) * draw.uniform(0.5, 1.5)))
            started = Started(home, f"start-{number:04}", *command)
            while delivered(log) < goal and started.running:
                time.sleep(0.002)
            there = delivered(log)
            landed = "after its end" if not started.running else "between answers" if 0 < there < calls else "outside"
            outcome.kills.append(started.kill("run", there, landed))
        Started(home, "start-last", *command).end()
        for number in range(export_kills):
            outcome.kills.append(_kill_export(home, f"export-{number:04}", command, delivered(log)))
            outcome.export = outcome.export or _half_written(home)
        Started(home, "export-last", *command).end()
    outcome.digest, outcome.calls = digest(home), delivered(log)
    outcome.export = outcome.export or _other_rows(home, folder / "unbroken")
    _account(outcome, events(log))
    return outcome


def _kill_export(home: Path, key: str, command: Sequence[str], there: int) -> Kill:
    """Start the finished run again and kill it as soon as the file that it writes is begun."""
    for part in _exports(home, ".part"):
        part.unlink()  # of an earlier kill
    (run,) = (home / "runs").iterdir()
    begun = str(run / "results.parquet.part")
    started = Started(home, key, *command)
    while not os.path.exists(begun) and started.running:  # noqa: PTH110 (as fast as can be)
        pass
    kill = started.kill("export", there, "")
    landed = "writing the Parquet file" if os.path.exists(begun) else "beside the export"  # noqa: PTH110
    return Kill(**{**asdict(kill), "landed": landed})


def _exports(home: Path, ending: str = "") -> list[Path]:
    return list((home / "runs").glob(f"*/*.parquet{ending}"))


def _half_written(home: Path) -> str:
    """What is wrong with the file that a kill left under the export's name: it is whole, or not there."""
    import polars as pl

    for file in _exports(home):
        try:
            pl.read_parquet(file)
        except Exception as error:
            return f"a kill left {file.name} unreadable: {error}"
    return ""


def _other_rows(home: Path, other: Path) -> str:
    """How the file of the killed run differs from that of the unbroken one, "" where it does not."""
    import polars as pl

    found = [[pl.read_parquet(file).sort("key") for file in _exports(place)] for place in (home, other)]
    if [len(files) for files in found] != [1, 1]:
        return f"there are {[len(files) for files in found]} exports, where one of each was expected"
    left = _exports(home, ".part")
    if left:
        return f"{left[0].name} was left lying"
    same = found[0][0].drop("generation").equals(found[1][0].drop("generation"))
    return "" if same else "the killed run's export holds other rows"


def _account(outcome: Outcome, log: list[dict]) -> None:
    """For each kill: which answers given to the killed start were asked for again by a later one.

    What was delivered after the kill was given to nobody, whenever the server read the request. An answer asked for
    again by the same start, or after one that was not killed, counts as beyond any window.
    """
    number = {kill.start: k for k, kill in enumerate(outcome.kills)}
    given: dict[str, tuple[str, float]] = {}  # digest -> (the start that has its answer, when)
    again: list[list[float]] = [[] for _ in outcome.kills]
    outcome.twice, outcome.beyond = [0] * len(outcome.kills), [0] * len(outcome.kills)
    for event in log:
        start = event["by"]
        if event["event"] == "delivered":
            if start not in number or event["time"] < outcome.kills[number[start]].at:
                given[event["digest"]] = (start, event["time"])
            continue
        if event["digest"] not in given:
            continue
        first, when = given.pop(event["digest"])
        if first == start or first not in number:
            outcome.beyond[-1] += 1
        else:
            again[number[first]].append(when)
    for k, kill in enumerate(outcome.kills):
        outcome.twice[k] = len(again[k])
        if len(again[k]) > WINDOW_CALLS:
            outcome.beyond[k] += sum(kill.at - when > WINDOW_S for when in again[k])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--export-kills", type=int, default=5)
    parser.add_argument("--eval-kills", type=int, default=5)
    parser.add_argument("--eval-users", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "kill_nine", help="folder for the logs")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place, kept = Path(folder), []
        holds = True
        try:
            if given.kills or given.export_kills:
                outcome = check(
                    place,
                    users=given.users,
                    kills=given.kills,
                    latency=given.latency,
                    more=("--concurrency", str(given.concurrency)),
                    export_kills=given.export_kills,
                    seed=given.seed,
                )
                kept += outcome.kills
                holds = _tell(outcome, given.kills, given.export_kills)
            if given.eval_kills:
                table = check_eval(place, users=given.eval_users, kills=given.eval_kills, seed=given.seed)
                kept += table.kills
                holds = tell_eval(table) and holds
        finally:
            (given.out / "kills.jsonl").write_text("".join(json.dumps(asdict(kill)) + "\n" for kill in kept))
            for log in place.glob("*.log"):
                (given.out / log.name).write_bytes(log.read_bytes())
    print(f"{'holds' if holds else 'does NOT hold'}; where each kill landed: {given.out / 'kills.jsonl'}")
    return 0 if holds else 1


def _tell(outcome: Outcome, kills: int, export_kills: int) -> bool:
    print(
        f"run: {kills} kills, {outcome.midway} of them between the first and the last answer; "
        f"export: {export_kills} kills, {outcome.in_export} of them while the Parquet file was being written"
    )
    print(
        f"answers delivered: {outcome.calls}; asked twice per kill: {outcome.twice}; beyond a window: {outcome.beyond}"
    )
    print(f"digest {outcome.digest}, unbroken {outcome.unbroken}; {outcome.export or 'the exports hold the same rows'}")
    return outcome.holds and outcome.midway >= kills * 3 / 4 and outcome.in_export >= export_kills / 2


if __name__ == "__main__":
    raise SystemExit(main())
