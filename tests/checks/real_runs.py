"""Every workflow on real data, killed with -9 and resumed, against its estimate (issue 3, Shows 1 and 7).

    python tests/checks/real_runs.py                          # all twelve: 500 examples each, scoter 5,000 users
    python tests/checks/real_runs.py --only hotpotqa.react rallrec.predict --home /tmp/homes
    python tests/checks/real_runs.py --users 20               # a quick look

Each workflow gets an empty WHYREC_HOME, so that nothing is served from earlier work. First `whyrec estimate --json`
says what the run will take. Then `whyrec run` is started, killed between its first and its last recorded result
(scoter.mine has one result, so: between its first and its last call), and started again to the end. It holds when

- the second start exits with 0 and every example has exactly one result,
- the sorted-result digest is that of an unbroken run in a second empty home, for at least one workflow per paper
  (`--twice all` for every one, which doubles the cost; scoter.distil: and so are its steps),
- calls and tokens really made, by both starts together, are within 10 % of the estimate. Answers from the cache are not
  counted: what the killed start paid for is counted once, where it paid.

What a workflow needs beforehand (pulse.refine and pulse.choose learn a thought space from a pulse.rationale run) is run
first and copied into both homes without the call cache. A table is printed; build/real_runs.json keeps the latest
outcome of every workflow, so the check can be done in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 0.10
POLL_S = 0.1
TWICE = ("cot_rec.recommend", "pulse.rationale", "scoter.generate", "rallrec.predict", "hotpotqa.react")
KILL_AT = 0.4  # of the examples (scoter.mine: of the estimated calls)
USERS, SCOTER_USERS = 500, 5_000
KEPT = ("calls", "tokens_in", "tokens_out")


@dataclass(frozen=True)
class Spec:
    """A workflow and what it runs on; `given` is the workflow that has to be run before it."""

    name: str
    data: str
    users: int = USERS
    given: str = ""

    def arguments(self, users: int | None) -> list[str]:
        """Of whyrec run and whyrec estimate."""
        limit = self.users if users is None else min(users, self.users)
        return [self.name, "--data", self.data, "--llm", "extractive", "--users", str(limit)]


BEAUTY = "amazon14_beauty"
SPECS = (
    Spec("cot_rec.recommend", BEAUTY),
    Spec("pulse.rationale", BEAUTY),
    Spec("pulse.refine", BEAUTY, given="pulse.rationale"),
    Spec("pulse.choose", BEAUTY, given="pulse.rationale"),
    Spec("scoter.generate", BEAUTY, SCOTER_USERS),
    Spec("scoter.validate", BEAUTY, SCOTER_USERS),
    Spec("scoter.mine", BEAUTY, SCOTER_USERS),
    Spec("scoter.distil", BEAUTY, SCOTER_USERS),
    Spec("rallrec.describe", "ml-1m"),
    Spec("rallrec.retrieve", "ml-1m"),
    Spec("rallrec.predict", "ml-1m"),
    Spec("hotpotqa.react", "hotpotqa", 395),
)
BY_NAME = {spec.name: spec for spec in SPECS}


@dataclass
class Outcome:
    """What came of one workflow."""

    name: str
    command: str
    examples: int = 0
    estimate: dict[str, Any] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    killed_at: str = ""
    midway: bool = False
    digests: tuple[str, str] = ("", "")
    revision: str = ""
    estimated_by: str = ""
    results: int = 0
    failed: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def off(self, what: str) -> float:
        """How far the estimate is from what was made, as a share of what was made."""
        made = self.made.get(what, 0)
        said = int(self.estimate.get(what, 0))
        return (said - made) / made if made else float(said != 0)


class Home:
    """An empty WHYREC_HOME, and what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.cpu_seconds = 0.0

    def whyrec(self, *arguments: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start the program."""
        environment = {**os.environ, "WHYREC_HOME": str(self.folder)}
        command = [sys.executable, "-m", "whyrec", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout, stderr=subprocess.STDOUT, text=True)

    def waited(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """(exit code, what it said)."""
        before = os.times()
        said, _ = process.communicate()
        after = os.times()
        self.cpu_seconds += after.children_user + after.children_system - before.children_user - before.children_system
        return process.returncode, said or ""

    def run(self, arguments: list[str]) -> None:
        """Run to the end."""
        code, said = self.waited(self.whyrec("run", *arguments, "--yes", "--quiet"))
        assert code == 0, f"whyrec run {' '.join(arguments)} ended with {code}:\n{said[-2000:]}"

    def estimate(self, arguments: list[str]) -> dict[str, Any]:
        """What `whyrec estimate` expects."""
        code, said = self.waited(self.whyrec("estimate", *arguments, "--json"))
        assert code == 0, said
        return json.loads(said)

    def count(self, name: str, table: str) -> int:
        """Rows of a table of the workflow's run, 0 before there is one."""
        files = list((self.folder / "runs").glob(f"{name}-*/run.sqlite"))
        if not files:
            return 0
        connection = sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True, timeout=5)
        try:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0
        finally:
            connection.close()


