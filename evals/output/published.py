"""What the papers printed: 661 published values, each with the table it stands in and how it was measured.

The values are facts copied from the papers and from the README of CoT-Rec's repository (published.csv). A published
value is never compared with ours without its data set and protocol beside it: the data versions, masks and candidate
sets differ (spec 9), so none of these is a target or a ceiling.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from whyrec.errors import UnknownNameError

_COLUMNS = ("paper", "experiment", "dataset", "backbone", "method", "metric")

# The papers' names of what we call recall and ndcg; a single positive makes hit, hit rate and recall the same.
_SAME_METRIC = {"Hit": "recall", "R": "recall", "NDCG": "ndcg", "N": "ndcg", "HR": "hr", "MRR": "mrr"}


@dataclass(frozen=True)
class Published:
    """One printed value.

    Attributes:
        paper: "cotrec", "pulse", "scoter" or "rallrec".
        experiment: the table, as in "CoT-Rec.T1".
        dataset: the paper's name of its data set, which is not necessarily ours of the same name.
        backbone: the recommender or model underneath, "" where the table has none.
        method: the row.
        metric: as printed.
        value: None where the table prints a dash.
        title: of the paper.
        table: where in it.
        source: paper and section, or README.
        protocol: how it was measured, in words.
    """

    paper: str
    experiment: str
    dataset: str
    backbone: str
    method: str
    metric: str
    value: float | None
    title: str
    table: str
    source: str
    protocol: str

    @property
    def our_metric(self) -> str:
        """The same metric under our name ("Hit@10" is "recall@10"), or the printed one where we have none."""
        kind, at, cut = self.metric.partition("@")
        return f"{_SAME_METRIC.get(kind, kind)}{at}{cut}"

    @property
    def where(self) -> str:
        """One phrase naming data set, place and protocol, to stand beside the value."""
        return f"{self.dataset}: {self.table} of {self.title} ({self.source}); {self.protocol}"


def published(**wanted: str) -> list[Published]:
    """The printed values that match, in the order of the papers.

    Args:
        wanted: any of paper, experiment, dataset, backbone, method, metric.

    Raises:
        UnknownNameError: a value that occurs nowhere in that column, or a column that does not exist.
    """
    for column, value in wanted.items():
        if column not in _COLUMNS:
            raise UnknownNameError("column of published.csv", column, _COLUMNS)
        known = {getattr(row, column) for row in everything()}
        if value not in known:
            raise UnknownNameError(f"published {column}", value, known)
    return [row for row in everything() if all(getattr(row, c) == v for c, v in wanted.items())]


@cache
def everything() -> tuple[Published, ...]:
    """All rows of published.csv."""
    return tuple(_read())


def _read() -> Iterator[Published]:
    text = resources.files("evals.output").joinpath("published.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        printed = row.pop("value")
        yield Published(value=float(printed) if printed else None, **row)
