"""What the results of a workflow are worth, example by example: as its graph declares, by the metrics of this floor.

A graph says how its results are read (`Workflow(outcomes=...)`), ours as a plug-in's; tables and `whyrec compare` read
payloads by the same functions. What it declares as outcomes to be measured (`Scored`) is measured here.
"""

from __future__ import annotations

from evals.metrics import metric
from graphs.outcomes import Judged, Scored, Worth
from graphs.workflow import every, find
from whyrec.errors import UnknownNameError
from whyrec.records import Failure


def worth(graph: str, judged: Judged) -> list[Worth]:
    """The measures of a workflow's results, the one that counts first.

    Raises:
        UnknownNameError: nothing can be said of single examples of this workflow.
    """
    check(graph)
    flow = find(graph)
    assert flow is not None and flow.outcomes is not None
    return [_measured(one) if isinstance(one, Scored) else one for one in flow.outcomes(judged)]


def check(graph: str) -> None:
    """Before anything is asked; raises as `worth`."""
    flow = find(graph)
    if flow is None or flow.outcomes is None:
        known = [one.name for one in every() if one.outcomes is not None]
        hint = "The others have one example for a whole data set, ask no model, or declare no outcomes."
        raise UnknownNameError("workflow whose examples can be compared", graph, known, hint=hint)


def _measured(scored: Scored) -> Worth:
    by = metric(scored.metric)
    values = {key: by.score(one) for key, one in scored.outcomes.items() if not isinstance(one, Failure)}
    return Worth(scored.name or by.name, values, "higher" if by.higher_is_better else "lower")
