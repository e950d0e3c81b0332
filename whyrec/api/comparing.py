"""Runs held against each other: recorded ones, or made for it (the function behind `whyrec compare`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
from typing_extensions import Unpack

from evals.inputs.worth import check
from graphs.engine.job import How
from graphs.engine.models import split_models
from graphs.engine.progress import Snapshot
from graphs.workflow import workflow
from whyrec.api.data import Data, as_data
from whyrec.api.loop import aside
from whyrec.api.prompts import PromptText
from whyrec.api.running import LEAST_CONNECTIONS, NotConfirmed, options_of, shown
from whyrec.api.runs import Run
from whyrec.api.shown import Sentences, cells, say
from whyrec.data.some import how_many
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget, Limits
from whyrec.llm.prices import price_of
from whyrec.settings import Settings, read_settings
from whyrec.workbench.compare import (
    Arm,
    Comparison,
    Row,
    Subject,
    about,
    arms,
    as_json,
    held_against,
    prepared,
    run_arm,
)
from whyrec.workbench.compare_recorded import compare_runs

_LEVEL = 0.05


@dataclass(frozen=True)
class Compared:
    """Runs held against the first of them, example by example. `show()` prints it; a notebook shows it by itself.

    Attributes:
        found: everything in it: the runs, the measures with their tests, the examples that changed most.
        about: graph, data and options, where the runs were made for this comparison or share them.
    """

    found: Comparison
    about: Mapping[str, Any] = field(default_factory=dict)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        arms = self.found.arms
        names = ["", *(one.arm.name for one in arms)]
        names += [f"{one.arm.name} - {arms[0].arm.name}{what}" for one in arms[1:] for what in ("", ": p", ": n")]
        rows = []
        for row in self.found.rows:
            tests = [cell for number in range(1, len(arms)) for cell in row.tested(number)]
            rows.append(
                [f"{row.name}{' ↓' if row.better == 'lower' else ''}", *map(row.mean, range(len(arms))), *tests]
            )
        return names, rows

    def show(self) -> None:
        """Print means, differences with 95 % intervals, and p-values of a permutation test over examples."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        names, rows = self._table()
        table = Table(box=None, pad_edge=False)
        for name in names:
            table.add_column(Text(name))
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)

    def to_polars(self) -> pl.DataFrame:
        """A row per measure and run but the first: both means, the difference, its interval, p and n."""
        arms, rows = self.found.arms, []
        for row in self.found.rows:
            for number in range(1, len(arms)):
                old, new, test = row.means[0], row.means[number], row.tests[number]
                rows.append({
                    "measure": row.name, "better": row.better, "run": arms[number].run, "first": arms[0].run,
                    "mean": new and new.mean, "first mean": old and old.mean,
                    "difference": test and test.difference, "low": test and test.low, "high": test and test.high,
                    "p": row.p[number], "n": test and test.n,
                })  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything in it, for programs: what `whyrec compare --json` prints."""
        return {**self.about, **as_json(self.found)}

    def __repr__(self) -> str:
        return f"<{' against '.join(one.run for one in self.found.arms)}; .show() prints it>"

    @property
    def says(self) -> Sentences:
        """What the differences in what the results are worth say and do not say, a sentence each."""
        arms = self.found.arms
        return Sentences(
            _said(f"{row.name}, {arms[number].arm.name} minus {arms[0].arm.name}", row, number)
            for row in self.found.rows
            if row.outcome
            for number in range(1, len(arms))
        )

    def _repr_html_(self) -> str:
        made = f"{cells(*self._table())}<p>{_HOW_TO_READ}</p>{self.says._repr_html_()}"
        arms = self.found.arms
        rows = [(one.key, arms[one.arm].arm.name, f"{one.old:.4g}", f"{one.new:.4g}") for one in self.found.changed]
        if not rows:
            return made
        names = ("example", "run", arms[0].arm.name, "that run")
        return f"{made}<details><summary>Examples that changed most</summary>{cells(names, rows)}</details>"


_HOW_TO_READ = (
    "Differences with 95 % intervals over examples, p of a permutation test; ↓: less is better; =: no example differs."
)


def _said(what: str, row: Row, number: int) -> str:
    """A difference as a sentence that claims no more than its interval and its p."""
    test, p, tests = row.tests[number], row.p[number], sum(one is not None for one in row.tests)
    if test is None or p is None:
        return f"{what}: no example has a value in both."
    if not (test.wins or test.losses):
        return f"{what}: the same in all {test.n:,} examples."
    told = f"{what}: {test.difference:+.3f}, 95 % interval [{test.low:+.3f}, {test.high:+.3f}], {test.n:,} examples"
    chance = f"p {'< .001' if p < 0.001 else f'{p:.3f}'}{f', adjusted for {tests} comparisons' if tests > 1 else ''}"
    if test.low <= 0 <= test.high:
        return f"{told}, {chance}. The interval includes 0: no difference is shown, and none within it is ruled out."
    if p >= _LEVEL:
        return f"{told}, {chance}. The interval leaves 0 out, but p is too large: no difference is shown."
    return f"{told}, {chance}. A difference is shown: the interval lies {'above' if test.low > 0 else 'below'} 0."


def compare(*runs: Run | str, names: Sequence[str] = (), most: int = 10, settings: Settings | None = None) -> Compared:
    """Hold recorded runs of one graph against the first of them, example by example.

    `contrast` makes the runs, too.

    Args:
        *runs: two or more, or their names.
        names: what to call each in the table; their models where nothing is given and these differ, else their ids.
        most: examples that changed most, per run.
        settings: folders.

    Raises:
        UnknownNameError, UsageError: there is no such run, they are of different graphs or data, or have not one name
            of their own each.
    """
    if names and (len(names) != len(runs) or len(set(names)) < len(names)):
        raise UsageError(f"{len(runs)} runs are called by as many different names, not by {', '.join(names)}.")
    settings = settings or next((one.settings for one in runs if isinstance(one, Run)), None) or read_settings()
    found = compare_runs([one.id if isinstance(one, Run) else one for one in runs], settings, most=most)
    if names:
        named = (replace(one, arm=replace(one.arm, name=name)) for one, name in zip(found.arms, names, strict=True))
        found = replace(found, arms=tuple(named))
    info = Run(found.arms[0].run, settings).info
    return Compared(found, {"graph": info["graph"], "data": info["data"]})


class ContrastOptions(TypedDict, total=False):
    """What is held against each other, and how it is run; all may be left out.

    Every model of `llm` (ROLE=NAME is that of one role in all runs) with every one of `prompts` ("house", an edited
    copy, or files joined by commas) and every one of `seeds` is a run; the first is what all others are held against.
    Two or more have to be named, or one model twice, which is itself with two seeds.

    Of the examples: `users`, so many of them, `drawn` at random (always the same; default) or the first ones; `options`
    of the graph; `split`. `most`: examples that changed most, per run (5).

    Over all runs: `budget_calls`, `budget_tokens`, `budget_usd`; `concurrency`, examples at once.

    `confirm`: told at most how many calls there may be before the first one; where it gives False, nothing is begun
    and `NotConfirmed` is raised, and what it raises is handed on. `progress`, `say`, `command`, `settings`: as for
    `run`.
    """

    llm: Sequence[str]
    prompts: Sequence[str | Path | PromptText]
    seeds: Sequence[int]
    users: int | None
    drawn: bool
    options: Mapping[str, Any]
    split: str
    most: int
    budget_calls: int | None
    budget_tokens: int | None
    budget_usd: float | None
    concurrency: int
    confirm: Callable[[int], bool] | None
    progress: bool | Callable[[Snapshot], None]
    say: Callable[[str], None]
    command: str
    settings: Settings


def contrast(graph: str, data: Data | Any, **how: Unpack[ContrastOptions]) -> Compared:
    """Put the same examples through several models, prompts or seeds, and hold them against the first of them.

    Each is an ordinary run, which goes on where it stopped.

    Args:
        graph: its name (`whyrec run --list`).
        data: a `Data`, or whatever `load_data` opens.
        **how: see `ContrastOptions`.

    Raises:
        UnknownNameError: no such graph, data, model or option, or nothing can be said of single examples of the graph.
        UsageError: fewer than two runs or too many, or one could not be brought to its end; the same call goes on.
        NotConfirmed: `confirm` said no.
        KeyboardInterrupt: it was interrupted; what is finished is kept.
    """
    for name in how:
        if name not in ContrastOptions.__annotations__:
            raise UnknownNameError("argument of whyrec.contrast", name, ContrastOptions.__annotations__)
    settings = how.get("settings") or read_settings(concurrency=how.get("concurrency"))
    plain, roles = split_models(how.get("llm", ()))
    versions = [one.prompt if isinstance(one, PromptText) else str(one) for one in how.get("prompts", ())]
    compared = arms(plain or [settings.llm], versions, how.get("seeds", ()))
    flow = workflow(graph)
    options = options_of(flow, how.get("options", {}), how.get("split", ""))
    opened = as_data(data, settings)
    many = how_many(how.get("users"), drawn=how.get("drawn", True))
    subject = Subject(flow.name, options, opened.opened.data, many, roles)
    doing = How(
        settings=settings,
        concurrency=how.get("concurrency"),
        budget=Budget(calls=how.get("budget_calls"), tokens=how.get("budget_tokens"), dollars=how.get("budget_usd")),
        limits=Limits(concurrency=max(LEAST_CONNECTIONS, settings.concurrency)),
        world=opened.opened.world,
        command=how.get("command") or f"whyrec.contrast({graph!r}, …)",
        say=how.get("say") or say,
    )
    work = partial(_contrasted, subject, compared, doing, how)
    return Compared(aside(work, interrupted=doing.stop.ask), about(subject))


def _contrasted(subject: Subject, compared: Sequence[Arm], doing: How, how: ContrastOptions) -> Comparison:
    calls, confirm = _calls(subject, compared, doing), how.get("confirm")
    if confirm is not None and not confirm(calls):
        raise NotConfirmed(calls)
    with shown(how.get("progress", True)) as told:
        ran = [run_arm(subject, arm, replace(doing, progress=told))[0] for arm in compared]
    return held_against(ran, most=how.get("most", 5))


def _calls(subject: Subject, compared: Sequence[Arm], how: How) -> int:
    """At most how many calls there may be; counted, not asked of anybody.

    Raises:
        UnknownNameError, UsageError: nothing can be compared, or the budget cannot be kept with one of the models.
    """
    check(subject.graph)
    most = 0
    for arm in compared:
        job = prepared(subject, arm, how)
        most += job.inputs.calls()
        asyncio.run(job.models.close())
        for model in job.models.all:
            if how.budget is not None:
                how.budget.check(model, price_of(model.name, home=how.settings.home))
    return most
