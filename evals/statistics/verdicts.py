"""What the numbers say: intervals over users and seeds, differences, and a sentence for every claim, either way.

Users are drawn within seeds, and both are levels of the test. A difference is tested over users (permutation test on
each user's mean over the common seeds) and over seeds (Student's t interval over the seeds' differences). Testing over
users alone would take one lucky initialisation for an effect; testing over three seeds alone forgets whom they were
measured on. So a pair of cells supports its claim when the difference is positive, its p-value over users, adjusted for
the number of pairs of that claim (Holm), is below .05 *and* the interval over the seeds lies above 0; it contradicts
when the same holds of the opposite; otherwise *not supported*, which is not the same as refuted. One seed of something
trained says nothing of training: *no verdict*. Where nothing was trained there are no seeds, and users decide.

Whatever p says: a quick look (training cut short, data cut to the first users) has *no result*; what can say nothing
(`evals.statistics.informative`) is *uninformative*; where a built-in double answered for a language model, or the data
only exercise the code, there is *no verdict*. Which rows those are is found by code, never listed by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.experiment import Experiment
from evals.inputs.outcomes import Outcomes
from evals.metrics import Floats, Ints, metric
from evals.results import Difference, Kind, Results, Row, Verdict
from evals.statistics.aggregate import compare, holm, over_seeds, sign_p, summarise
from evals.statistics.informative import of_pair
from evals.summary import Summary
from whyrec.llm.registry import is_real

ALPHA = 0.05

Loader = Callable[[str], Outcomes | None]


def judged(experiment: Experiment, table: Results, load: Loader) -> Results:
    """The table with everything that follows from its runs.

    What was already derived from the same runs is kept, so nothing is lost where the per-user outcomes (which `load`
    returns by digest) are not on this machine.
    """
    load = _once(load)
    rows = {name: _with_intervals(row, table.metrics, load) for name, row in table.rows.items()}
    rows = {name: _with_delta(row, rows, table.metrics, load) for name, row in rows.items()}
    found = {_key(v.claim, v.difference): v.difference for v in table.verdicts}
    for claim in experiment.claims:
        if claim.better in rows and claim.worse in rows:
            old = found.get((claim.name, claim.better, claim.worse, claim.metric))
            new = difference(rows[claim.better], rows[claim.worse], claim.metric, load=load, old=old)
            if new is not None:
                found[_key(claim.name, new)] = new
    unjudged = experiment.unjudged or table.unjudged
    told = table.model_copy(update={"rows": rows, "unjudged": unjudged})
    return told.model_copy(update={"verdicts": verdicts_of(told, list(found.items()))})


def verdicts_of(table: Results, found: Sequence[tuple[tuple[str, str, str, str], Difference]]) -> tuple[Verdict, ...]:
    """Judge differences, those of one claim together; the same of a table that was judged by other rules.

    Args:
        table: whose rows they are of, with their intervals.
        found: (claim, better, worse, metric) and the difference.
    """
    made: list[Verdict] = []
    for name in dict.fromkeys(key[0] for key, _ in found):
        pairs = [d for key, d in found if key[0] == name]
        silent = [_silent(table, d) for d in pairs]
        tested = [i for i, (kind, _why) in enumerate(silent) if not kind]
        adjusted = dict(zip(tested, holm([pairs[i].users.p for i in tested]), strict=True))
        for i, (pair, (kind, why)) in enumerate(zip(pairs, silent, strict=True)):
            marks = {"revisions": _revisions(pair, table.rows)}
            if kind:
                made.append(_said_nothing(name, pair, kind, why).model_copy(update=marks))
            else:
                trained = _is_trained(pair, table.rows)
                made.append(verdict(name, pair, adjusted[i], trained=trained, revisions=marks["revisions"]))
    return tuple(made)


def _silent(table: Results, found: Difference) -> tuple[Kind | Literal[""], str]:
    """Why a pair is not judged, and what that is called; ("", "") where it is."""
    rows = table.rows
    sides = [rows[name] for name in (found.better, found.worse) if name in rows]
    if quick := next((row.quick for row in sides if row.quick), ""):
        return "no result", quick
    if doubles := sorted({name for row in sides for name in row.asked if not is_real(name)}):
        return "no verdict", f"{', '.join(doubles)} {'are' if len(doubles) > 1 else 'is'} no language model"
    if table.unjudged:
        return "no verdict", table.unjudged
    if why := of_pair(rows, found):
        return "uninformative", why
    if len(found.seeds) == 1 and _is_trained(found, rows):
        return "no verdict", "one seed"
    return "", ""


def verdict(claim: str, found: Difference, p: float, *, trained: bool = True, revisions: Sequence[str] = ()) -> Verdict:
    """Judge one pair by its p-value over users, adjusted, and by the interval over its seeds."""
    sign = 1.0 if metric(found.metric).higher_is_better else -1.0
    seeds = over_seeds(found.seeds) if len(found.seeds) > 1 else None
    if trained and seeds is None:
        return _said_nothing(claim, found, "no verdict", "one seed").model_copy(update={"p": p})
    kind: Kind = "not supported"
    if p < ALPHA and sign * found.users.difference > 0 and _agrees(seeds, sign):
        kind = "supported"
    elif p < ALPHA and sign * found.users.difference < 0 and _agrees(seeds, -sign):
        kind = "contradicted"
    sentence = _sentence(found, p, kind, seeds, revisions)
    return Verdict(claim=claim, difference=found, p=p, verdict=kind, sentence=sentence, revisions=tuple(revisions))


def _agrees(seeds: Summary | None, sign: float) -> bool:
    """Whether the interval over the seeds lies on this side of 0; what has no seeds has nothing to disagree."""
    return seeds is None or (seeds.low > 0 if sign > 0 else seeds.high < 0)


def _said_nothing(claim: str, found: Difference, kind: Kind, why: str) -> Verdict:
    """A pair of which nothing is said, and why."""
    told = f"{_difference_in_words(found)}: "
    sentence = f"{told}{why}: no verdict." if kind == "no verdict" else f"{told}{kind}, {why}."
    return Verdict(claim=claim, difference=found, p=found.users.p, verdict=kind, sentence=sentence, why=why)


def summary_of_claim(verdicts: Sequence[Verdict]) -> str:
    """One sentence for all pairs of one claim."""
    total = len(verdicts)
    kinds = ("supported", "contradicted", "uninformative", "no result", "no verdict")
    counts = {kind: sum(v.verdict == kind for v in verdicts) for kind in kinds}
    for kind in kinds:
        if counts[kind] == total:
            return f"{kind.capitalize()} in all {total} comparisons." if total > 1 else f"{kind.capitalize()}."
    if not any(counts.values()):
        return f"Not supported in any of {total} comparisons." if total > 1 else "Not supported."
    rest = total - sum(counts.values())
    parts = [f"{n} {word}" for word, n in (*counts.items(), ("undecided", rest)) if n]
    return f"Mixed: of {total} comparisons {', '.join(parts)}."


def difference(better: Row, worse: Row, name: str, *, load: Loader, old: Difference | None = None) -> Difference | None:
    """Paired difference of two rows over their common seeds (a row without seeds stands beside each seed).

    Returns:
        None where the rows share no seed, or where per-user outcomes are missing and `old` is of other runs.
    """
    pairs = _pairs(better, worse)
    digests = tuple(sorted({d for pair in pairs for d in pair}))
    if old is not None and old.digests == digests:
        return old
    sides = [(_by_user(load(a), name), _by_user(load(b), name)) for a, b in pairs]
    if not sides or any(a is None or b is None for a, b in sides):
        return None
    first, second = _aligned([a for a, _ in sides if a]), _aligned([b for _, b in sides if b])
    common, i, j = np.intersect1d(first.users, second.users, return_indices=True)
    if not len(common):
        return None
    seeds = tuple(float(x) for x in (first.values[:, i] - second.values[:, j]).mean(axis=1))
    tested = compare(first.values[:, i].mean(axis=0), second.values[:, j].mean(axis=0))
    return Difference(
        better=better.name,
        worse=worse.name,
        metric=name,
        users=tested,
        seeds=seeds,
        sign_p=sign_p(seeds),
        digests=digests,
    )


@dataclass(frozen=True, eq=False)
class _Values:
    """Values of the users scored in every run: users int64[N], values float64[runs, N]."""

    users: Ints
    values: Floats


def _with_intervals(row: Row, metrics: Sequence[str], load: Loader) -> Row:
    if row.users:
        return row
    seeds = {m: over_seeds([r.test[m].mean for r in row.runs]) for m in metrics} if len(row.runs) > 1 else {}
    users: dict[str, Summary] = {}
    for name in metrics:
        if len(row.runs) == 1:
            users[name] = row.runs[0].test[name]
            continue
        columns = [_by_user(load(run.digest), name) for run in row.runs]
        if all(columns):
            values = _aligned([c for c in columns if c]).values.mean(axis=0)
            users[name] = summarise(values, unscored=max(run.unscored for run in row.runs))
    return row.model_copy(update={"users": users, "seeds": seeds})


def _with_delta(row: Row, rows: dict[str, Row], metrics: Sequence[str], load: Loader) -> Row:
    if not row.base or row.base not in rows:
        return row
    found = {m: difference(row, rows[row.base], m, load=load, old=row.delta.get(m)) for m in metrics}
    return row.model_copy(update={"delta": {m: d for m, d in found.items() if d is not None}})


def _pairs(better: Row, worse: Row) -> list[tuple[str, str]]:
    """Digests of the runs to pair: equal seeds, or the only run of an unseeded row beside every run of the other."""
    ours, theirs = ({run.seed: run.digest for run in row.runs} for row in (better, worse))
    if set(ours) == {0} != set(theirs):
        return [(ours[0], digest) for digest in theirs.values()]
    if set(theirs) == {0} != set(ours):
        return [(digest, theirs[0]) for digest in ours.values()]
    return [(ours[seed], theirs[seed]) for seed in sorted(set(ours) & set(theirs))]


def _by_user(told: Outcomes | None, name: str) -> _Values | None:
    """One value per user (row, question); of several, such as the responses of one row, their mean."""
    if told is None:
        return None
    users, place = np.unique(told.users, return_inverse=True)
    values = told.values(name)
    if len(users) < len(values):
        values = np.bincount(place, weights=values) / np.bincount(place)
        return _Values(users, values[None])
    return _Values(told.users, values[None])


def _aligned(runs: Sequence[_Values]) -> _Values:
    """The users scored in every run."""
    users = runs[0].users
    for run in runs[1:]:
        users = np.intersect1d(users, run.users)
    rows = []
    for run in runs:
        order = np.argsort(run.users)
        rows.append(run.values[0, order[np.searchsorted(run.users[order], users)]])
    return _Values(users, np.stack(rows))


def _sentence(found: Difference, p: float, kind: Kind, seeds: Summary | None, revisions: Sequence[str]) -> str:
    test, unit = found.users, metric(found.metric).examples
    text = f"{_difference_in_words(found)}, permutation p = {_p(test.p)} ({_p(p)} after Holm) over {test.n:,} {unit}"
    if seeds is not None:
        agree = sum(np.sign(d) == np.sign(test.difference) for d in found.seeds)
        text += f"; over {seeds.n} seeds [{seeds.low:+.4f}, {seeds.high:+.4f}] (t), {agree} of {seeds.n} agree"
    marked = f" (its rows are of different revisions: {', '.join(revisions)})" if revisions else ""
    return f"{text}{marked}: {kind}."


def _difference_in_words(found: Difference) -> str:
    test = found.users
    return (
        f"{found.better} minus {found.worse}: {found.metric} {test.difference:+.4f} [{test.low:+.4f}, {test.high:+.4f}]"
    )


def _is_trained(found: Difference, rows: Mapping[str, Row]) -> bool:
    """Whether a seed had a part in one of the two."""
    sides = [rows[name] for name in (found.better, found.worse) if name in rows]
    return len(sides) < 2 or any(row.trained for row in sides)


def _revisions(found: Difference, rows: Mapping[str, Row]) -> tuple[str, ...]:
    """The revisions of the code that made a pair's runs, where they are several."""
    sides = [rows[name] for name in (found.better, found.worse) if name in rows]
    made = sorted({run.revision for row in sides for run in row.runs if run.digest in found.digests})
    return tuple(made) if len(made) > 1 else ()


def _p(p: float) -> str:
    return f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def _key(claim: str, found: Difference) -> tuple[str, str, str, str]:
    return claim, found.better, found.worse, found.metric


def _once(load: Loader) -> Loader:
    seen: dict[str, Outcomes | None] = {}

    def remembered(digest: str) -> Outcomes | None:
        if digest not in seen:
            seen[digest] = load(digest)
        return seen[digest]

    return remembered
