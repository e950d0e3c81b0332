"""Memory does not grow with the number of users (Show 6): 200,000 against 20,000 users of `world`, some 20 minutes.

    python tests/checks/memory.py                       # bound: <= 1.3x
    python tests/checks/memory.py --small 2000 --big 20000

Each size runs in a process of its own, with everything on and the echo model. Measured is the peak memory above what
the process had right before its first example, data loaded and run opened. Memory is what is resident without pages
that were freed and that the kernel has not taken back yet (`LazyFree`), and it is read three seconds after the data was
loaded: polars frees that way, and a second or two late, so that loading 20,000 users would leave 16 MiB in the count at
the start, and loading 200,000, which takes longer, 3.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1.3
_SETTLED_S = 3.0


def in_use() -> int:
    """Bytes resident and not freed (see the module). Linux only."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE))
    return 1024 * (int(sizes["Rss"]) - int(sizes["LazyFree"]))


def growth(users: int, home: Path) -> float:
    """Peak above start in MiB of one run in this process."""
    from graphs import run as runner
    from graphs.engine.job import How
    from graphs.engine.start import Start
    from whyrec.data import load
    from whyrec.settings import Settings

    corpus = load(f"world:users={users},items=800")
    start = peak = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, in_use())

    watcher = threading.Thread(target=watch, daemon=True)

    class Watched(Start):
        async def go(self):
            try:
                return await super().go()
            finally:
                over.set()

        async def _work(self, feed):
            nonlocal start, peak
            if not start:  # the first worker is about to ask for the first example
                time.sleep(_SETTLED_S)  # noqa: ASYNC251  nobody else is to start meanwhile
                start = peak = in_use()
                watcher.start()
            await super()._work(feed)

    runner.Start = Watched
    report = asyncio.run(
        runner.run("cot_rec.preference", corpus=corpus, model="echo", how=How(settings=Settings(home=home)))
    )
    assert report.exit_code == 0 and report.done > users / 2
    return (peak - start) / 2**20


def in_process(users: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--one", str(users), "--home", home]
        said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(said)


def main() -> int:
    parser = argparse.ArgumentParser(description="Peak memory of a run, above that before its first example.")
    parser.add_argument("--small", type=int, default=20_000)
    parser.add_argument("--big", type=int, default=200_000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        sys.path.insert(0, str(ROOT))
        print(growth(given.one, given.home))
        return 0
    small, big = in_process(given.small), in_process(given.big)
    print(f"{given.small} users: {small:.1f} MiB; {given.big} users: {big:.1f} MiB; ratio {big / small:.2f}")
    print("holds" if big <= BOUND * small else f"does NOT hold: the bound is {BOUND}")
    return 0 if big <= BOUND * small else 1


if __name__ == "__main__":
    raise SystemExit(main())
