"""An experiment's own cells on one generated data set, user by user, so that several data sets can be judged together.

    on = ground("world:hard,users=400,seed=3", settings)
    replicate("pulse.table_4", on, cells=["random @simulated:1"], options=Options(...)) -> Replica

A generated world with another seed is an independent replication of the same question. What is judged over many of
them (mechanisms, the quality dial) needs what each cell said of each user, not one table more in docs/results; so here
cells run through the usual session, every identity once, and their tables stay in `$WHYREC_HOME/replicas`, in a folder
per data digest. Nothing is computed here that `whyrec eval` would compute otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals import evaluate as evaluation
from evals.artefacts import Artefacts
from evals.evaluate import Place
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.inputs.outcomes import Outcomes
from evals.registry import Options
from evals.results import CellRun, Results
from evals.session import Choice, Session
from graphs.run import How
from whyrec.data import open_data
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.settings import Settings

_FOLDER = "replicas"
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Ground:
    """One data set, and where texts and runs over it come from; made by `ground`, shared by its experiments.

    Attributes:
        name: as it was asked for.
        data: interactions or questions.
        artefacts: of this data; what one experiment had made, the next one reads.
        place: where outcomes and tables are kept.
    """

    name: str
    data: Corpus | Questions
    artefacts: Artefacts
    place: Place


@dataclass(frozen=True, eq=False)
class Replica:
    """What an experiment's cells said on one data set.

    Attributes:
        ground: the data.
        table: the experiment's table on it, as `whyrec eval` would show it.
        runs: cell -> its run (means, measures, seconds, note).
        outcomes: cell -> what it said of every user.
    """

    ground: Ground
    table: Results
    runs: Mapping[str, CellRun]
    outcomes: Mapping[str, Outcomes]


def ground(name: str, settings: Settings) -> Ground:
    """Open a data set; errors as in `open_data`."""
    opened = open_data(name, settings=settings)
    place = Place(settings.home, settings.home / _FOLDER / opened.data.digest)
    return Ground(name, opened.data, GraphArtefacts(opened.data, how=How(settings=settings, world=opened.world)), place)


def replicate(
    experiment: str,
    on: Ground,
    *,
    cells: Sequence[str],
    options: Options,
    seed: int = 0,
    say: Say = lambda _line: None,
) -> Replica:
    """Run these cells of an experiment where they are not there yet.

    Args:
        experiment: its name in the registry.
        on: the data.
        cells: names of cells, or patterns as `whyrec eval --cells` takes them.
        options: of the experiment (models, users).
        seed: of training, for cells that train.
        say: shows one line of progress.

    Raises:
        UnknownNameError: no such experiment or cell.
        UsageError: a run could not be brought to its end; the same call goes on from there.
    """
    choice = Choice((seed,), cells=";".join(cells))
    session = Session(experiment, on.data, artefacts=on.artefacts, place=on.place, choice=choice, options=options)
    jobs = session.plan()
    table = session.run(jobs, done=lambda _job, _run: None, say=say)
    outcomes = {job.cell.name: evaluation.load(on.place, job.digest) for job in jobs}
    runs = {job.cell.name: row for job in jobs for row in table.rows[job.cell.name].runs if row.digest == job.digest}
    return Replica(on, table, runs, {name: o for name, o in outcomes.items() if o is not None})
