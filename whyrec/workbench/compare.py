"""The same examples through several models, prompts or samples, held against each other example by example.

Each arm is an ordinary run: it goes on where it stopped, asks nothing that is in the call cache, and every call of it
can be looked at. What the results are worth is read by the functions that the experiments use (`evals.inputs.worth`);
every difference is tested by example: a sign-flip permutation test and a bootstrap interval
(`evals.statistics.aggregate`).

An example that failed on either side has no difference: it is left out of that test and counted in `unscored`. How
many examples are done is a row of its own, so a model cannot win by failing where it would lose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import prompts
from agents.wording import Wording, read_edited
from evals.inputs.workflow_runs import brought_to_its_end
from evals.inputs.worth import worth
from evals.statistics.aggregate import compare, holm, summarise
from evals.summary import Paired, Summary
from graphs.outcomes import Judged, Worth
from graphs.run import How, Job, Models, RunReport, prepare
from graphs.workflow import identity_of
from prompts import Prompt
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.data.some import HowMany
from whyrec.errors import UsageError
from whyrec.runs import Result, open_run
from whyrec.runs.amounts import judged
from whyrec.workbench.compare_costs import Took, took
from whyrec.workbench.labels import with_labels

HOUSE = "house"  # the prompts as they stand
MOST_ARMS = 12


@dataclass(frozen=True)
class Arm:
    """One of what is compared: a model, edited prompts, a seed. `name` says what is its own."""

    name: str
    llm: str
    prompts: tuple[Prompt, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Subject:
    """What every arm is put through: workflow, options, data, how many users, models of single roles."""

    graph: str
    options: Any
    data: Corpus | Questions
    users: HowMany = None
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """An arm's run: its results and what they took, by the keys of the examples that all arms share.

    `unusable` says why answers of the run were of no use, and how many, the commonest reason first.
    """

    arm: Arm
    run: str
    results: Mapping[str, Result]
    took: Mapping[str, Took]
    worth: tuple[Worth, ...]
    unusable: Mapping[str, int] = field(default_factory=dict)

    @property
    def cached(self) -> float:
        """Share of the calls that the cache answered, or the flight of an identical call."""
        calls = sum(t.calls for t in self.took.values())
        answered = sum(t.calls - t.asked - t.errors for t in self.took.values())
        return answered / calls if calls else 0.0

    @property
    def answers(self) -> str:
        """How many answers were of use, and why the others were not, for people."""
        return judged(sum(t.usable for t in self.took.values()), self.unusable)


@dataclass(frozen=True)
class Row:
    """One measure.

    Attributes:
        name: of the measure.
        better: "higher", "lower" or "" where neither is.
        means: per arm; None where there is no value.
        tests: per arm, it minus the first one; None for the first and where no example has a value in both.
        p: the tests' p-values, adjusted by Holm where there are several.
        outcome: whether it is about what the results are worth, else about what they took.
    """

    name: str
    better: str
    means: tuple[Summary | None, ...]
    tests: tuple[Paired | None, ...]
    p: tuple[float | None, ...]
    outcome: bool = False

    def mean(self, number: int) -> str:
        """An arm's mean, for people; "" where there is none."""
        mean = self.means[number]
        return "" if mean is None else f"{mean.mean:.4g}" if abs(mean.mean) < 1000 else f"{mean.mean:,.0f}"

    def tested(self, number: int) -> tuple[str, str, str]:
        """An arm minus the first, for people: the difference with its interval, p, and how many examples."""
        test, p = self.tests[number], self.p[number]
        if test is None or p is None:
            return "", "", ""
        if not (test.wins or test.losses):
            return "=", "", str(test.n)
        told = f"{test.difference:+.4g} [{test.low:+.4g}, {test.high:+.4g}]"
        return told, "< .001" if p < 0.001 else f"{p:.3f}", str(test.n)


@dataclass(frozen=True)
class Changed:
    """An example whose outcome differs between the first arm and another."""

    key: str
    arm: int
    old: float
    new: float

    @property
    def by(self) -> float:
        """How much."""
        return self.new - self.old


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        arms: as they ran; all others are held against the first.
        rows: the measures, outcomes first.
        changed: the examples that changed most in the first outcome, per arm but the first.
    """

    arms: tuple[Ran, ...]
    rows: tuple[Row, ...]
    changed: tuple[Changed, ...]

    def diff(self, changed: Changed) -> str:
        """The command that shows an example's two ways side by side."""
        old, new = self.arms[0].run, self.arms[changed.arm].run
        return f"whyrec trace diff {old}/{changed.key} {new}/{changed.key}"