def check(spec: Spec, folder: Path, users: int | None, *, twice: bool) -> Outcome:
    """Kill one workflow, resume it, and hold it to account; with `twice` beside an unbroken run."""
    began, arguments = time.time(), spec.arguments(users)
    outcome = Outcome(spec.name, f"whyrec run {' '.join(arguments)}", revision=revision())
    broken = Home(folder / spec.name / "killed")
    if spec.given:
        given(folder, spec.given, users, broken)
    outcome.estimate = broken.estimate(arguments)
    outcome.estimated_by = outcome.revision
    kill(spec, broken, arguments, outcome)
    broken.run(arguments)
    outcome.cpu_seconds = broken.cpu_seconds
    account(spec, broken, outcome)
    if twice:
        whole = Home(folder / spec.name / "unbroken")
        if spec.given:
            given(folder, spec.given, users, whole)
        whole.run(arguments)
        compare(spec, broken, whole, outcome)
    outcome.seconds = time.time() - began
    return outcome


def estimate_again(spec: Spec, folder: Path, users: int | None, out: Path) -> Outcome:
    """Hold a changed estimate against the run that was made before, without running it again."""
    (kept,) = [Outcome(**one) for one in json.loads(out.read_text()) if one["name"] == spec.name]
    shutil.rmtree(folder / spec.name / "estimated", ignore_errors=True)
    home = Home(folder / spec.name / "estimated")
    if spec.given:
        given(folder, spec.given, users, home)
    kept.estimate, kept.estimated_by = home.estimate(spec.arguments(users)), revision()
    kept.wrong = [line for line in kept.wrong if " estimated " not in line] + misjudged(kept)
    return kept


def misjudged(outcome: Outcome) -> list[str]:
    """What the estimate was wrong about."""
    far = [what for what in KEPT if abs(outcome.off(what)) > WITHIN]
    return [f"{what} were estimated {outcome.off(what):+.0%}" for what in far]


def given(folder: Path, name: str, users: int | None, home: Home) -> None:
    """Put a run that a workflow needs into its home, made once."""
    made = folder / name / "killed"
    if not made.exists():
        Home(made).run(BY_NAME[name].arguments(users))
    shutil.copytree(made / "runs", home.folder / "runs")


def revision() -> str:
    """Of the code that runs."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=7"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def kill(spec: Spec, home: Home, arguments: list[str], outcome: Outcome) -> None:
    """Start the run and kill it on its way."""
    table = "call" if spec.name == "scoter.mine" else "example"
    total = int(outcome.estimate["calls" if table == "call" else "examples"])
    process = home.whyrec("run", *arguments, "--yes", "--quiet", stdout=subprocess.DEVNULL)
    while (seen := home.count(spec.name, table)) < KILL_AT * total and process.poll() is None:
        time.sleep(POLL_S)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    home.waited(process)
    seen = home.count(spec.name, table)
    outcome.killed_at = f"{seen:,} of {total:,} {'calls' if table == 'call' else 'results'}"
    outcome.midway = alive and 0 < seen < total


def run_of(spec: Spec, home: Home) -> Any:
    """The workflow's run, open for reading."""
    from whyrec.runs import list_runs, open_run

    (info,) = [info for info in list_runs(home.folder) if info.graph == spec.name]
    return open_run(home.folder, info.id)


