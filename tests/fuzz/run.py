"""`make fuzz`: many inputs over all targets, in parallel; figures per target as a table and under build/.

    python tests/fuzz/run.py                          # 100,000 inputs, at most an hour
    python tests/fuzz/run.py --inputs 2000 --rooms data parquet
    python tests/fuzz/run.py --again build/fuzz/data.csv-1.pickle

Exit 1 where anything failed. Every fault is told once, with the smallest input that shows it, and that input is kept
beside the figures, so that `--again` runs it alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from fuzzing.explore import Outcome  # noqa: E402
from fuzzing.pool import Campaign, Worker, shares  # noqa: E402
from fuzzing.target import ROOMS, Target, targets  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="over all targets")
    parser.add_argument("--minutes", type=float, default=60.0, help="at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="other inputs than those of seed 0")
    parser.add_argument("--rooms", nargs="*", default=list(ROOMS), help=f"of {', '.join(ROOMS)}; or single targets")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz", help="folder for figures and inputs")
    parser.add_argument("--again", type=Path, help="run this kept input alone and say how it ended")
    given = parser.parse_args()
    if given.again:
        return _again(given.again)
    wanted = {
        name: t
        for room in given.rooms
        for name, t in targets(room.partition(".")[0]).items()
        if "." not in room or name == room
    }
    return _campaign(wanted, given)


def _campaign(wanted: Mapping[str, Target], given: argparse.Namespace) -> int:
    counts, start = shares(wanted, given.inputs), time.monotonic()
    told: set[str] = set()

    def tell(name: str, outcome: Outcome) -> None:
        for signature, fault in outcome.faults.items():
            if signature not in told:
                told.add(signature)
                print(
                    f"[{time.monotonic() - start:.0f} s] {name}: {fault.how}: {signature}: {fault.said[:160]}",
                    flush=True,
                )
        _write(given, outcomes=campaign.outcomes, seconds=time.monotonic() - start)

    campaign = Campaign(counts, jobs=given.jobs, seed=given.seed, until=start + 60 * given.minutes, tell=tell)
    outcomes = campaign.run()
    _write(given, outcomes=outcomes, seconds=time.monotonic() - start)
    print(_table(outcomes, counts))
    faults = sum(len(outcome.faults) for outcome in outcomes.values())
    done = sum(outcome.inputs for outcome in outcomes.values())
    print(
        f"\n{done:,} inputs in {time.monotonic() - start:.0f} s on {given.jobs} processes, seed {given.seed}: "
        f"{faults} faults{f' (see {given.out})' if faults else ''}."
    )
    return 1 if faults or not done else 0


def _table(outcomes: Mapping[str, Outcome], counts: Mapping[str, int]) -> str:
    """One row per target, ready for a page."""
    head = [
        "target",
        "inputs",
        "accepted",
        "refused",
        "foreign",
        "slow or hung",
        "memory",
        "slowest, CPU s",
        "most memory, MiB",
    ]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, one in [*outcomes.items(), ("all", _all(outcomes))]:
        rows.append(
            [
                name,
                f"{one.inputs:,}",
                f"{one.accepted:,}",
                f"{one.refused:,}",
                str(one.counted("foreign", "no sentence", "died")),
                str(one.counted("slow", "hang")),
                str(one.counted("memory")),
                f"{one.slowest:.2f}",
                f"{one.growth >> 20:,}",
            ]
        )
    missing = [name for name in counts if name not in outcomes]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, *([f"Not reached in the time: {', '.join(missing)}."] if missing else [])])


def _all(outcomes: Mapping[str, Outcome]) -> Outcome:
    whole = Outcome()
    for one in outcomes.values():
        whole.merge(one)
    whole.faults = {}
    for name, one in outcomes.items():
        whole.faults |= {f"{name} {signature}": fault for signature, fault in one.faults.items()}
    return whole


def _write(given: argparse.Namespace, *, outcomes: Mapping[str, Outcome], seconds: float) -> None:
    """figures.json, faults.md, and one pickle per fault."""
    given.out.mkdir(parents=True, exist_ok=True)
    figures = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "seed": given.seed,
        "jobs": given.jobs,
        "seconds": round(seconds, 1),
        "targets": {n: o.numbers() for n, o in outcomes.items()},
    }
    (given.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    page = ["# Faults that fuzzing found", ""]
    for name, one in outcomes.items():
        for number, fault in enumerate(one.faults.values(), 1):
            kept = given.out / f"{name}-{number}.pickle"
            kept.write_bytes(fault.value)
            page += [
                f"## {name}: {fault.how}, {fault.signature} ({fault.times} of {one.inputs:,})",
                "",
                fault.said,
                "",
                f"Input: `{fault.shown}`",
                "",
                f"Again: `python tests/fuzz/run.py --again {kept}`",
                "",
                *(["```", fault.trace.rstrip(), "```", ""] if fault.trace else []),
            ]
    (given.out / "faults.md").write_text("\n".join(page), encoding="utf-8")


def _again(kept: Path) -> int:
    with tempfile.TemporaryDirectory() as folder, Worker(Path(folder)) as worker:
        verdict = worker.judge(kept.stem.rpartition("-")[0], kept.read_bytes())
    print(f"{verdict.how}: {verdict.seconds:.2f} CPU s, {verdict.growth >> 20:,} MiB. {verdict.said}\n{verdict.trace}")
    return 1 if verdict.fault else 0


if __name__ == "__main__":
    raise SystemExit(main())
