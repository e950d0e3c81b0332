"""How long a table will take, said before it starts: from what its cells took here, else a rough figure by their kind.

Which of the cells are there already is only known once their texts are, since a cell is identified by what it reads; so
this counts a cell as there when the table has it with as many seeds, and is at worst too low by what the texts changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from evals.experiment import Cell
from evals.results import Row, rounded
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions

# Fitted by hand to 105 trained cells of the project's own tables (2 cores, 17 thousand to 292 thousand interactions).
_EPOCH_PER_EVENT, _EPOCH_PER_EVENT_AND_ITEM = 5e-5, 1.5e-9
_EPOCHS = 30  # after which early stopping has usually ended a fit
_START = 1.0  # of a trained cell: embedder, tables, ranking
_SLOWER = {"BERT4Rec": 1.4}
_WITHOUT_EPOCHS = 10.0  # trained cells that are no recommenders (a thought space)
_READING_PER_EVENT = 2.5e-5  # cells that train nothing


@dataclass(frozen=True)
class Forecast:
    """What is left of a table's cells.

    Attributes:
        seconds: by the clock, models not counted.
        left: runs (cells times seeds) to do.
        measured: of them, those whose cell, or one of its kind, was timed here on this data.
    """

    seconds: float
    left: int
    measured: int

    @property
    def basis(self) -> str:
        """Where the seconds come from, in words."""
        if self.measured == self.left:
            return "as cells of this table took here"
        rough = "a rough figure from the kind of cell and the size of the data"
        if not self.measured:
            return f"{rough}; none was timed here yet"
        return f"{self.measured} of {self.left} as such cells took here, the others by {rough}"


def forecast(cells: Sequence[Cell], seeds: int, *, data: Corpus | Questions, measured: Mapping[str, Row]) -> Forecast:
    """Wall seconds of what is left of these cells.

    Args:
        cells: that were chosen.
        seeds: of each trained one.
        data: the cells' data.
        measured: rows of the table on the same data, by name.
    """
    of_kind: dict[tuple[str, Any], list[float]] = {}
    for row in measured.values():
        kind = _kind(row.axes, row.settings, seeded=any(run.seed for run in row.runs))
        of_kind.setdefault(kind, []).extend(run.wall_seconds for run in row.runs)
    seconds, left, timed = 0.0, 0, 0
    for cell in cells:
        runs = _runs_here(cell, measured)
        missing = max(0, (seeds if cell.seeded else 1) - len(runs))
        took = runs or of_kind.get(_kind(cell.axes, cell.settings, seeded=cell.seeded), [])
        seconds += missing * (median(took) if took else rough_seconds(cell, data))
        left, timed = left + missing, timed + (missing if took else 0)
    return Forecast(seconds, left, timed)


def rough_seconds(cell: Cell, data: Corpus | Questions) -> float:
    """Of one run, from nothing but the kind of cell and the size of the data."""
    events, items = (data.n_interactions, data.n_items) if isinstance(data, Corpus) else (0, 0)
    if not cell.seeded:
        return events * _READING_PER_EVENT
    fit = cell.settings.get("fit")
    if not isinstance(fit, Mapping):
        return _WITHOUT_EPOCHS
    epoch = events * (_EPOCH_PER_EVENT + _EPOCH_PER_EVENT_AND_ITEM * items)
    return _START + min(int(fit["epochs"]), _EPOCHS) * epoch * _SLOWER.get(cell.axes.get("backbone", ""), 1.0)


def _kind(axes: Mapping[str, str], settings: Mapping[str, Any], *, seeded: bool) -> tuple[str, Any]:
    """Cells of one kind take about as long: the same backbone for at most as many epochs."""
    fit = settings.get("fit")
    return axes.get("backbone", "trained" if seeded else "read"), fit["epochs"] if isinstance(fit, Mapping) else 0


def _runs_here(cell: Cell, measured: Mapping[str, Row]) -> list[float]:
    """Seconds of this cell's runs with these settings."""
    row = measured.get(cell.name)
    if row is None or _plain(row.settings) != _plain(cell.settings):
        return []
    return [run.wall_seconds for run in row.runs]


def _plain(settings: Mapping[str, Any]) -> Any:
    """As they come back from a table's file."""
    return rounded(json.loads(json.dumps(dict(settings), default=str)))
