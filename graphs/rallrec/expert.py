"""The expert whose opinion is injected and merged: a logistic regression on train rows.

RALLRec+ tunes an 8B model for this (4.3.1). The stand-in reads what retrieval reads (graphs/rallrec/features.py), is
fitted on a draw of train rows and on nothing else, and is asked once per way of showing the history, so that it has
the variance that eq. 10 wants.

Unusual: train rows are described fold by fold, each with collaborative vectors made without its fold's own likes. With
the vectors of all train rows an item a user liked is near that user's history *because* it was liked; the regression
learns this echo of the label, and is sure and wrong on test rows (on `world` its log loss was 1.4, twice the base
rate's).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from graphs.rallrec.features import NAMES, ItemPast, features
from graphs.rallrec.merge import Opinion
from graphs.rallrec.options import Mode, Options
from graphs.rallrec.retrieve import Retriever
from whyrec.data.ctr import CtrView
from whyrec.embed import embedder_identity
from whyrec.errors import UsageError

VERSION: Final = 2
FOLDS: Final = 5
VARIANTS: Final[tuple[Mode, ...]] = ("recent", "relevant", "rerank", "hybrid")  # the ways of showing that vary P_G
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Weights:
    """A fitted regression: P(yes) = sigmoid(bias + weights . (features - mean) / scale)."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: float

    def probability(self, rows_NF: Floats) -> Floats:
        """P(yes) of each row of features, float64[N]."""
        found: Floats = expit(self.bias + (rows_NF - self.mean) / self.scale @ self.weights)
        return found


class LogisticExpert:
    """See the module.

    Args:
        part: what retrieves for the rows asked about.
        past: of the items.
        weights: fitted.
    """

    def __init__(self, part: Retriever, past: ItemPast, weights: Weights) -> None:
        self._part, self.past, self.weights = part, past, weights

    def opinion(self, row: int) -> Opinion:
        """P(yes) when the history is shown as the options say, and its variance over the ways of showing it."""
        shown = self._part.options.retrieval
        modes = dict.fromkeys((shown, *VARIANTS))
        found = self.weights.probability(np.stack([features(self._part, self.past, row, mode) for mode in modes]))
        variance = float(found[-len(VARIANTS) :].var()) if shown not in VARIANTS else float(found.var())
        return Opinion(float(found[0]), variance)

    def probabilities(self, rows: npt.NDArray[np.int64]) -> Floats:
        """P(yes) of many rows, the history shown as the options say, float64[N]."""
        mode = self._part.options.retrieval
        found = np.stack([features(self._part, self.past, int(row), mode) for row in rows])
        return self.weights.probability(found)


def logistic_expert(part: Retriever, *, train_rows: int, folder: Path, folds: int = FOLDS) -> LogisticExpert:
    """Fit on a random draw of train rows, or read the fit made before from the same data and options.

    Args:
        part: what retrieves; its view may be of any split, the fit opens one of the train split.
        train_rows: how many train rows to draw.
        folder: where fits are kept.
        folds: see the module; at least 2.

    Raises:
        UsageError: all train rows drawn have the same label.
    """
    rows, options = part.view.data, part.options
    past = ItemPast(rows)
    path = expert_file(folder, rows.digest, options, train_rows=train_rows, folds=folds)
    if path.exists():
        kept = json.loads(path.read_text())
        mean, scale, weights = (np.array(kept[name]) for name in ("mean", "scale", "weights"))
        return LogisticExpert(part, past, Weights(mean, scale, weights, kept["bias"]))
    view = CtrView(rows, "train")
    drawn = np.sort(np.random.default_rng([options.seed, 11]).permutation(view.rows)[:train_rows])
    fitted = _fit(_described(part, past, view, drawn, folds), view.clicked(drawn))
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    told = {"trained_on": {"rows": rows.digest, "split": view.split}, "features": NAMES, "rows": len(drawn)}
    told |= {"bias": fitted.bias}
    told |= {name: getattr(fitted, name).tolist() for name in ("mean", "scale", "weights")}
    unfinished.write_text(json.dumps(told, indent=1) + "\n")
    unfinished.replace(path)
    return LogisticExpert(part, past, fitted)


def expert_file(folder: Path, rows: str, options: Options, *, train_rows: int, folds: int) -> Path:
    """Where the fit on these rows (`CtrRows.digest`) under these options is kept."""
    return folder / f"expert{VERSION}-{_digest(rows, options, train_rows, folds)}.json"


def _described(part: Retriever, past: ItemPast, view: CtrView, drawn: npt.NDArray[np.int64], folds: int) -> Floats:
    """Features of train rows, none of them made with the row's own label, float64[N, F]."""
    options = part.options
    fold = np.random.default_rng([options.seed, 12]).integers(0, folds, len(view.rows))
    table = np.empty((len(drawn), len(NAMES)))
    for k in range(folds):
        mine = np.isin(drawn, view.rows[fold == k])
        if mine.any():
            reader = Retriever(view, part.vectors.without(view.rows[fold == k]), options)
            table[mine] = [features(reader, past, int(row), options.retrieval) for row in drawn[mine]]
    return table


def _fit(table_NF: Floats, clicked: npt.NDArray[np.bool_]) -> Weights:
    from sklearn.linear_model import LogisticRegression

    if clicked.all() or not clicked.any():
        raise UsageError(
            f"All {len(clicked)} train rows drawn for the expert are {'likes' if clicked.all() else 'dislikes'}, so "
            "there is nothing to learn. Draw more (expert_rows), or move the border between them (liked_above)."
        )
    mean, scale = table_NF.mean(axis=0), table_NF.std(axis=0)
    scale[scale < 1e-9] = 1.0
    model = LogisticRegression(C=1.0, max_iter=1_000).fit((table_NF - mean) / scale, clicked)
    return Weights(mean, scale, model.coef_[0].astype(np.float64), float(model.intercept_[0]))


def _digest(rows: str, options: Options, train_rows: int, folds: int) -> str:
    """Of everything the fit depends on."""
    o = options
    by = embedder_identity(o.embedder)
    used = (o.seed, o.retrieval, o.vectors, o.k, o.gamma, o.beta, o.twice, by, o.width, o.descriptions)
    return hashlib.sha256(json.dumps([rows, *used, train_rows, folds]).encode()).hexdigest()[:16]
