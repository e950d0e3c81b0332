"""Kill a run with -9 again and again: nothing may be lost, doubled, or asked twice beyond a commit window (Show 5).

    python tests/checks/kill_nine.py                 # 2,000 users, 20 kills, 50 ms: some minutes
    python tests/checks/kill_nine.py --users 200 --kills 5

A loopback server in a process of its own logs every request when it arrives and when its answer is in the kernel's
hands. The run is killed when a drawn number of answers has been delivered, started again, killed again, and at last
left alone. Then: its sorted-result digest equals that of an unbroken run, and of the answers delivered before a kill,
those asked for again were delivered within 100 ms before it, or are at most 64.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WINDOW_CALLS, WINDOW_S = 64, 0.1
GRAPH = "cot_rec.preference"


@dataclass
class Outcome:
    """What the kills did. `twice` has, per kill, how many answers delivered before it were asked for again."""

    digest: str = ""
    unbroken: str = ""
    kills: list[float] = field(default_factory=list)
    midway: int = 0
    twice: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    calls: int = 0

    @property
    def holds(self) -> bool:
        return self.digest == self.unbroken != "" and not any(self.beyond)


@contextlib.contextmanager
def server(log: Path, latency: float) -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests/servers/openai_like.py"), "--latency", str(latency), "--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def start(home: Path, url: str, users: int, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "whyrec", "run", GRAPH, "--data", f"world:users={users}", "--llm",
               f"openai:tiny@{url}", "--yes", "--quiet", *more]  # fmt: skip
    environment = {**os.environ, "WHYREC_HOME": str(home)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def events(log: Path) -> list[dict]:
    """Whole lines of the server's log."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def delivered(log: Path) -> int:
    return log.read_bytes().count(b'"delivered"') if log.exists() else 0


def digest(home: Path) -> str:
    sys.path.insert(0, str(ROOT))
    from whyrec.runs import list_runs, open_run

    (info,) = list_runs(home)
    run = open_run(home, info.id)
    try:
        return run.digest()
    finally:
        run.close()


def unbroken(folder: Path, users: int, latency: float, more: tuple[str, ...]) -> tuple[str, int]:
    """Digest and number of calls of a run that nobody kills."""
    with server(folder / "unbroken.log", latency) as url:
        process = start(folder / "unbroken", url, users, *more)
        said, _ = process.communicate()
        assert process.returncode == 0, said
    return digest(folder / "unbroken"), delivered(folder / "unbroken.log")


def check(
    folder: Path, *, users: int, kills: int, latency: float, more: tuple[str, ...] = (), seed: int = 0
) -> Outcome:
    """Kill a run `kills` times and hold it to account."""
    outcome, log = Outcome(), folder / "killed.log"
    outcome.unbroken, calls = unbroken(folder, users, latency, more)
    draw = random.Random(seed)
    with server(log, latency) as url:
        for _ in range(kills):
            goal = delivered(log) + max(1, int(calls / (kills + 2) * draw.uniform(0.5, 1.5)))
            process = start(folder / "killed", url, users, *more)
            while delivered(log) < goal and process.poll() is None:
                time.sleep(0.002)
            outcome.midway += 0 < delivered(log) < calls and process.poll() is None
            process.send_signal(signal.SIGKILL)
            outcome.kills.append(time.time())
            process.communicate()
        process = start(folder / "killed", url, users, *more)
        said, _ = process.communicate()
        assert process.returncode == 0, said
    outcome.digest, outcome.calls = digest(folder / "killed"), delivered(log)
    _account(outcome, events(log))
    return outcome


def _account(outcome: Outcome, log: list[dict]) -> None:
    """For each kill: which answers delivered before it were asked for again after it.

    An answer whose client was killed while it was on its way was delivered to nobody. An answer asked for again
    without a kill in between counts as beyond any window.
    """
    asked: dict[int, float] = {}
    last: dict[str, float] = {}
    again: list[list[float]] = [[] for _ in outcome.kills]
    outcome.twice, outcome.beyond = [0] * len(outcome.kills), [0] * len(outcome.kills)
    for event in log:
        if event["event"] == "delivered":
            if not any(asked[event["number"]] <= kill <= event["time"] for kill in outcome.kills):
                last[event["digest"]] = event["time"]
            continue
        asked[event["number"]] = event["time"]
        if (when := last.pop(event["digest"], None)) is not None:
            kill = next((k for k, at in enumerate(outcome.kills) if when <= at <= event["time"]), None)
            if kill is None:
                outcome.beyond[-1] += 1
            else:
                again[kill].append(when)
    for k, kill_time in enumerate(outcome.kills):
        outcome.twice[k] = len(again[k])
        if len(again[k]) > WINDOW_CALLS:
            outcome.beyond[k] += sum(kill_time - when > WINDOW_S for when in again[k])


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a run with -9 and hold it to account (Show 5).")
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = check(
            Path(folder),
            users=given.users,
            kills=given.kills,
            latency=given.latency,
            more=("--concurrency", str(given.concurrency)),
        )
    print(f"kills: {len(outcome.kills)}, of which {outcome.midway} between the first and the last answer")
    print(
        f"answers delivered: {outcome.calls}; asked twice per kill: {outcome.twice}; beyond a window: {outcome.beyond}"
    )
    print(f"digest {outcome.digest}, unbroken {outcome.unbroken}")
    holds = outcome.holds and outcome.midway >= given.kills * 3 / 4
    print("holds" if holds else "does NOT hold")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
