"""Runs that are there already, held against each other as the arms of a comparison are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from evals.inputs.worth import worth
from graphs.outcomes import Judged
from graphs.workflow import recorded_options, workflow
from whyrec.data import open_again
from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.settings import Settings
from whyrec.trace.address import find_run
from whyrec.workbench.compare import Arm, Comparison, Ran, held_against
from whyrec.workbench.compare_costs import took
from whyrec.workbench.labels import with_labels


def compare_runs(names: Sequence[str], settings: Settings, *, most: int = 10) -> Comparison:
    """Runs of one graph over the same data, example by example; all are held against the first.

    Args:
        names: of two runs or more: ids or unmistakable beginnings.
        settings: home and data folders.
        most: examples that changed most, per run.

    Raises:
        UnknownNameError: there is no such run, or nothing can be said of single examples of its graph.
        UsageError: they are of different graphs or data, or share no example, or one is named twice.
    """
    if len(names) < 2:
        raise UsageError("Comparing takes two runs or more.")
    ran: list[Ran] = []
    first: dict[str, object] = {}
    for name in names:
        with closing(find_run(settings.home, name)) as run:
            info = run.info()
            for what, column in (("graph", "graph"), ("data", "data_digest")):
                if first.setdefault(column, info[column]) != info[column]:
                    raise UsageError(f"{ran[0].run} and {run.id} are not of the same {what}, so nothing is compared.")
            if any(one.run == run.id for one in ran):
                raise UsageError(f"{run.id} is named twice.")
            ran.append(_recorded(run, settings))
    return held_against(_told_apart(ran), most=most)


def _recorded(run: RunReader, settings: Settings) -> Ran:
    info = run.info()
    data = open_again(info["data"], info.get("data_path", ""), settings=settings).data
    if data.digest != info["data_digest"]:
        raise UsageError(f"{info['data']} is not what it was when {run.id} was made, so its results cannot be judged.")
    flow = workflow(info["graph"])
    options = recorded_options(flow, json.loads(info["settings"])["options"])
    results = {result.key: result for result in run.results()}
    told = Judged(data, options, tuple(results.values()), Path(settings.home))
    arm = Arm(info["model"], info["model"])
    measures = with_labels(worth(flow.name, told), run)
    return Ran(arm, run.id, results, took(run, list(results)), tuple(measures), run.unusable())


def _told_apart(ran: Sequence[Ran]) -> list[Ran]:
    """By their models where these differ, else by their ids."""
    names = [one.arm.name for one in ran]
    if len(set(names)) == len(names):
        return list(ran)
    return [replace(one, arm=replace(one.arm, name=one.run)) for one in ran]
