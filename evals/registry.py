"""Experiments by name; a module is imported when its experiment is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evals.experiment import Experiment
from whyrec.data.corpus import Corpus
from whyrec.errors import UnknownNameError

# name -> module, function, one line for lists
_EXPERIMENTS = {
    "cot_rec.table_1": (
        "evals.cot_rec",
        "table_1",
        "CoT-Rec Table 1: where a recommender's items and users start from",
    ),
    "cot_rec.table_2": (
        "evals.cot_rec_table_2",
        "table_2",
        "CoT-Rec Table 2: retrieved items ranked by a language model",
    ),
}


@dataclass(frozen=True)
class EncodeAndMap:
    """How texts become rows of a recommender's table (CoT-Rec 4.2.2).

    Attributes:
        embedder: as `whyrec.embed.open_embedder` names them; `lsa` is fitted on the texts of the items.
        method: from the embedder's width to the recommender's; "pca" is fitted on the items' texts, "truncate" is for
            embedders trained for it (the paper's).
        norm: length of the rows.
    """

    embedder: str = "lsa"
    method: Literal["pca", "truncate", "random"] = "pca"
    norm: float = 1.0


@dataclass(frozen=True)
class Options:
    """What can be chosen about an experiment; each uses what concerns it.

    Attributes:
        llms: models that write texts, the weakest first; each adds the cells that read them.
        folds: (batch, overlap) of the preference fold; the first fills the grid, each other adds one cell.
        how: Encode & Map.
        epochs: at most this many, below the preset's; for demos, and then no range is checked.
        mask_seen: leave seen items out of the ranking.
        cache: folder for fitted embedders.
        users: workflows see at most this many users, the first of the split; None for all of them.
    """

    llms: tuple[str, ...] = ("extractive",)
    folds: tuple[tuple[int, int], ...] = ((10, 2),)
    how: EncodeAndMap = field(default_factory=EncodeAndMap)
    epochs: int | None = None
    mask_seen: bool = True
    cache: Path | None = None
    users: int | None = None


Builder = Callable[[Corpus, Options], Experiment]


def about() -> dict[str, str]:
    """Every experiment and what it is."""
    return {name: line for name, (_module, _function, line) in sorted(_EXPERIMENTS.items())}


def builder(name: str) -> Builder:
    """The function that builds this experiment.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in _EXPERIMENTS:
        raise UnknownNameError("experiment", name, _EXPERIMENTS)
    module, function, _line = _EXPERIMENTS[name]
    found: Builder = getattr(importlib.import_module(module), function)
    return found
