"""A log of a million calls answers at once (issue 4, Show 2). Making it takes about an hour, measuring it five minutes.

    python tests/checks/million_calls.py --home FOLDER                     # FOLDER keeps the log; again measures only
    python tests/checks/million_calls.py --home FOLDER --users 7000        # a hundredth of it

Times are the wall clock's, the median of five with the files in the page cache; a list is the whole command with the
start of Python. The full text's index is built anew each time, and how far it is gets counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MILLION = 715_000  # users of `world`, who ask 1.4 times each
_GB = 1e9


def whyrec(home: Path, *words: str) -> None:
    """Run a command of the command line."""
    environment = {**os.environ, "WHYREC_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "whyrec", *words], env=environment, check=False, stdout=subprocess.DEVNULL
    )
    if done.returncode:
        raise SystemExit(f"whyrec {' '.join(words)} ended with {done.returncode}")


def median_s(action: Callable[[], object]) -> float:
    """Wall seconds, the median of five."""

    def once() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return statistics.median(once() for _ in range(5))


def lists(home: Path, run: str) -> dict[str, tuple[float, float]]:
    """`trace ls` by user, by node and by words: seconds in the process and of the whole command."""
    from whyrec.trace import Calls, Wanted
    from whyrec.trace.address import find_run

    ways = {
        "by user": (Wanted(user="u17"), ["--user", "u17"]),
        "by node": (Wanted(node="merge"), ["--node", "merge"]),
        "by words": (Wanted(text="jamming acoustic"), ["jamming acoustic"]),
        "by a phrase": (Wanted(text='"cares for music and"'), ['"cares for music and"']),
    }
    found = {}
    for name, (wanted, words) in ways.items():

        def ask(wanted: Wanted = wanted) -> None:
            with Calls(find_run(home, run)) as calls:
                assert calls.find(wanted, limit=20)
                calls.count(wanted)

        def command(words: list[str] = words) -> None:
            whyrec(home, "trace", "ls", run, *words, "--limit", "20")

        found[name] = (median_s(ask), median_s(command))
    return found


def index(home: Path, run: str) -> tuple[float, int, Path]:
    """Build the full-text index: seconds, how many times its progress was told, its file."""
    from whyrec.trace.address import find_run
    from whyrec.trace.search import FILE_NAME, TextIndex

    reader = find_run(home, run)
    path = reader.folder / FILE_NAME
    path.unlink(missing_ok=True)
    told: list[int] = []
    began = time.perf_counter()
    built = TextIndex(reader)
    built.update(lambda done, _total: told.append(done))
    built.close()
    return time.perf_counter() - began, len(told), path


def pages(home: Path, run: str) -> dict[str, float]:
    """Server seconds of the page of traces."""
    from starlette.testclient import TestClient

    from whyrec.settings import Settings
    from whyrec.ui.app import build

    addresses = {
        "the run": f"/runs/{run}",
        "its calls": f"/runs/{run}/calls",
        "its calls of a user": f"/runs/{run}/calls?user=u17",
        "its calls of a node": f"/runs/{run}/calls?node=merge",
        "its calls with words": f"/runs/{run}/calls?text=jamming+acoustic",
    }
    with TestClient(build(Settings(home=home)), base_url="http://127.0.0.1:8700") as client:

        def get(address: str) -> None:
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.status_code)

        return {name: median_s(lambda address=address: get(address)) for name, address in addresses.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="A log of a million calls: times of lists and pages, sizes of files.")
    parser.add_argument("--home", type=Path, required=True, help="holds the log; made where it is not there")
    parser.add_argument("--users", type=int, default=MILLION)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    data = f"world:users={given.users}"
    whyrec(given.home, "run", "cot_rec.preference", "--data", data, "--llm", "simulated:0.8", "--yes")
    from whyrec.trace.address import find_run

    reader = find_run(given.home, f"cot_rec.preference-world_users_{given.users}-")
    run, log = reader.folder.name, reader.folder / "run.sqlite"
    seconds, told, path = index(given.home, run)
    good: list[bool] = []

    def line(what: str, value: float, unit: str, bound: float | None = None) -> None:
        good.append(bound is None or value <= bound)
        mark = "" if bound is None else f"  (bound {bound:g}: {'holds' if good[-1] else 'does NOT hold'})"
        print(f"{what:<44} {value:10.3f} {unit}{mark}")

    print(f"{run}: {reader.counts().calls:,} calls")
    line("log", log.stat().st_size / _GB, "GB", 2.0)
    line("index of its words", path.stat().st_size / _GB, "GB", 1.0)
    line(f"building it ({told:,} steps told)", seconds, "s")
    for name, (inside, whole) in lists(given.home, run).items():
        line(f"trace ls {name}", whole, "s", 0.2 if name in ("by user", "by node") else 1.0)
        line("  of which the search", inside, "s")
    for name, value in pages(given.home, run).items():
        line(f"page: {name}", value, "s", 0.5)
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
