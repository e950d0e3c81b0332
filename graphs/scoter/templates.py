"""Templates to reason along: manual ones, those the paper mined (its appendix F), and those that scoter.mine found.

A template is named by its name, or by the id of the run that mined it; the same run also keeps the template of its
top-K baseline, as "RUN/top_k".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agents.scoter import ARROW, usable_steps
from graphs.shared.earlier_run import open_earlier
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import list_runs, open_run

MINE = "scoter.mine"
KEY = "mine"  # of a mining run's only example
TOP_K = "top_k"
Kind = Literal["manual", "published", "mined", "top-K"]


@dataclass(frozen=True)
class Template:
    """K steps.

    Attributes:
        name: what options call it.
        steps: in order, each at most eight words.
        kind: where it is from.
        source: in words.
    """

    name: str
    steps: tuple[str, ...]
    kind: Kind
    source: str

    def __str__(self) -> str:
        return ARROW.join(self.steps)


def _shipped() -> Iterator[Template]:
    manual = {
        "two_step": "User Interest Mining -> Item Tag Prediction & Recommendation",
        "three_step": "User Profile Summary -> User Interest Extraction -> Item Recommendation",
        "five_step": "Behavioral Data Analysis -> Interest Pattern Recognition -> Preference Trend Analysis -> "
        "Predictive Feature Generation -> Targeted Item Recommendation",
    }
    published = {
        "beauty": "Analyze sequential purchase history -> Distinguish stable vs. recent interests -> "
        "Expand via shared item attributes -> Predict high-confidence features -> Item Recommendation",
        "instruments": "Analyze the purchase pattern -> Music interest inference -> Instrument focus identification -> "
        "Accessory expansion -> Feature prediction",
        "sports": "Purchase pattern recognition -> Outdoor/Athletic interest mapping -> Complementary gear expansion "
        "-> Item Recommendation",
        "yelp": "Purchase analysis -> Cuisine/Location interest mapping -> Category expansion -> Feature prediction",
    }
    for name, path in manual.items():
        yield Template(name, tuple(path.split(" -> ")), "manual", "SCoTER appendix F, written by hand")
    for name, path in published.items():
        yield Template(
            name, tuple(path.split(" -> ")), "published", f"SCoTER appendix F, mined by its authors on {name}"
        )


SHIPPED: Mapping[str, Template] = {template.name: template for template in _shipped()}


def find(home: Path, name: str, *, pick: str = "mined") -> Template:
    """The template of this name, or the one that a run mined; `pick` says which where the name does not.

    Raises:
        UnknownNameError: neither a shipped template nor a run.
        UsageError: the run is none of scoter.mine, or is not finished.
    """
    if name in SHIPPED:
        return SHIPPED[name]
    run_id, slash, which = name.partition("/")
    which = which if slash else pick
    try:
        run = open_earlier(home, run_id, MINE)
    except UnknownNameError:
        mined = [info.id for info in list_runs(home) if info.graph == MINE]
        raise UnknownNameError("template", name, [*SHIPPED, *mined]) from None
    try:
        result = run.result(KEY)
        if result is None or result.payload is None:
            raise UsageError(
                f"Run {run.id} has not mined a template yet; the same `whyrec run` command goes on with it."
            )
        if which not in result.payload["templates"]:
            raise UnknownNameError(f"template of run {run.id}", which, result.payload["templates"])
        return mined_template(run.id, result.payload, which)
    finally:
        run.close()


def mined_template(run: str, payload: Mapping[str, Any], which: str) -> Template:
    """A template in the payload of a mining run: "mined" or "top_k"."""
    steps = usable_steps(payload["templates"][which]["steps"])
    if which == TOP_K:
        return Template(f"{run}/{TOP_K}", steps, "top-K", f"the best single chains of {run}")
    return Template(run, steps, "mined", f"scoter.mine on {payload['data']}")


def mined(home: Path) -> Iterator[tuple[Template, dict[str, Any]]]:
    """Every mined template with its run's payload, latest run first."""
    for info in list_runs(home):
        if info.graph != MINE:
            continue
        run = open_run(home, info.id)
        try:
            result = run.result(KEY)
        finally:
            run.close()
        if result is not None and result.payload is not None:
            payload = dict(result.payload)
            for which in payload["templates"]:
                yield mined_template(info.id, payload, which), payload
