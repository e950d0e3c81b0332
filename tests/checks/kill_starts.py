"""Starts of whyrec that can be told apart and killed, and the server that logs what each asked and was given."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEY = "KILL_NINE_START"  # the variable that holds a start's key


@dataclass(frozen=True)
class Kill:
    """Where a kill landed.

    Attributes:
        part: "run", "export" or "eval".
        start: the start's key, as the server's log has it.
        at: unix time.
        after: seconds since that start began.
        delivered: answers delivered by all starts so far.
        landed: in words: what the process was doing.
    """

    part: str
    start: str
    at: float
    after: float
    delivered: int
    landed: str


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


class Started:
    """One start of whyrec, with a key that no other start shows."""

    def __init__(self, home: Path, key: str, *arguments: str) -> None:
        self.key, self.began = key, time.time()
        environment = {**os.environ, "WHYREC_HOME": str(home), "PYTHONPATH": str(ROOT), KEY: key}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "whyrec", *arguments],
            cwd=home.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self, part: str, delivered: int, landed: str) -> Kill:
        """Its time is taken before the signal: what the server delivers after it, nobody is sure to have read."""
        at = time.time()
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        return Kill(part, self.key, at, at - self.began, delivered, landed)

    def end(self) -> str:
        said, _ = self._process.communicate()
        assert self._process.returncode == 0, said
        return said


def events(log: Path) -> list[dict]:
    """Whole lines of the server's log."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def delivered(log: Path) -> int:
    return log.read_bytes().count(b'"delivered"') if log.exists() else 0
