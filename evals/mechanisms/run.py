"""Run a mechanism's cells on several worlds and say what comes out.

    measure(mechanism("pulse-tree"), settings, Scale()) -> Measured, in $WHYREC_HOME/results/mechanism.pulse-tree

Cells run through `evals.replicate`, every identity once, so an interrupted mechanism goes on where it stopped
and more worlds or models cost only themselves. What is written holds everything the page shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evals.evaluate import revision
from evals.inputs.outcomes import Outcomes, atomic_write
from evals.mechanisms.catalogue import SETTINGS, Arm, Mechanism
from evals.mechanisms.marks import marks_of
from evals.mechanisms.numbers import LEAST_WORLDS, Says, detectable, gain, pooled, says
from evals.metrics import Floats, metric
from evals.replicate import ground, replicate
from evals.results import RESULTS, read_record, rounded
from evals.statistics.aggregate import holm, over_seeds
from evals.summary import Paired, Summary
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings

_OWN_FOLDER = "mechanism."
Say = Callable[[str], None]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pair(_Record):
    """The method against one other row, with one model.

    Attributes:
        other: the row.
        gain: method minus the other, turned so that more is better; over users.
        p: of it, Holm-adjusted over all pairs of the mechanism.
        worlds: gain of each world.
        over: their mean with its t interval.
        detectable: the gain that so many users would show in four of five tries.
        says: what both tests together say.
    """

    other: str
    gain: Paired
    p: float
    worlds: tuple[float, ...]
    over: Summary
    detectable: float
    says: Says


class Block(_Record):
    """One model.

    Attributes:
        llm: its name.
        rows: row -> its outcome over the users of all worlds; the method first, the placebo last.
        pairs: the method against each other row, the placebo last.
        marks: diagnostics, means over the worlds.
    """

    llm: str
    rows: dict[str, Summary]
    pairs: tuple[Pair, ...]
    marks: dict[str, float] = Field(default_factory=dict)


class Measured(_Record):
    """A mechanism's outcomes.

    Attributes:
        name: of the mechanism.
        setting: of the worlds.
        metric: what was measured.
        lower: lower is better.
        embedder: that was used.
        method, others, placebo: rows.
        users: asked about in each world.
        seeds: of the worlds.
        data: names of the worlds.
        blocks: by model.
        revision: of the code that measured the cells.
        quick: why it is only a quick look ("24 users instead of 400"), "" where it is the mechanism as declared.
    """

    name: str
    setting: str
    metric: str
    lower: bool
    embedder: str
    method: str
    others: tuple[str, ...]
    placebo: str
    users: int
    seeds: tuple[int, ...]
    data: tuple[str, ...]
    blocks: tuple[Block, ...]
    revision: str
    quick: str = ""

    def said(self, pair: Pair) -> str:
        """What a pair of it says; a quick look says nothing."""
        return "no result" if self.quick else pair.says


@dataclass(frozen=True)
class Scale:
    """How much of a mechanism is run.

    Attributes:
        seeds: of the worlds; () for the mechanism's own.
        setting: of the worlds.
        llms: models; () for the mechanism's own.
        users: asked about in each world, None for the mechanism's own number.
        embedder: in place of the mechanism's own, "" for that.

    Raises:
        UsageError: fewer than two worlds.
        UnknownNameError: no such setting.
    """

    seeds: tuple[int, ...] = ()
    setting: str = "default"
    llms: tuple[str, ...] = ()
    users: int | None = None
    embedder: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be judged."""
        if self.setting not in SETTINGS:
            raise UnknownNameError("world setting", self.setting, SETTINGS)
        if len(self.seeds) == 1:
            raise UsageError("One world says nothing about another: give more --seeds.")
        if self.users is not None and self.users < 2:
            raise UsageError("A mechanism needs at least two users in each world.")

    def less_than(self, which: Mechanism) -> str:
        """Where this is less than the mechanism as it is declared, "" where it is not."""
        asked = {
            "users": (self.users or which.users, which.users),
            "worlds": (len(self.seeds or which.seeds), LEAST_WORLDS),
        }
        return ", ".join(f"{n:,} {what} instead of {own:,}" for what, (n, own) in asked.items() if n < own)

    def of(self, which: Mechanism) -> Mechanism:
        """The mechanism as it is to be run."""
        return replace(which, embedder=self.embedder) if self.embedder else which


def measure(which: Mechanism, settings: Settings, scale: Scale = Scale(), *, say: Say = lambda _line: None) -> Measured:
    """Run a mechanism where it has not been run, and say what comes out.

    Raises:
        UsageError: a run could not be brought to its end; the same call goes on from there.
    """
    which = scale.of(which)
    found = [_worlds(which, settings, scale, llm=llm, say=say) for llm in scale.llms or which.models]
    seeds = scale.seeds or which.seeds
    return Measured(
        name=which.name,
        setting=scale.setting,
        metric=which.metric,
        lower=not metric(which.metric).higher_is_better,
        embedder=_shown(which.embedder),
        method=which.method.row,
        others=tuple(arm.row for arm in which.others),
        placebo=which.placebo.row,
        users=scale.users or which.users,
        seeds=seeds,
        data=tuple(which.data(scale.setting, seed, scale.users) for seed in seeds),
        blocks=judged(which, found),
        revision=", ".join(sorted({r for one in found for r in one.revisions})) or revision(),
        quick=scale.less_than(which),
    )


