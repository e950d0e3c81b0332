"""What a cell said of every user, in columns, kept on disk for paired tests.

A file per trained cell, `$WHYREC_HOME/cells/<digest>.npz`, holds `better` and `ties` per user (or probability and
label per row, or F1 and exactness per question), who failed and why, and the cell's own note of how it was made. It is
complete or absent: written beside and renamed. Tables do not need these files (docs/results/*.json has everything that
is shown); testing a new difference between two cells does.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals.metrics import Floats, Ints, metric
from whyrec.records import Click, Failure, Match, Outcome, Ranking


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes of one split in columns.

    Attributes:
        users: int64[N], the user (or row, or question) of each outcome.
        first: better candidates, int64[N]; or probabilities, or F1, float64[N].
        second: ties, int64[N]; or 1 where clicked, or exact, int64[N].
        candidates: int64[N] candidates of each ranking; zeros for others.
        failures: user -> reason, of the examples without an outcome.
        of_matches: they are answers held against the right ones.
    """

    users: Ints
    first: Floats | Ints
    second: Ints
    candidates: Ints
    failures: Mapping[int, str]
    of_matches: bool = False

    @property
    def of_rankings(self) -> bool:
        """Rankings (else clicks or answers)."""
        return self.first.dtype.kind == "i"

    def values(self, name: str) -> Floats:
        """The metric of every scored example, float64[N]."""
        measure = metric(name)
        wanted = (measure.of_rankings, measure.of_matches)
        assert wanted == (self.of_rankings, self.of_matches), f"{name} does not measure these outcomes"
        if self.of_matches:
            return measure.matches(self.first, self.second)
        if self.of_rankings:
            return measure.rankings(self.first, self.second)
        return measure.clicks(self.first, self.second)


def outcomes(rows: Sequence[Outcome]) -> Outcomes:
    """Columns of a list of outcomes; all that did not fail are of one kind."""
    failures = {row.user: row.reason for row in rows if isinstance(row, Failure)}
    rankings = [row for row in rows if isinstance(row, Ranking)]
    clicks = [row for row in rows if isinstance(row, Click)]
    matches = [row for row in rows if isinstance(row, Match)]
    assert sum(map(bool, (rankings, clicks, matches))) <= 1, "a cell answers with outcomes of one kind"
    if matches:
        places = np.array([(m.question, m.exact) for m in matches], dtype=np.int64).reshape(-1, 2)
        f1, none = np.array([m.f1 for m in matches], dtype=np.float64), np.zeros(len(matches), np.int64)
        return Outcomes(places[:, 0], f1, places[:, 1], none, failures, of_matches=True)
    if clicks:
        table = np.array([(c.row, c.clicked) for c in clicks], dtype=np.int64).reshape(-1, 2)
        probability = np.array([c.probability for c in clicks], dtype=np.float64)
        return Outcomes(table[:, 0], probability, table[:, 1], np.zeros(len(clicks), np.int64), failures)
    table = np.array([(r.user, r.better, r.ties, r.candidates) for r in rankings], dtype=np.int64).reshape(-1, 4)
    return Outcomes(table[:, 0], table[:, 1], table[:, 2], table[:, 3], failures)


def write(path: Path, kept: Outcomes, note: Mapping[str, Any]) -> None:
    """Keep the outcomes and a JSON-able note, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    failures = {str(u): why for u, why in kept.failures.items()}
    text = json.dumps({"note": dict(note), "failures": failures, "of_matches": kept.of_matches})
    np.savez_compressed(
        buffer,
        users=kept.users,
        first=kept.first,
        second=kept.second,
        candidates=kept.candidates,
        text=np.frombuffer(text.encode(), np.uint8),
    )
    atomic_write(path, buffer.getvalue())


def read(path: Path) -> tuple[Outcomes, dict[str, Any]]:
    """(outcomes, note) of a file of `write`."""
    with np.load(path, allow_pickle=False) as stored:
        text = json.loads(stored["text"].tobytes())
        failures = {int(user): why for user, why in text["failures"].items()}
        columns = (stored["users"], stored["first"], stored["second"], stored["candidates"])
        return Outcomes(*columns, failures, text.get("of_matches", False)), text["note"]


def atomic_write(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)
