"""Processes that fuzz: started, watched, ended where they hang, and what they found added up."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fuzzing.explore import Outcome
from fuzzing.meter import ROOT, Verdict
from fuzzing.target import Target
from fuzzing.worker import HEAD, SHARED_BYTES

CHUNK = 250  # inputs per job: small enough that a slow target does not hold up the end
_HANG_CPU, _HANG_WALL = 12.0, 180.0
_STARTING = 300.0  # seconds that preparing a target may take
_ENDED = 10  # processes that one piece of work may end


class EndedError(Exception):
    """The process died, or was ended because it hung, on an input."""

    def __init__(self, how: str, said: str, value: bytes) -> None:
        super().__init__(said)
        self.how, self.said, self.value = how, said, value


class Worker:
    """One process. A context manager; a new process takes the place of one that ended."""

    def __init__(self, folder: Path, *, hang_cpu: float = _HANG_CPU) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._shared, self._hang_cpu = folder, folder / "board", hang_cpu
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def explore(self, target: str, *, seed: int, count: int, known: Sequence[str] = ()) -> Outcome:
        """`explore` in the process. An input that ends it is a fault, and the others are drawn again without it."""
        whole, skip = Outcome(), []
        for _ in range(_ENDED):
            skipped = [base64.b64encode(value).decode() for value in skip]
            job = {"target": target, "seed": seed, "count": count, "known": list(known), "skip": skipped}
            try:
                whole.merge(pickle.loads(base64.b64decode(self._ask(job)["outcome"])))
                break
            except EndedError as ended:
                skip.append(ended.value)
                whole.inputs += 1
                whole.fault(ended.how, f"{target}: {ended.how}", ended.said, "", ended.value)
        return whole

    def judge(self, target: str, value: bytes) -> Verdict:
        """One input."""
        found = self._ask({"target": target, "value": base64.b64encode(value).decode()})
        return Verdict(**found["verdict"])

    def _ask(self, job: Mapping[str, object]) -> dict[str, str]:
        process = self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        watch = _Watch(process.pid, self._shared, self._hang_cpu)
        while not select.select([process.stdout], [], [], 0.25)[0]:
            if complaint := watch.complaint():
                value = watch.value
                self._end()
                raise EndedError("hang", complaint, value)
        line = process.stdout.readline()
        if line.endswith(b"\n"):
            found: dict[str, str] = json.loads(line)
            if "broken" in found:
                raise RuntimeError(f"the strategy of {job['target']} is broken:\n{found['broken']}")
            return found
        watch.look()
        code = process.wait()
        self._end()
        if not watch.value:
            said = (self._folder / "stderr").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"a fuzzing process ended ({code}) while no input was at work: {said}")
        said = (self._folder / "stderr").read_text(errors="replace")[-600:]
        raise EndedError("died", f"the process ended with {code}: {said}", watch.value)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        work = self._folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        self._shared.write_bytes(b"\0" * SHARED_BYTES)
        with (self._folder / "stderr").open("ab") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fuzzing.worker", str(self._shared.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                cwd=work,
                env=_environment(work),
            )
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process = None


def _environment(work: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WHYREC_", "LANG")) and not k.endswith("_API_KEY")}
    paths = [str(ROOT), str(Path(__file__).resolve().parents[1])]
    return kept | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "WHYREC_HOME": str(work / "home"),
        "HF_HUB_OFFLINE": "1",
        "ANONYMIZED_TELEMETRY": "False",
        "POLARS_MAX_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "RUST_BACKTRACE": "0",
    }


class _Watch:
    """Whether a process is still on the same input, and for how long."""

    def __init__(self, pid: int, shared: Path, hang_cpu: float) -> None:
        self._process, self._shared, self._hang_cpu = psutil.Process(pid), shared, hang_cpu
        self.begun, self.value = -1, b""
        self._since = (0.0, 0.0)

    def look(self) -> bool:
        """Read the board; whether another input is at work than before."""
        with self._shared.open("rb") as board:
            begun, length = HEAD.unpack(board.read(HEAD.size))
            if begun == self.begun:
                return False
            self.begun, self.value = begun, board.read(length)
        return True

    def complaint(self) -> str:
        """ "" while all is well."""
        try:
            times = self._process.cpu_times()
        except psutil.Error:
            return ""
        cpu, wall = times.user + times.system, time.monotonic()
        if self.look():
            self._since = (cpu, wall)
            return ""
        spent, waited = cpu - self._since[0], wall - self._since[1]
        if not self.value:
            return "" if waited < _STARTING else f"nothing was begun within {waited:.0f} s"
        if spent > self._hang_cpu:
            return f"still at work after {spent:.0f} CPU seconds"
        return f"waiting for {waited:.0f} seconds" if waited > _HANG_WALL else ""


@dataclass
class Campaign:
    """Many inputs over many targets, in parallel.

    Attributes:
        counts: inputs per target.
        jobs: processes.
        seed: of all draws.
        until: monotonic time after which nothing new is begun.
        tell: told each target's name and figures whenever they change.
    """

    counts: Mapping[str, int]
    jobs: int = 2
    seed: int = 0
    until: float = float("inf")
    tell: Callable[[str, Outcome], None] = lambda _name, _outcome: None
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def run(self) -> dict[str, Outcome]:
        """Everything, or what the time allows."""
        pieces, lock = self._pieces(), threading.Lock()
        trouble: list[BaseException] = []

        def work(number: int, folder: Path) -> None:
            try:
                with Worker(folder / str(number)) as worker:
                    while time.monotonic() < self.until and not trouble:
                        with lock:
                            name, seed, count = next(pieces, ("", 0, 0))
                            known = list(self.outcomes.get(name, Outcome()).faults)
                        if not name:
                            return
                        found = worker.explore(name, seed=seed, count=count, known=known)
                        with lock:
                            whole = self.outcomes.setdefault(name, Outcome())
                            whole.merge(found)
                            self.tell(name, whole)
            except BaseException as error:
                trouble.append(error)

        with tempfile.TemporaryDirectory(prefix="whyrec-fuzz-", dir=_fast_folder()) as folder:
            threads = [threading.Thread(target=work, args=(n, Path(folder))) for n in range(self.jobs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if trouble:
            raise trouble[0]
        return {name: self.outcomes[name] for name in self.counts if name in self.outcomes}

    def _pieces(self) -> Iterator[tuple[str, int, int]]:
        """(target, seed, inputs): a first piece of each target, then a second, so that little time shows all."""
        number = 0
        while any(count > number * CHUNK for count in self.counts.values()):
            for name, count in self.counts.items():
                if (left := count - number * CHUNK) > 0:
                    yield name, self.seed + number, min(CHUNK, left)
            number += 1


def shares(found: Mapping[str, Target], inputs: int) -> dict[str, int]:
    """How many inputs each target gets of so many."""
    whole = sum(target.share for target in found.values())
    return {name: max(1, round(inputs * target.share / whole)) for name, target in found.items()}


def _fast_folder() -> str | None:
    """Memory instead of a disk, where there is such a folder."""
    fast = Path("/dev/shm")
    return str(fast) if os.access(fast, os.W_OK) else None
