"""Files between the stages of a dataset-level graph: its state holds their names, never what is in them.

A stage's file is named after the stage and the digest of the files it was made from, so a stage is done again exactly
when something before it changed, and skipped otherwise. Stages that ask a model many times keep a ledger, a line per
answer, so that what was answered before a kill is never asked again, whatever becomes of the call cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def stage_file(folder: Path, name: str, *made_from: Path) -> Path:
    """Where a stage's result belongs."""
    digest = hashlib.sha256()
    for file in made_from:
        digest.update(file.read_bytes())
    return folder / (f"{name}-{digest.hexdigest()[:12]}.json" if made_from else f"{name}.json")


def write(file: Path, value: Any) -> None:
    """Write a stage's result, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    part.replace(file)


def read(file: Path) -> Any:
    """A stage's result."""
    return json.loads(file.read_text(encoding="utf-8"))


class Ledger:
    """Answers by key, one JSON line each, appended as they come. One writer at a time (the run's lock sees to it)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self.lines: dict[str, Any] = dict(_whole_lines(file))

    def append(self, key: str, value: Any) -> None:
        """Keep an answer."""
        self.lines[key] = value
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps([key, value], ensure_ascii=False, separators=(",", ":")) + "\n")


def _whole_lines(file: Path) -> Iterator[tuple[str, Any]]:
    """What is there; a line that a kill cut off is taken away."""
    if not file.exists():
        return
    data = file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with file.open("r+b") as out:
            out.truncate(len(whole))
    for line in whole.split(b"\n")[:-1]:  # an answer may hold other line ends, such as U+2028
        key, value = json.loads(line)
        yield key, value
