"""Run an ablation's cells on several worlds of every setting and judge what they say.

    ablate(ablation("pulse-tree"), settings, Scale()) -> Ablated, in $WHYREC_HOME/results/ablation.pulse-tree

Cells run through `evals.replicate`, every identity once, so an interrupted ablation goes on where it stopped
and more worlds or models cost only themselves. What is written holds everything the page shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evals.ablations.catalogue import SETTINGS, Ablation, Arm
from evals.ablations.marks import marks_of
from evals.ablations.numbers import Says, detectable, gain, over_worlds, pooled, says
from evals.evaluate import revision
from evals.inputs.outcomes import Outcomes, atomic_write
from evals.metrics import Floats, metric
from evals.replicate import ground, replicate
from evals.results import RESULTS, read_record, rounded
from evals.statistics.aggregate import holm
from evals.summary import Paired, Summary
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings

_OWN_FOLDER = "ablation."
Say = Callable[[str], None]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pair(_Record):
    """The method against one other row, in one setting with one model.

    Attributes:
        other: the row.
        gain: method minus the other, turned so that more is better; over users.
        p: of it, Holm-adjusted over the settings.
        worlds: gain of each world.
        detectable: the gain that so many users would show in four of five tries.
        says: as the claim has it, the opposite, or neither.
    """

    other: str
    gain: Paired
    p: float
    worlds: tuple[float, ...]
    detectable: float
    says: Says


class Block(_Record):
    """One setting with one model.

    Attributes:
        setting: of the worlds.
        llm: the model.
        data: names of the worlds.
        rows: row -> its outcome over the users of all worlds; the method first, the placebo last.
        pairs: the method against each other row, the placebo last.
        marks: diagnostics, means over the worlds.
    """

    setting: str
    llm: str
    data: tuple[str, ...]
    rows: dict[str, Summary]
    pairs: tuple[Pair, ...]
    marks: dict[str, float] = Field(default_factory=dict)


class Overall(_Record):
    """The method against one other row over the worlds of all settings, with one model.

    Attributes:
        llm: the model.
        other: the row.
        gain: mean over the worlds, t interval.
        p: exact sign flips over the worlds, not adjusted.
        agree: worlds with a gain.
    """

    llm: str
    other: str
    gain: Summary
    p: float
    agree: int


class Ablated(_Record):
    """An ablation's outcomes.

    Attributes:
        name: of the ablation.
        metric: what was measured.
        lower: lower is better.
        method, others, placebo: rows.
        users: asked about in each world.
        seeds: of the worlds.
        blocks: by model, then setting.
        overall: by model, then row.
        revision: of the code that measured the cells.
        quick: why it is only a quick look ("24 users instead of 400"), "" where it is the ablation as it is declared.
    """

    name: str
    metric: str
    lower: bool
    method: str
    others: tuple[str, ...]
    placebo: str
    users: int
    seeds: tuple[int, ...]
    blocks: tuple[Block, ...]
    overall: tuple[Overall, ...]
    revision: str
    quick: str = ""

    @property
    def llms(self) -> tuple[str, ...]:
        """Models, in the order measured."""
        return tuple(dict.fromkeys(block.llm for block in self.blocks))

    def of(self, llm: str) -> list[Block]:
        """The blocks of a model."""
        return [block for block in self.blocks if block.llm == llm]

    def said(self, pair: Pair) -> str:
        """What a pair of it says; a quick look says nothing."""
        return "no result" if self.quick else pair.says


@dataclass(frozen=True)
class Scale:
    """How much of an ablation is run.

    Attributes:
        seeds: of the worlds of each setting; () for the ablation's own.
        settings: of the worlds.
        llms: models, each asked for all its own cells; () for the ablation's own.
        users: asked about in each world, None for the ablation's own number.

    Raises:
        UsageError: fewer than two worlds.
        UnknownNameError: no such setting.
    """

    seeds: tuple[int, ...] = ()
    settings: tuple[str, ...] = SETTINGS
    llms: tuple[str, ...] = ()
    users: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be judged."""
        for setting in self.settings:
            if setting not in SETTINGS:
                raise UnknownNameError("world setting", setting, SETTINGS)
        if self.seeds and len(self.seeds) * len(self.settings) < 2:
            raise UsageError("One world says nothing about another: give more --seeds.")
        if self.users is not None and self.users < 2:
            raise UsageError("An ablation needs at least two users in each world.")

    def less_than(self, which: Ablation) -> str:
        """Where this is less than the ablation as it is declared, "" where it is not."""
        asked = {
            "users": (self.users or which.users, which.users),
            "worlds of each setting": (len(self.seeds or which.seeds), len(which.seeds)),
        }
        return ", ".join(f"{n:,} {what} instead of {own:,}" for what, (n, own) in asked.items() if n < own)


