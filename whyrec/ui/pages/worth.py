"""What the results of a run are worth, as its workflow's outcomes measure it: computed when asked for, then known.

It opens the data and judges every result, so no page does it by itself; once done it is known to the list of runs too,
until the run has more results or other labels.
"""

from __future__ import annotations

from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import RunReader
from whyrec.ui.site import Measure, Site


def worth_of(site: Site, run: RunReader, *, compute: bool) -> tuple[tuple[Measure, ...], str]:
    """(the measures, why there are none): those known already, or computed now where that is asked for."""
    known = site.worth.get(run.id)
    if known is None and not compute:
        return (), ""
    state = _state(site, run)
    if known is not None and known[0] == state:
        return known[1], ""
    if not compute:
        return (), ""
    from whyrec.workbench.recorded import recorded

    try:
        found = recorded(run, site.settings).worth
    except (UsageError, UnknownNameError) as error:
        return (), str(error)
    measures = tuple(
        Measure(one.name, sum(one.values.values()) / len(one.values), len(one.values), one.better)
        for one in found
        if one.values
    )
    site.worth[run.id] = (state, measures)
    return measures, "" if measures else "None of its results can be judged."


def _state(site: Site, run: RunReader) -> str:
    """Something else whenever there are other results or other labels."""
    labels = site.settings.home / "labels.sqlite"
    marked = labels.stat().st_mtime_ns if labels.exists() else 0
    (done,) = run._read.execute("SELECT count(*) FROM example").fetchone()
    return f"{done} {marked}"
