"""A process that takes jobs from its standard input and tells figures on its standard output, one JSON line each.

What it is about to run stands in a shared file, so that whoever has to end it knows what it was (`pool`). It may
connect to 127.0.0.1 only, has no key in its environment, and a home and a working folder of its own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import mmap
import os
import pickle
import resource
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

from fuzzing.explore import Outcome, explore
from fuzzing.meter import BYTES, judge
from fuzzing.target import Target, ours, target

SHARED_BYTES = 8 << 20
HEAD = struct.Struct("<QQ")  # inputs begun, length of the one at work
_ABOVE = 3 * BYTES  # address space beyond what is mapped: a last wall before the machine's


def main(shared_file: str) -> None:
    # what targets print must not get between our lines
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    socket.socket.connect = _loopback_only  # type: ignore[method-assign]
    board = _Board(shared_file)
    prepared: set[str] = set()
    for line in sys.stdin:
        job = json.loads(line)
        wanted = target(job["target"])
        if wanted.name not in prepared:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            with contextlib.suppress(*ours(), *wanted.ours):
                wanted.prepare()
            prepared.add(wanted.name)
        _wall()
        board.quiet()
        try:
            answer = _answer(wanted, job, board)
        except Exception:  # in drawing, not in what is fuzzed
            answer = {"broken": traceback.format_exc()[-3000:]}
        board.quiet()
        out.write(json.dumps(answer) + "\n")
        out.flush()


def _answer(wanted: Target, job: dict[str, Any], board: _Board) -> dict[str, Any]:
    """One input judged, or many explored."""
    if "value" in job:
        return {"verdict": judge(wanted, pickle.loads(base64.b64decode(job["value"]))).__dict__}
    found = explore(
        wanted,
        seed=job["seed"],
        count=job["count"],
        known=job["known"],
        skip={base64.b64decode(value) for value in job["skip"]},
        before=board.write,
    )
    return {"outcome": packed(found)}


def packed(outcome: Outcome) -> str:
    return base64.b64encode(pickle.dumps(outcome)).decode()


class _Board:
    """The shared file: how many inputs were begun, and the one at work."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SHARED_BYTES)
        self._begun = 0

    def write(self, value: bytes) -> None:
        self._begun += 1
        kept = value[: SHARED_BYTES - HEAD.size]
        self._map[HEAD.size : HEAD.size + len(kept)] = kept
        self._map[: HEAD.size] = HEAD.pack(self._begun, len(kept))

    def quiet(self) -> None:
        self._begun += 1
        self._map[: HEAD.size] = HEAD.pack(self._begun, 0)


def _wall() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + _ABOVE, resource.RLIM_INFINITY))


def _loopback_only(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise ConnectionRefusedError(f"{address[0]} is not this machine")
    _CONNECT(self, address)


_CONNECT = socket.socket.connect

if __name__ == "__main__":
    main(sys.argv[1])