def arms(llms: Sequence[str], wordings: Sequence[str | Prompt], seeds: Sequence[int]) -> list[Arm]:
    """Every model with every version of the prompts and every seed, so that no two differences are mixed.

    Args:
        llms: names of models; the same one twice is a model against itself, and gets seeds 0, 1, ...
        wordings: "house", an edited copy, or files of edited prompts joined by commas.
        seeds: of the samples.

    Raises:
        UsageError: fewer than two arms, or too many; or a file is not a usable copy of a prompt.
    """
    llms, wordings, seeds = list(llms), list(wordings) or [HOUSE], list(seeds)
    if len(set(llms)) == 1 < len(llms) and not seeds:
        llms, seeds = llms[:1], list(range(len(llms)))
    called = {"--llm": llms, "--prompt": [*map(_called, wordings)], "--seed": [str(seed) for seed in seeds]}
    for what, given in called.items():
        if twice := [one for one in given if given.count(one) > 1]:
            raise UsageError(f"{what} names {twice[0]} twice.")
    found = []
    for llm, wording, seed in product(llms, wordings, seeds or [0]):
        own = [f"prompt {Path(_called(wording)).stem}"] if len(wordings) > 1 else []
        own += [f"seed {seed}"] if len(seeds) > 1 else []
        name = ", ".join([*([llm] if len(llms) > 1 or not own else []), *own])
        found.append(Arm(name, llm, _edited(wording), seed))
    if not 2 <= len(found) <= MOST_ARMS:
        raise UsageError(
            f"Comparing takes 2 to {MOST_ARMS} arms, not {len(found)}: give two models (--llm A --llm B), two versions "
            f"of a prompt (--prompt {HOUSE} --prompt FILE), or two seeds (--seed 0 --seed 1)."
        )
    _check_different(found)
    return found


def _check_different(found: Sequence[Arm]) -> None:
    """Refuse two arms that ask the same: an untouched copy of a prompt is the prompt of the house."""
    first: dict[tuple[object, ...], str] = {}
    for arm in found:
        edited = frozenset(p.digest for p in arm.prompts if p.digest != prompts.load(p.name).digest)
        if (same := first.setdefault((arm.llm, edited, arm.seed), arm.name)) != arm.name:
            raise UsageError(
                f"{arm.name!r} and {same!r} ask the same in the same words. Edit the copy, or name another."
            )


def _called(wording: str | Prompt) -> str:
    return wording if isinstance(wording, str) else f"{wording.name} {wording.digest[:8]}"


def _edited(wording: str | Prompt) -> tuple[Prompt, ...]:
    if wording == HOUSE:
        return ()
    if isinstance(wording, Prompt):
        return (wording,)
    found = tuple(read_edited(Path(name)) for name in wording.split(","))
    if len({prompt.name for prompt in found}) < len(found):
        raise UsageError(f"--prompt {wording} has two copies of the same prompt.")
    return found


def prepared(subject: Subject, arm: Arm, how: How) -> Job:
    """The job of an arm; raises as `graphs.run.prepare`."""
    wording = Wording({prompt.name: prompt for prompt in arm.prompts}, arm.seed)
    return prepare(
        subject.graph,
        corpus=subject.data,
        model=Models(arm.llm, subject.roles, wording),
        options=subject.options,
        users=subject.users,
        how=how,
    )


def run_arm(subject: Subject, arm: Arm, how: How) -> tuple[Ran, RunReport]:
    """Run an arm to its end, or go on with its run, and read what came of it.

    Raises:
        UsageError: it could not be brought to its end; the same command goes on.
        UnknownNameError: nothing can be said of single examples of this workflow.
        KeyboardInterrupt: it was interrupted.
    """
    job = prepared(subject, arm, how)
    keys = [job.inputs.key(int(i)) for i in job.inputs.indices]
    report = brought_to_its_end(job, arm.name)
    run = open_run(how.settings.home, report.run)
    try:
        results = {key: result for key in keys if (result := run.result(key)) is not None}
        spent, unusable = took(run, keys), run.unusable()
        told = Judged(subject.data, job.inputs.options, tuple(results.values()), how.settings.home)
        measures = with_labels(worth(subject.graph, told), run)
    finally:
        run.close()
    return Ran(arm, report.run, results, spent, tuple(measures), unusable), report


def held_against(ran: Sequence[Ran], *, most: int = 10, seed: int = 0) -> Comparison:
    """All arms against the first.

    Args:
        ran: two or more.
        most: examples that changed most, per arm.
        seed: of the resamplings.

    Raises:
        UsageError: the arms share no example.
    """
    keys = [key for key in ran[0].results if all(key in other.results for other in ran)]
    if not keys:
        raise UsageError("The runs share no example, so there is nothing to compare.")
    shared = {w.name: w.better for w in ran[0].worth if all(w.name in _names(other) for other in ran)}
    rows = [
        _row(name, better, [_worth_of(one, name) for one in ran], keys, seed=seed, outcome=True)
        for name, better in shared.items()
    ]
    rows += [_row(name, better, [values(one) for one in ran], keys, seed=seed) for name, better, values in _TAKEN]
    first = next(iter(shared))
    return Comparison(tuple(ran), tuple(rows), tuple(_most_changed(ran, first, keys, most)))


