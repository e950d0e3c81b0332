"""A quality dial, measured: the experiments' own cells on several generated worlds at several levels of quality.

    measure(dial("pulse"), settings, seeds=range(5)) -> Dialled, written to $WHYREC_HOME/results/dial.pulse/pulse.json

Each seed is another world with other users, so seeds are independent replications (`evals.dials.numbers` says what that
is worth). Cells run through `evals.replicate`, which runs every identity once, so an interrupted dial goes
on where it stopped and a second one is read. What is written holds everything that is shown: the page and the figures
are made from it alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from evals.dials.catalogue import LEVELS, SETTINGS, Dial, at
from evals.dials.numbers import Beside, Slope, beside, beyond, rises, slope
from evals.evaluate import revision
from evals.inputs.outcomes import atomic_write
from evals.metrics import Floats
from evals.replicate import ground, replicate
from evals.results import RESULTS, CellRun, read_record, rounded
from evals.statistics.aggregate import over_seeds
from evals.summary import Summary
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings

FIRST_TRAINING = 2021  # the seed of training in world 0, and so on
WORLDS = 5  # of a dial as it is declared; fewer worlds or levels are a quick look
_OWN_FOLDER = "dial."


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Curve(_Record):
    """One row of an experiment at every level.

    Attributes:
        row: the cell's name without the model.
        points: [seed][level], the outcome over the users of one world, its interval over users.
        means: [level], over the seeds.
    """

    row: str
    points: tuple[tuple[Summary, ...], ...]
    means: tuple[Summary, ...]


class Without(_Record):
    """What needs no model.

    Attributes:
        row: the cell's name, or what is known of it.
        points: [seed].
        mean: over the seeds.
        start: the method at the lowest level minus this.
        says: the same in a word.
    """

    row: str
    points: tuple[float, ...]
    mean: Summary
    start: Summary
    says: Beside


class Dialled(_Record):
    """A dial's outcomes.

    Attributes:
        name: of the dial.
        setting: of the worlds.
        metric: what was measured.
        lower: lower is better.
        levels: of quality.
        seeds: of the worlds.
        data: name of each world, by seed.
        method: the method's outcomes.
        less: of the same model without the part the method is about.
        placebo: of the same model with another user's texts.
        without: what needs no model; the first is the same method without one.
        slope: of the method.
        less_slope: of `less`.
        rises: whether the slope is right and p < .01.
        revision: of the code that measured the cells.
        quick: why it is only a quick look ("20 users, not 250"), "" where it is the dial as it is declared.
    """

    name: str
    setting: str
    metric: str
    lower: bool
    levels: tuple[float, ...]
    seeds: tuple[int, ...]
    data: tuple[str, ...]
    method: Curve
    less: Curve | None
    placebo: Curve | None = None
    without: tuple[Without, ...]
    slope: Slope
    less_slope: Slope | None
    rises: bool
    revision: str
    quick: str = ""

    @property
    def slug(self) -> str:
        """File name without its ending."""
        return self.name if self.setting == "default" else f"{self.name}.{self.setting}"


@dataclass(frozen=True)
class Scale:
    """How far a dial is turned, and over what.

    Attributes:
        seeds: of the worlds, two or more.
        levels: of quality, two or more, rising.
        setting: of the worlds.
        users: of each world, None for the dial's own number.

    Raises:
        UsageError: what cannot be a dial.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    levels: tuple[float, ...] = LEVELS
    setting: str = "default"
    users: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a dial."""
        if len(self.seeds) < 2:
            raise UsageError("A dial needs at least two seeds: one world says nothing about another. Write --seeds 5.")
        rising = all(a < b for a, b in pairwise(self.levels))
        if len(self.levels) < 2 or not rising or self.levels[0] < 0 or self.levels[-1] > 1:
            raise UsageError(f"Levels are two or more rising numbers from 0 to 1, as in 0,.5,1; not {self.levels}.")
        if self.setting not in SETTINGS:
            raise UnknownNameError("world setting", self.setting, SETTINGS)

    def less_than(self, which: Dial) -> str:
        """Where this is less than the dial as it is declared, "" where it is not."""
        asked = {"users": (self.users or which.users, which.users), "worlds": (len(self.seeds), WORLDS)}
        asked["levels"] = (len(self.levels), len(LEVELS))
        return ", ".join(f"{n:,} {what} instead of {own:,}" for what, (n, own) in asked.items() if n < own)


Say = Callable[[str], None]


def measure(which: Dial, settings: Settings, scale: Scale = Scale(), *, say: Say = lambda _line: None) -> Dialled:
    """Run a dial where it has not been run, and say what it shows.

    Raises:
        UsageError: a run could not be brought to its end; the same call goes on from there.
    """
    runs = [_world(which, settings, scale, seed, say) for seed in scale.seeds]
    method = _curve(which, which.method, scale.levels, runs)
    less = _curve(which, which.beside, scale.levels, runs) if which.beside else None
    found = slope(scale.levels, _values(method))
    return Dialled(
        name=which.name,
        setting=scale.setting,
        metric=which.metric,
        lower=which.lower,
        levels=scale.levels,
        seeds=scale.seeds,
        data=tuple(which.data(seed, setting=scale.setting, users=scale.users) for seed in scale.seeds),
        method=method,
        less=less,
        placebo=_curve(which, which.placebo, scale.levels, runs) if which.placebo else None,
        without=tuple(_without(which, method, runs)),
        slope=found,
        less_slope=slope(scale.levels, _values(less)) if less else None,
        rises=rises(found, lower=which.lower),
        revision=", ".join(sorted({run.revision for cells in runs for run in cells.values()})) or revision(),
        quick=scale.less_than(which),
    )


def own_folder(home: Path, slug: str) -> Path:
    """Folder of a dial in the home of whoever measures it: its file, its page and its figure."""
    return home / RESULTS / f"{_OWN_FOLDER}{slug}"


def own_folders(home: Path) -> list[Path]:
    """The folders of all dials in a home."""
    return sorted(folder for folder in (home / RESULTS).glob(f"{_OWN_FOLDER}*") if folder.is_dir())


def read(path: Path) -> Dialled:
    """The outcomes in this file."""
    return read_record(Dialled, path)


def write(folder: Path, found: Dialled) -> Path:
    """Write the outcomes, whole or not at all.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.slug}.json"
    text = json.dumps(rounded(found.model_dump(mode="json")), indent=1, ensure_ascii=False)
    atomic_write(path, f"{text}\n".encode())
    return path


