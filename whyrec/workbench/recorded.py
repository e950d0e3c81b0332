"""What recorded runs are worth, and whether two of them differ: the tests of `whyrec compare`, and nothing is run."""

from __future__ import annotations

import json

from evals.inputs.worth import worth
from graphs.outcomes import Judged, Worth
from graphs.workflow import recorded_options, workflow
from whyrec.data import open_again
from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.settings import Settings
from whyrec.workbench.compare import Arm, Comparison, Ran, held_against
from whyrec.workbench.compare_costs import took
from whyrec.workbench.labels import with_labels

MOST_EXAMPLES = 50_000


def recorded(run: RunReader, settings: Settings) -> Ran:
    """A run as an arm: its results, what they took and what they are worth.

    Raises:
        UsageError: its data is not what it was, it has no result, or too many to be judged while somebody waits.
        UnknownNameError: its data or options are not known here, or nothing can be said of single examples.
    """
    info, counts = run.info(), run.counts()
    if counts.done > MOST_EXAMPLES:
        raise UsageError(f"{info['id']} has {counts.done:,} results; up to {MOST_EXAMPLES:,} are judged here.")
    data = open_again(info["data"], info.get("data_path", ""), settings=settings).data
    if data.digest != info["data_digest"]:
        raise UsageError(f"{info['data']} is not what it was when {info['id']} read it, so targets may differ.")
    options = recorded_options(workflow(info["graph"]), json.loads(info["settings"])["options"])
    results = {result.key: result for result in run.results()}
    if not any(result.payload for result in results.values()):
        raise UsageError(f"{info['id']} has no result yet.")
    measures: list[Worth] = worth(info["graph"], Judged(data, options, tuple(results.values()), settings.home))
    arm = Arm(info["id"], info["model"])
    return Ran(arm, info["id"], results, took(run, tuple(results)), tuple(with_labels(measures, run)))


def recorded_pair(one: RunReader, other: RunReader, settings: Settings) -> Comparison:
    """The second run held against the first, example by example, over those that both have.

    Raises:
        UsageError: they are of different workflows or data, share no example, or as `recorded`.
        UnknownNameError: as `recorded`.
    """
    first, second = one.info(), other.info()
    for told, what in (("graph", "graph"), ("data", "data_digest")):
        if first[what] != second[what]:
            raise UsageError(f"One is of {first[told]}, the other of {second[told]}: no example is in both.")
    return held_against([recorded(run, settings) for run in (one, other)], most=0)