def _names(one: Ran) -> set[str]:
    return {w.name for w in one.worth}


def _worth_of(one: Ran, name: str) -> Mapping[str, float]:
    return next(w.values for w in one.worth if w.name == name)


def _row(
    name: str,
    better: str,
    values: Sequence[Mapping[str, float]],
    keys: Sequence[str],
    *,
    seed: int,
    outcome: bool = False,
) -> Row:
    means: list[Summary | None] = []
    tests: list[Paired | None] = []
    for position, ours in enumerate(values):
        scored = np.array([ours[key] for key in keys if key in ours])
        means.append(summarise(scored, unscored=len(keys) - len(scored), seed=seed) if len(scored) else None)
        both = [key for key in keys if key in ours and key in values[0]] if position else []
        pair = [np.array([side[key] for key in both]) for side in (ours, values[0])]
        tests.append(compare(*pair, seed=seed) if both else None)
    told = [test.p for test in tests if test is not None]
    adjusted = iter(holm(told))
    p = tuple(None if test is None else next(adjusted) for test in tests)
    return Row(name, better, tuple(means), tuple(tests), p, outcome)


def _most_changed(ran: Sequence[Ran], name: str, keys: Sequence[str], most: int) -> list[Changed]:
    old = _worth_of(ran[0], name)
    found = []
    for number, one in enumerate(ran[1:], 1):
        new = _worth_of(one, name)
        changed = [Changed(key, number, old[key], new[key]) for key in keys if key in old and key in new]
        changed = [one for one in changed if one.by]
        found += sorted(changed, key=lambda one: (-abs(one.by), one.key))[:most]
    return found


def _of_each(measure: Callable[[Took], float | None]) -> Callable[[Ran], dict[str, float]]:
    def values(one: Ran) -> dict[str, float]:
        found = {key: measure(spent) for key, spent in one.took.items()}
        return {key: value for key, value in found.items() if value is not None}

    return values


def _done(one: Ran) -> dict[str, float]:
    return {key: float(result.status == "done") for key, result in one.results.items()}


def _seconds(took: Took) -> float | None:
    return took.seconds / took.answered if took.answered and took.seconds is not None else None


_TAKEN: tuple[tuple[str, str, Callable[[Ran], dict[str, float]]], ...] = (
    ("examples done", "higher", _done),
    ("answers usable", "higher", _of_each(lambda t: t.usable / t.judged if t.judged else None)),
    ("answers valid at first", "higher", _of_each(lambda t: 1 - (t.repairs + t.errors) / t.first if t.first else None)),
    ("repairs an example", "lower", _of_each(lambda t: t.repairs)),
    ("calls an example", "lower", _of_each(lambda t: t.calls)),
    ("seconds a call", "lower", _of_each(_seconds)),
    ("tokens in, an example", "lower", _of_each(lambda t: t.tokens_in)),
    ("tokens out, an example", "lower", _of_each(lambda t: t.tokens_out)),
    ("US dollars an example", "lower", _of_each(lambda t: t.cost)),
)


def about(subject: Subject) -> dict[str, Any]:
    """What all arms are put through, for programs."""
    return {"graph": subject.graph, "data": subject.data.name, "options": identity_of(subject.options)}


def as_json(found: Comparison, subject: Subject | None = None) -> dict[str, Any]:
    """Everything in it, for programs."""

    def plain(value: Any) -> Any:
        return None if value is None else {k: getattr(value, k) for k in value.__dataclass_fields__}

    return {
        **({} if subject is None else about(subject)),
        "arms": [
            {
                "name": one.arm.name,
                "llm": one.arm.llm,
                "prompts": {prompt.name: prompt.digest for prompt in one.arm.prompts},
                "seed": one.arm.seed,
                "run": one.run,
                "from the cache": one.cached,
                "unusable": dict(one.unusable),
            }
            for one in found.arms
        ],
        "rows": [
            {
                "name": row.name,
                "better": row.better,
                "means": [plain(mean) for mean in row.means],
                "tests": [plain(test) for test in row.tests],
                "p": list(row.p),
            }
            for row in found.rows
        ],
        "changed": [
            {"example": one.key, "arm": one.arm, "old": one.old, "new": one.new, "read": found.diff(one)}
            for one in found.changed
        ],
    }
