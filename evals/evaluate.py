"""Run an experiment's cells, each identity once, and say what the differences are worth.

Every finished cell is written at once, to `$WHYREC_HOME/cells` (per-user outcomes) and into the table's file, so an
interrupted table goes on where it stopped, and several processes may fill one table. Differences and verdicts are
computed when the chosen cells are done.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from evals import results as tables
from evals.experiment import Cell, Context, Experiment, Told, identity
from evals.inputs import outcomes as kept
from evals.inputs.outcomes import Outcomes
from evals.metrics import metric
from evals.results import CellRun, ModelNote, Results, Row
from evals.statistics.aggregate import summarise
from evals.statistics.informative import of_outcomes
from evals.statistics.verdicts import judged
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.errors import UsageError
from whyrec.version import __version__


@dataclass(frozen=True)
class Job:
    """One cell with one seed, and whether its run is already there."""

    cell: Cell
    seed: int
    recipe: str
    digest: str
    stored: CellRun | None


@dataclass(frozen=True)
class Place:
    """Where an evaluation lives.

    Attributes:
        home: $WHYREC_HOME; per-user outcomes go to its `cells` folder.
        folder: of the table's file: the table's own in a home (`evals.results.own_folder`), or one that many share.
    """

    home: Path
    folder: Path

    def outcomes(self, digest: str) -> Path:
        """File with the per-user outcomes of this identity."""
        return self.home / "cells" / f"{digest}.npz"

    def table(self, name: str) -> Path:
        """File of the table with this slug."""
        return self.folder / f"{name}.json"


def plan(
    experiment: Experiment,
    context: Context,
    place: Place,
    *,
    seeds: Sequence[int],
    cells: Sequence[Cell] | None = None,
    one_revision: bool = False,
) -> list[Job]:
    """What there is to do: every chosen cell with every seed, seed by seed, so that a whole table exists early.

    A run that is in the table, or was computed here before, is not computed again, with `one_revision` unless another
    revision of the code made it. Without `cells`, all are chosen.
    """
    table = _open(experiment, context.data, place)
    chosen = experiment.cells if cells is None else cells
    recipes = {cell.name: cell.recipe(experiment.name, context) for cell in chosen}
    jobs = []
    for position, seed in enumerate(seeds):
        for cell in chosen:
            if not cell.seeded and position > 0:
                continue
            own = seed if cell.seeded else 0
            digest = identity(recipes[cell.name], own)
            stored = _stored(table, cell.name, digest, place)
            if one_revision and stored is not None and stored.revision != revision():
                stored = None
            jobs.append(Job(cell, own, recipes[cell.name], digest, stored))
    return jobs


def evaluate(
    experiment: Experiment,
    context: Context,
    place: Place,
    *,
    jobs: Sequence[Job],
    done: Callable[[Job, CellRun], None] = lambda _job, _run: None,
) -> Results:
    """Run what is not stored, write each run at once, and judge the claims.

    Args:
        experiment: the table.
        context: data, artefacts, device.
        place: where things are kept.
        jobs: of `plan`.
        done: told after each job, stored ones included.

    Returns:
        The table as it now stands in its file.
    """
    for job in jobs:
        run = job.stored or _run(experiment, context, place, job)
        _add(experiment, context.data, place, job.cell, run)
        done(job, run)
    with tables.locked(place.home, tables.slug(experiment.name, context.data.name)):
        table = judged(experiment, _open(experiment, context.data, place), lambda d: load(place, d))
        tables.write(place.table(table.slug), table)
    return tables.read(place.table(table.slug))


def load(place: Place, digest: str) -> Outcomes | None:
    """Per-user outcomes of a run, None where they are not on this machine."""
    path = place.outcomes(digest)
    return kept.read(path)[0] if path.exists() else None


@dataclass(frozen=True)
class Notes:
    """What is written down beside a table's rows.

    Attributes:
        told: sentences by name.
        whole: the table has no other rows, so notes that are there already are replaced.
        models: what is known of its language models.
        command: what was typed, "" where nothing was.
    """

    told: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    models: Mapping[str, ModelNote] = field(default_factory=dict)
    command: str = ""


def note(experiment: Experiment, corpus: Corpus | Questions, place: Place, notes: Notes) -> Results:
    """Add notes to the table's file (a name already there is replaced); the table then."""
    with tables.locked(place.home, tables.slug(experiment.name, corpus.name)):
        table = _open(experiment, corpus, place)
        typed = [*(c for c in table.commands if c != notes.command), *([notes.command] if notes.command else [])]
        change = {
            "notes": {**({} if notes.whole else table.notes), **notes.told},
            "models": {**table.models, **notes.models},
            "commands": tuple(typed),
        }
        tables.write(place.table(table.slug), table.model_copy(update=change))
        return tables.read(place.table(table.slug))


def only_run_here(table: Results, place: Place) -> Results:
    """The table without verdicts over rows that were not run in this home, and a note that says so."""
    here = {run.digest for row in table.rows.values() for run in row.runs if place.outcomes(run.digest).exists()}
    kept_verdicts = tuple(v for v in table.verdicts if here.issuperset(v.difference.digests))
    left_out = len(table.verdicts) - len(kept_verdicts)
    if not left_out:
        return table
    rows = [name for name, row in table.rows.items() if not here.issuperset(row.digests)]
    some = ", ".join(rows[:3]) + (", …" if len(rows) > 3 else "")
    told = f"{some}; {left_out} comparisons that rest on them are left out (--all-verdicts shows them)"
    return table.model_copy(update={"verdicts": kept_verdicts, "notes": {**table.notes, "rows not run here": told}})