def account(spec: Spec, broken: Home, outcome: Outcome) -> None:
    """Hold what was made against what was expected."""
    run = run_of(spec, broken)
    counts, outcome.digests = run.counts(), (run.digest(), "")
    run.close()
    outcome.examples = int(outcome.estimate["examples"])
    outcome.results, outcome.failed = counts.done + counts.failed, counts.failed
    outcome.made = {"calls": counts.asked, "tokens_in": counts.tokens_in, "tokens_out": counts.tokens_out}
    if not outcome.midway:
        outcome.wrong.append("it was not killed between its first and its last result")
    if outcome.results != outcome.examples or outcome.failed:
        outcome.wrong.append(f"{outcome.results} results, {outcome.failed} of them failed")
    outcome.wrong += misjudged(outcome)


def compare(spec: Spec, broken: Home, whole: Home, outcome: Outcome) -> None:
    """Hold the run that was killed against the unbroken one."""
    one, two = run_of(spec, broken), run_of(spec, whole)
    outcome.digests = (one.digest(), two.digest())
    if outcome.digests[0] != outcome.digests[1]:
        outcome.wrong.append("its results are not those of an unbroken run")
    if spec.name == "scoter.distil" and not same_steps(one, two):
        outcome.wrong.append("its steps are not those of an unbroken run")
    one.close()
    two.close()


def same_steps(one: Any, two: Any) -> bool:
    """Whether two runs of scoter.distil stored the same vectors for every prefix."""
    import numpy as np

    from graphs.scoter.step_store import StepStore

    stores = [StepStore.open(run.folder / "steps") for run in (one, two)]
    keys = [(result.key, result.payload["prefix"]) for result in one.results("done")]
    pairs = [[store.of(*key) for store in stores] for key in keys]
    return len(stores[0]) == len(stores[1]) and all(
        a is not None and b is not None and np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in pairs
    )


def table(outcomes: list[Outcome]) -> str:
    """What was seen, one line per workflow."""
    lines = [
        "| workflow | examples | killed at | digest | calls: estimated, made | tokens in | tokens out | CPU s |",
        "|---|---:|---|---|---:|---:|---:|---:|",
    ]
    for o in outcomes:
        said = [f"{int(o.estimate[what]):,} / {o.made[what]:,} ({o.off(what):+.1%})" for what in KEPT]
        same = o.digests[0] + {"": "", o.digests[0]: ", as unbroken"}.get(o.digests[1], f", unbroken {o.digests[1]}")
        cells = (o.name, f"{o.examples:,}", o.killed_at, same, *said, f"{o.cpu_seconds:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def keep(out: Path, outcome: Outcome) -> list[Outcome]:
    """Write an outcome beside those of other workflows; all of them, in the order of `SPECS`."""
    there = json.loads(out.read_text()) if out.exists() else []
    kept = {one["name"]: one for one in there} | {outcome.name: asdict(outcome)}
    ordered = [kept[name] for name in BY_NAME if name in kept]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(ordered, indent=1) + "\n")
    return [Outcome(**one) for one in ordered]


def main() -> int:
    parser = argparse.ArgumentParser(description="Every workflow on real data: killed, resumed, against its estimate.")
    parser.add_argument("--only", nargs="+", choices=list(BY_NAME), default=list(BY_NAME))
    parser.add_argument("--twice", nargs="+", choices=[*BY_NAME, "all"], default=list(TWICE))
    parser.add_argument("--estimates", action="store_true", help="only estimate again, against the runs in --out")
    parser.add_argument("--users", type=int, help="fewer examples than 500 (scoter 5,000, hotpotqa 395)")
    parser.add_argument("--home", type=Path, help="a folder for the homes, which stay there; default: a temporary one")
    parser.add_argument("--out", type=Path, default=ROOT / "build/real_runs.json")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    folder = chosen.home or Path(tempfile.mkdtemp(prefix="real-runs-"))
    outcomes: list[Outcome] = []
    try:
        for name in chosen.only:
            if chosen.estimates:
                outcome = estimate_again(BY_NAME[name], folder, chosen.users, chosen.out)
            else:
                twice = bool({name, "all"} & set(chosen.twice))
                shutil.rmtree(folder / name, ignore_errors=True)
                outcome = check(BY_NAME[name], folder, chosen.users, twice=twice)
            outcomes = keep(chosen.out, outcome)
            print(f"{name}: {'; '.join(outcome.wrong) or 'holds'} ({outcome.seconds:.0f} s)", flush=True)
    finally:
        if chosen.home is None:
            shutil.rmtree(folder)
    print(table(outcomes))
    holds = not any(outcome.wrong for outcome in outcomes)
    print("holds" if holds else "does NOT hold")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
