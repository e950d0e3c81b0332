"""taste.table_1: a table of your own: two recommenders, one metric, and a claim that is tested.

    whyrec eval taste.table_1 --data world

A cell is a function from (context, seed) to outcomes, one per user of the test split; whyrec adds intervals, tests and
the record of how it was made, and never computes the same cell twice. docs/plugins.md explains each part.
"""

from __future__ import annotations

from evals.experiment import Cell, Claim, Experiment
from evals.inputs.training import item_cf, over_some, popularity
from evals.registry import Options, Table
from whyrec.data.corpus import Corpus

NAME = "taste.table_1"


def build(corpus: Corpus, options: Options) -> Experiment:
    """The table on this data; `options` is what the command line chose."""
    users = {} if options.users is None else {"users": str(options.users)}
    rows = {"popularity": popularity(), "item-CF": item_cf()}
    return Experiment(
        name=NAME,
        title="Does it help to know what was bought together?",
        protocol="leave-two-out, test targets, full ranking, seen items left out",
        cells=tuple(
            Cell(
                name,
                over_some(function, options.users),
                settings={"model": name, **users},  # whatever can change the cell's outcomes
                base="" if name == "popularity" else "popularity",
                seeded=False,
            )
            for name, function in rows.items()
        ),
        metrics=("recall@10", "ndcg@10"),
        claims=(Claim("pairs help", "item-CF", "popularity"),),
        says={"pairs help": "ours: item-CF ranks better than popularity"},
    )


TABLE = Table(NAME, "a table of your own: popularity and item-CF", build)