def _run(experiment: Experiment, context: Context, place: Place, job: Job) -> CellRun:
    wall, cpu = time.perf_counter(), time.process_time()
    folder = place.home / "cells" / "unfinished" / job.digest
    folder.mkdir(parents=True, exist_ok=True)
    told = job.cell.function(replace(context, folder=folder), job.seed)
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    test = kept.outcomes(told.test)
    if not len(test.users):
        why = next(iter(test.failures.values()), "there are none")
        raise UsageError(
            f"No example of {job.cell.name} was scored, so there is nothing to measure ({len(test.failures)} failed: "
            f"{why}). Measure more --users, or leave it out with --cells."
        )
    assert set(told.measures) <= set(experiment.measures), "an experiment names the measures its cells tell"
    run = CellRun(
        digest=job.digest,
        recipe=job.recipe,
        seed=job.seed,
        test={m: summarise(test.values(m), units=test.users, unscored=len(test.failures)) for m in experiment.metrics},
        valid=_validation(experiment, told),
        n=len(np.unique(test.users)),
        unscored=len(test.failures),
        chance=_chance(experiment, test),
        revision=revision(),
        device=str(told.about.get("device") or machine(context.device)),
        wall_seconds=seconds[0],
        cpu_seconds=seconds[1],
        about=dict(told.about),
        measures=dict(told.measures),
        doubts=(*told.doubts, *of_outcomes(test)),
    )
    kept.write(place.outcomes(job.digest), test, run.model_dump(mode="json"))
    shutil.rmtree(folder)
    return run


def _validation(experiment: Experiment, told: Told) -> dict[str, float]:
    if not told.valid:
        return {}
    columns = kept.outcomes(told.valid)
    return {m: float(columns.values(m).mean()) for m in experiment.metrics}


def _chance(experiment: Experiment, test: Outcomes) -> dict[str, float]:
    if not test.of_rankings:
        return {}
    sizes, counts = np.unique(test.candidates, return_counts=True)
    return {
        m: float(sum(metric(m).chance(int(s)) * c for s, c in zip(sizes, counts, strict=True)) / counts.sum())
        for m in experiment.metrics
    }


def _stored(table: Results, name: str, digest: str, place: Place) -> CellRun | None:
    """The run with this identity, from this machine's own store or from the table."""
    if place.outcomes(digest).exists():
        return CellRun.model_validate(kept.read(place.outcomes(digest))[1])
    row = table.rows.get(name)
    return next((run for run in row.runs if run.digest == digest), None) if row else None


def _add(experiment: Experiment, corpus: Corpus | Questions, place: Place, cell: Cell, run: CellRun) -> None:
    """Put one run into the table's file."""
    with tables.locked(place.home, tables.slug(experiment.name, corpus.name)):
        table = _open(experiment, corpus, place)
        row = table.rows.get(cell.name)
        there = None if row is None else next((r for r in row.runs if r.digest == run.digest), None)
        if there is not None:
            if there.revision == run.revision:
                return
            # made again by other code: what was derived from the old one is of no run any more
            table = tables.with_rows(table, {name: r for name, r in table.rows.items() if name != cell.name})
        before = (
            [] if row is None else [r for r in row.runs if (r.recipe, r.digest != run.digest) == (run.recipe, True)]
        )
        runs = sorted([*before, run], key=lambda r: r.seed)
        rows = {**table.rows, cell.name: _row(cell, tuple(runs))}
        order = {c.name: i for i, c in enumerate(experiment.cells)}
        rows = dict(sorted(rows.items(), key=lambda pair: order.get(pair[0], len(order))))
        tables.write(place.table(table.slug), tables.with_rows(table, rows))


def _row(cell: Cell, runs: tuple[CellRun, ...]) -> Row:
    return Row(
        name=cell.name,
        axes=dict(cell.axes),
        settings=dict(cell.settings),
        base=cell.base,
        anchor=cell.anchor,
        published={column: dict(values) for column, values in cell.published.items()},
        runs=runs,
        quick=cell.quick,
        models=cell.models,
        seeded=cell.seeded,
    )


def _open(experiment: Experiment, corpus: Corpus | Questions, place: Place) -> Results:
    """The table's file, or an empty table where there is none or it is about other data."""
    data = tables.data_note(corpus)
    path = place.table(tables.slug(experiment.name, corpus.name))
    table = tables.read(path) if path.exists() else None
    if table is None or table.data.digest != corpus.digest:
        table = Results(
            experiment=experiment.name,
            title=experiment.title,
            protocol=experiment.protocol,
            data=data,
            metrics=experiment.metrics,
        )
    return table.model_copy(
        update={
            "title": experiment.title,
            "protocol": experiment.protocol,
            "metrics": experiment.metrics,
            "measures": experiment.measures,
            "columns": {**table.columns, **experiment.columns},
            "claims": {**table.claims, **experiment.says},
            "data": data,
        }
    )


@cache
def revision() -> str:
    """Short git revision of the code, "+" appended where it has changes; outside git the package's version.

    Pages and results under docs/ are no code: writing one table does not change what the next is computed by.
    """
    git = ("git", "-C", str(Path(__file__).parent))
    found = _output(*git, "describe", "--always", "--abbrev=10", "--exclude=*")
    changed = _output(*git, "diff", "--name-only", "HEAD", "--", ":(top)", ":(top,exclude)docs")
    return f"{found}{'+' if changed else ''}" if found else f"whyrec {__version__}"


@cache
def machine(device: str) -> str:
    """The machine in words, the graphics card by its name."""
    if device.startswith("cuda"):
        device = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or device
    return f"{device} ({platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()})"


def _output(*command: str) -> str:
    """First line a command prints; "" where it is not there or fails."""
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    return lines[0].strip() if lines else ""
