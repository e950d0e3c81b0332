"""Constant weights beside eq. 10: what consistency adds to merging is what it adds to the best constant, not to any.

Two constants, each one weight of the samples for all rows: the one with the lowest log loss on validation rows of the
same model, and the mean of the weights that eq. 10 gives on the very rows that are judged (no label is looked at).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evals.artefacts import Asked
from evals.experiment import Cell, CellFunction, Context, Told
from evals.metrics import Floats, metric
from evals.papers.rallrec.clicks import Pool, pool_of, rows_of, told
from graphs.rallrec.merge import ALPHA, EPSILON

CHOSEN, MEAN = "KP=1, constant chosen on valid", "KP=1, constant at eq. 10's mean"
WEIGHTS = tuple(round(0.02 * n, 2) for n in range(51))  # of the samples: 0 to 1


def constants(llm: str, run: Asked, valid: Asked) -> Iterator[Cell]:
    """Both constants as cells.

    Args:
        llm: the model.
        run: its samples on the rows that are judged.
        valid: its samples on validation rows.
    """
    axes = {"llm": llm, "pool": "hinted", "merging": "constant"}
    yield Cell(
        f"{CHOSEN} @{llm}",
        _chosen(run, valid),
        axes=axes,
        settings={"weights": WEIGHTS},
        needs=(run, valid),
        base="expert alone",
        seeded=False,
        models=(llm,),
    )
    yield Cell(
        f"{MEAN} @{llm}",
        _at_the_mean(run),
        axes=axes,
        settings={"weight": "mean of eq. 10", "alpha": ALPHA, "epsilon": EPSILON},
        needs=(run,),
        base="expert alone",
        seeded=False,
        models=(llm,),
    )


def mean_weight(pool: Pool) -> float:
    """Mean over the rows of the weight that eq. 10 gives the samples, in [0, 1]."""
    assert pool.experts is not None
    own, expert = ALPHA / (pool.variance + EPSILON), 1.0 / (pool.experts[:, 1] + EPSILON)
    return float(np.mean(own / (own + expert)))


def held(pool: Pool, weight: float) -> Floats:
    """Probabilities with this weight of the samples on every row, float64[N]."""
    assert pool.experts is not None
    found: Floats = weight * pool.own + (1 - weight) * pool.experts[:, 0]
    return found


def best_constant(valid: Pool) -> float:
    """The weight with the lowest log loss; the first of equals."""
    loss = metric("log_loss")
    return min(WEIGHTS, key=lambda weight: round(float(loss.clicks(held(valid, weight), valid.clicked).mean()), 9))


def _chosen(run: Asked, valid: Asked) -> CellFunction:
    def cell(context: Context, _seed: int) -> Told:
        rows = rows_of(context)
        before = pool_of(context.artefacts.results(valid), rows, "valid")
        weight = best_constant(before)
        test = pool_of(context.artefacts.results(run), rows, "test")
        checked = before.outcomes(held(before, weight))
        return told(test, held(test, weight), valid=checked, about={"weight of the samples": weight})

    return cell


def _at_the_mean(run: Asked) -> CellFunction:
    def cell(context: Context, _seed: int) -> Told:
        test = pool_of(context.artefacts.results(run), rows_of(context), "test")
        weight = mean_weight(test)
        return told(test, held(test, weight), valid=[], about={"weight of the samples": round(weight, 4)})

    return cell