def own_folder(home: Path, name: str) -> Path:
    """Folder of a mechanism in the home of whoever measures it: its file and its page."""
    return home / RESULTS / f"{_OWN_FOLDER}{name}"


def own_folders(home: Path) -> list[Path]:
    """The folders of all mechanisms in a home."""
    return sorted(folder for folder in (home / RESULTS).glob(f"{_OWN_FOLDER}*") if folder.is_dir())


def read(path: Path) -> Measured:
    """The outcomes in this file."""
    return read_record(Measured, path)


def write(folder: Path, found: Measured, *, which: Mechanism) -> Path:
    """Write the outcomes, whole or not at all; returns the file, which is named after what is not as declared."""
    folder.mkdir(parents=True, exist_ok=True)
    more = [] if found.setting == "default" else [found.setting]
    more += [] if found.embedder == _shown(which.embedder) else [found.embedder.replace(":", "_")]
    path = folder / f"{'.'.join([found.name, *more])}.json"
    text = json.dumps(rounded(found.model_dump(mode="json")), indent=1, ensure_ascii=False)
    atomic_write(path, f"{text}\n".encode())
    return path


def _shown(embedder: str) -> str:
    """An embedder's name without the folder its weights lie in."""
    kind, colon, rest = embedder.partition(":")
    return f"{kind}{colon}{Path(rest).name}" if kind == "hf" else embedder


@dataclass(frozen=True, eq=False)
class Worlds:
    """What the rows said on the worlds with one model.

    Attributes:
        llm: the model.
        outcomes: [world] row -> per user.
        marks: [world] diagnostics.
        revisions: of the code that measured.
    """

    llm: str
    outcomes: tuple[Mapping[str, Outcomes], ...]
    marks: tuple[Mapping[str, float], ...] = ()
    revisions: frozenset[str] = frozenset()

    def values(self, row: str, name: str) -> list[Floats]:
        """Per user of each world."""
        return [of_world[row].values(name) for of_world in self.outcomes]

    def gains(self, method: str, other: str, name: str) -> list[Floats]:
        """Per user of each world, those scored in both rows; more is better."""
        sign = 1.0 if metric(name).higher_is_better else -1.0
        found = []
        for rows in self.outcomes:
            a, b = rows[method], rows[other]
            _, i, j = np.intersect1d(a.users, b.users, return_indices=True)
            found.append(sign * (a.values(name)[i] - b.values(name)[j]))
        return found


def _worlds(which: Mechanism, settings: Settings, scale: Scale, *, llm: str, say: Say) -> Worlds:
    outcomes, marks, revisions = [], [], set()
    options = which.options([llm], scale.users)
    for seed in scale.seeds or which.seeds:
        name = which.data(scale.setting, seed, scale.users)
        say(f"{which.name} on {name} with {llm}")
        on, rows = ground(name, settings), dict[str, Outcomes]()
        for experiment in dict.fromkeys(arm.experiment for arm in which.arms):
            arms = [arm for arm in which.arms if arm.experiment == experiment]
            replica = replicate(experiment, on, cells=[arm.cell(llm) for arm in arms], options=options, say=say)
            rows |= {arm.row: replica.outcomes[arm.cell(llm)] for arm in arms}
            revisions |= {run.revision for run in replica.runs.values()}
        outcomes.append(rows)
        marks.append(marks_of(which.marks, on, llm, options))
    return Worlds(llm, tuple(outcomes), tuple(marks), frozenset(revisions))


def judged(which: Mechanism, found: Sequence[Worlds]) -> tuple[Block, ...]:
    """Rows and pairs of every model; p-values adjusted over all pairs."""
    others = (*which.others, which.placebo)
    gains = {
        (i, arm.row): one.gains(which.method.row, arm.row, which.metric)
        for i, one in enumerate(found)
        for arm in others
    }
    tested = {key: gain(values) for key, values in gains.items()}
    adjusted = dict(zip(tested, holm([g.p for g in tested.values()]), strict=True))
    return tuple(
        Block(
            llm=one.llm,
            rows={arm.row: _row(one, arm, which.metric) for arm in which.arms},
            pairs=tuple(_pair(arm.row, gains[i, arm.row], tested[i, arm.row], adjusted[i, arm.row]) for arm in others),
            marks=_means(one.marks),
        )
        for i, one in enumerate(found)
    )


def _row(one: Worlds, arm: Arm, name: str) -> Summary:
    return pooled(one.values(arm.row, name), unscored=sum(len(rows[arm.row].failures) for rows in one.outcomes))


def _pair(other: str, gains: Sequence[Floats], users: Paired, p: float) -> Pair:
    means = tuple(float(g.mean()) for g in gains)
    over = over_seeds(means)
    return Pair(
        other=other,
        gain=users,
        p=p,
        worlds=means,
        over=over,
        detectable=detectable(gains),
        says=says(users, p, over),
    )


def _means(marks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each diagnostic, over the worlds that have it."""
    names = dict.fromkeys(name for one in marks for name in one)
    return {name: float(np.mean([one[name] for one in marks if name in one])) for name in names}