def _world(which: Dial, settings: Settings, scale: Scale, seed: int, say: Say) -> Mapping[str, CellRun]:
    """The dial's cells on one world, by name."""
    name = which.data(seed, setting=scale.setting, users=scale.users)
    say(f"{which.name} on {name}")
    replica = replicate(
        which.experiment,
        ground(name, settings),
        cells=which.cells(scale.levels),
        options=which.options(scale.levels),
        seed=FIRST_TRAINING + seed,
        say=lambda line: say(f"{which.name} on {name}: {line}"),
    )
    return replica.runs


def _outcome(which: Dial, run: CellRun) -> Summary:
    found = run.measures if which.measure else run.test
    if which.metric not in found:
        raise UsageError(
            f"{which.name} has no {which.metric} on one of its worlds (nobody's target was retrieved, or all rows have "
            "one label): the worlds are too small. Give more --users."
        )
    return found[which.metric]


def _curve(which: Dial, row: str, levels: Sequence[float], runs: Sequence[Mapping[str, CellRun]]) -> Curve:
    points = tuple(tuple(_outcome(which, cells[at(row, level)]) for level in levels) for cells in runs)
    means = tuple(over_seeds([of_seed[i].mean for of_seed in points]) for i in range(len(levels)))
    return Curve(row=row, points=points, means=means)


def _values(curve: Curve) -> Floats:
    """Outcomes [S, L]."""
    return np.array([[point.mean for point in of_seed] for of_seed in curve.points])


def _without(which: Dial, method: Curve, runs: Sequence[Mapping[str, CellRun]]) -> list[Without]:
    start = _values(method)[:, 0]
    rows = {name: np.array([_outcome(which, cells[name]).mean for cells in runs]) for name in which.without}
    if which.constant:
        rows = {which.constant[0]: np.full(len(runs), which.constant[1]), **rows}
    found = []
    for name, values in rows.items():
        difference = beyond(start, values)
        said = beside(difference, lower=which.lower)
        points, mean = tuple(values.tolist()), over_seeds(values.tolist())
        found.append(Without(row=name, points=points, mean=mean, start=difference, says=said))
    return found
