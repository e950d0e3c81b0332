"""Faults that people met, each pinned once, through the command line or names that do not move.

What stands here failed before it was mended, by its own assertion: `python tests/checks/fails_before.py REVISION` runs
this folder against an older revision and says which tests did not. So nothing here imports what that revision lacks;
tests of single functions stand beside the others of their module.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code (-9 where it was ended after its time), and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it wrote, white space folded: terminals wrap lines."""
        return " ".join(f"{self.out} {self.err}".split())

    @property
    def sentence(self) -> bool:
        """Refused as a person is told: exit 2, words on standard error, no traceback."""
        return self.code == 2 and bool(self.err.strip()) and "Traceback" not in self.out + self.err


@pytest.fixture
def whyrec(tmp_path: Path) -> Callable[..., Done]:
    """`whyrec("run", ..., env={...}, cwd=..., seconds=60)` runs `python -m whyrec ARGUMENTS` in its own process."""

    def run(
        *arguments: str | bytes | Path, env: dict[str, str] | None = None, cwd: Path | None = None, seconds: int = 90
    ) -> Done:
        environment = {**os.environ, "PYTHONPATH": _path(), "COLUMNS": "200", "OMP_NUM_THREADS": "1", **(env or {})}
        command = [sys.executable, "-m", "whyrec", *(a if isinstance(a, bytes) else str(a) for a in arguments)]
        try:
            done = subprocess.run(
                command, cwd=cwd or tmp_path, env=environment, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as over:
            return Done(-9, _text(over.stdout), _text(over.stderr))
        return Done(done.returncode, _text(done.stdout), _text(done.stderr))

    return run


@pytest.fixture
def cases() -> Path:
    """`../shared/cases`: small inputs that real files resemble; skips where it is absent."""
    folder = ROOT.parent / "shared" / "cases"
    folder = Path(os.environ.get("SHARED_CASES", folder))
    if not folder.is_dir():
        pytest.skip("no ../shared/cases beside the checkout")
    return folder


def _path() -> str:
    """This tree first, then what the tests' own conftest put there (the guard against calls to the outside)."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