def ablate(which: Ablation, settings: Settings, scale: Scale = Scale(), *, say: Say = lambda _line: None) -> Ablated:
    """Run an ablation where it has not been run, and judge it.

    Raises:
        UsageError: a run could not be brought to its end; the same call goes on from there.
    """
    found: list[_Worlds] = []
    for llm in scale.llms or which.models:
        for setting in scale.settings:
            found.append(_worlds(which, settings, scale, setting=setting, llm=llm, say=say))
    return Ablated(
        name=which.name,
        metric=which.metric,
        lower=not metric(which.metric).higher_is_better,
        method=which.method.row,
        others=tuple(arm.row for arm in which.others),
        placebo=which.placebo.row,
        users=scale.users or which.users,
        seeds=scale.seeds or which.seeds,
        blocks=judged(which, found),
        overall=tuple(_overall(which, found)),
        revision=", ".join(sorted({r for one in found for r in one.revisions})) or revision(),
        quick=scale.less_than(which),
    )


def own_folder(home: Path, name: str) -> Path:
    """Folder of an ablation in the home of whoever measures it: its file and its page."""
    return home / RESULTS / f"{_OWN_FOLDER}{name}"


def own_folders(home: Path) -> list[Path]:
    """The folders of all ablations in a home."""
    return sorted(folder for folder in (home / RESULTS).glob(f"{_OWN_FOLDER}*") if folder.is_dir())


def read(path: Path) -> Ablated:
    """The outcomes in this file."""
    return read_record(Ablated, path)


def write(folder: Path, found: Ablated) -> Path:
    """Write the outcomes, whole or not at all; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.name}.json"
    text = json.dumps(rounded(found.model_dump(mode="json")), indent=1, ensure_ascii=False)
    atomic_write(path, f"{text}\n".encode())
    return path


@dataclass(frozen=True, eq=False)
class _Worlds:
    """What the rows said on the worlds of a setting.

    Attributes:
        setting, llm: see `Block`.
        data: names of the worlds.
        outcomes: [world] row -> per user.
        marks: [world] diagnostics.
        revisions: of the code that measured.
    """

    setting: str
    llm: str
    data: tuple[str, ...]
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


def _worlds(which: Ablation, settings: Settings, scale: Scale, *, setting: str, llm: str, say: Say) -> _Worlds:
    outcomes, marks, revisions = [], [], set()
    options = which.options([llm], scale.users)
    names = [which.data(setting, seed, scale.users) for seed in scale.seeds or which.seeds]
    for name in names:
        say(f"{which.name} on {name} with {llm}")
        on, rows = ground(name, settings), dict[str, Outcomes]()
        for experiment in dict.fromkeys(arm.experiment for arm in which.arms):
            arms = [arm for arm in which.arms if arm.experiment == experiment]
            replica = replicate(experiment, on, cells=[arm.cell(llm) for arm in arms], options=options, say=say)
            rows |= {arm.row: replica.outcomes[arm.cell(llm)] for arm in arms}
            revisions |= {run.revision for run in replica.runs.values()}
        outcomes.append(rows)
        marks.append(marks_of(which.marks, on, llm, options))
    return _Worlds(setting, llm, tuple(names), tuple(outcomes), tuple(marks), frozenset(revisions))


def judged(which: Ablation, found: Sequence[_Worlds]) -> tuple[Block, ...]:
    """Rows and pairs of every setting; p-values adjusted over the settings, each model and pair for itself."""
    rows = (which.method, *which.others, which.placebo)
    adjusted: dict[tuple[str, str, str], tuple[Paired, float]] = {}
    for llm in dict.fromkeys(one.llm for one in found):
        some = [one for one in found if one.llm == llm]
        for arm in rows[1:]:
            gains = [gain(one.gains(which.method.row, arm.row, which.metric)) for one in some]
            for one, g, p in zip(some, gains, holm([g.p for g in gains]), strict=True):
                adjusted[llm, one.setting, arm.row] = g, p
    return tuple(
        Block(
            setting=one.setting,
            llm=one.llm,
            data=one.data,
            rows={arm.row: _row(one, arm, which.metric) for arm in rows},
            pairs=tuple(_pair(one, which, arm, *adjusted[one.llm, one.setting, arm.row]) for arm in rows[1:]),
            marks=_means(one.marks),
        )
        for one in found
    )


def _row(one: _Worlds, arm: Arm, name: str) -> Summary:
    return pooled(one.values(arm.row, name), unscored=sum(len(rows[arm.row].failures) for rows in one.outcomes))


def _pair(one: _Worlds, which: Ablation, arm: Arm, found: Paired, p: float) -> Pair:
    gains = one.gains(which.method.row, arm.row, which.metric)
    return Pair(
        other=arm.row,
        gain=found,
        p=p,
        worlds=tuple(float(g.mean()) for g in gains),
        detectable=detectable(gains),
        says=says(found.difference, p),
    )


def _means(marks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each diagnostic, over the worlds that have it."""
    names = dict.fromkeys(name for one in marks for name in one)
    return {name: float(np.mean([one[name] for one in marks if name in one])) for name in names}


def _overall(which: Ablation, found: Sequence[_Worlds]) -> list[Overall]:
    told = []
    for llm in dict.fromkeys(one.llm for one in found):
        for arm in (*which.others, which.placebo):
            some = [one for one in found if one.llm == llm]
            gains = [g for one in some for g in one.gains(which.method.row, arm.row, which.metric)]
            means = [float(g.mean()) for g in gains]
            mean, p = over_worlds(means)
            told.append(Overall(llm=llm, other=arm.row, gain=mean, p=p, agree=sum(m > 0 for m in means)))
    return told
