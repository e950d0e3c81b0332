"""What the numbers say: intervals over users and seeds, differences, and a sentence for every claim, either way.

A difference is tested over users (permutation test on each user's mean over the common seeds) and looked at over
seeds (does every one agree?). Testing over users alone would take one lucky initialisation for an effect; testing
over three seeds alone can never reach p < .05. So a pair of cells supports its claim when the difference is positive,
the p-value, adjusted for the number of pairs of that claim (Holm), is below .05 and no seed says the opposite; it
contradicts when the same holds of the opposite; otherwise *not supported*, which is not the same as refuted. Where one
of the two is only a quick look (training cut short, data cut to the first users) there is *no result*, whatever p says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evals.experiment import Experiment
from evals.inputs.outcomes import Outcomes
from evals.metrics import Floats, Ints, metric
from evals.results import Difference, Kind, Results, Row, Verdict
from evals.statistics.aggregate import compare, holm, over_seeds, sign_p, summarise
from evals.summary import Summary

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
    why = {_key(v.claim, v.difference): v.why if v.verdict == "uninformative" else "" for v in table.verdicts}
    for claim in experiment.claims:
        if claim.better in rows and claim.worse in rows:
            old = found.get((claim.name, claim.better, claim.worse, claim.metric))
            new = difference(rows[claim.better], rows[claim.worse], claim.metric, load=load, old=old)
            if new is not None:
                found[_key(claim.name, new)] = new
                why[_key(claim.name, new)] = claim.uninformative or _untold(rows, new)
    verdicts: list[Verdict] = []
    for name in dict.fromkeys(key[0] for key in found):
        pairs = {key: d for key, d in found.items() if key[0] == name}
        quick = {key: _quick(d, rows) for key, d in pairs.items()}
        tested = [key for key in pairs if not why[key] and not quick[key]]
        adjusted = dict(zip(tested, holm([pairs[key].users.p for key in tested]), strict=True))
        verdicts += [
            no_result(name, d, quick[key])
            if quick[key]
            else verdict(name, d, adjusted.get(key, d.users.p), why=why[key], trained=_is_trained(d, rows))
            for key, d in pairs.items()
        ]
    return table.model_copy(update={"rows": rows, "verdicts": tuple(verdicts)})


def _untold(rows: Mapping[str, Row], found: Difference) -> str:
    """Why a pair says nothing: all examples of both came to one and the same (no target was retrieved by either)."""
    both = [rows[name].users.get(found.metric) for name in (found.better, found.worse)]
    values = {value for summary in both if summary is not None for value in (summary.low, summary.mean, summary.high)}
    return f"all examples of both came to {values.pop():g}" if len(values) == 1 and all(both) else ""


def verdict(claim: str, found: Difference, p: float, *, why: str = "", trained: bool = True) -> Verdict:
    """Judge one pair by its adjusted p-value and its seeds; not at all where a reason says why it is uninformative."""
    if why:
        sentence = f"{_difference_in_words(found)}: uninformative, {why}."
        return Verdict(claim=claim, difference=found, p=p, verdict="uninformative", sentence=sentence, why=why)
    up = metric(found.metric).higher_is_better
    sign = 1.0 if up else -1.0
    kind: Kind = "not supported"
    if p < ALPHA and sign * found.users.difference > 0 and all(sign * d >= 0 for d in found.seeds):
        kind = "supported"
    elif p < ALPHA and sign * found.users.difference < 0 and all(sign * d <= 0 for d in found.seeds):
        kind = "contradicted"
    return Verdict(claim=claim, difference=found, p=p, verdict=kind, sentence=_sentence(found, p, kind, trained))


def no_result(claim: str, found: Difference, why: str) -> Verdict:
    """What is said of one pair of which one or both are only a quick look."""
    sentence = f"{_difference_in_words(found)}: no result, {why}."
    return Verdict(claim=claim, difference=found, p=found.users.p, verdict="no result", sentence=sentence, why=why)


def summary_of_claim(verdicts: Sequence[Verdict]) -> str:
    """One sentence for all pairs of one claim."""
    total, kinds = len(verdicts), ("supported", "contradicted", "uninformative", "no result")
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
    return None if told is None else _Values(told.users, told.values(name)[None])


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


def _sentence(found: Difference, p: float, kind: Kind, trained: bool) -> str:
    test, unit = found.users, metric(found.metric).examples
    text = f"{_difference_in_words(found)}, permutation p = {_p(test.p)} ({_p(p)} after Holm) over {test.n:,} {unit}"
    if len(found.seeds) > 1:
        agree = sum(np.sign(d) == np.sign(test.difference) for d in found.seeds)
        text += f"; {agree} of {len(found.seeds)} seeds agree (sign test p = {_p(found.sign_p)})"
    elif trained:
        text += "; one seed, so the noise of training is not in it"
    return f"{text}: {kind}."


def _difference_in_words(found: Difference) -> str:
    test = found.users
    return (
        f"{found.better} minus {found.worse}: {found.metric} {test.difference:+.4f} [{test.low:+.4f}, {test.high:+.4f}]"
    )


def _quick(found: Difference, rows: Mapping[str, Row]) -> str:
    """Why one of the two is only a quick look; "" where neither is."""
    return next((rows[name].quick for name in (found.better, found.worse) if name in rows and rows[name].quick), "")


def _is_trained(found: Difference, rows: dict[str, Row]) -> bool:
    """Whether a seed had a part in one of the two (cells without one run with seed 0)."""
    sides = [rows[name] for name in (found.better, found.worse) if name in rows]
    return len(sides) < 2 or any(run.seed for row in sides for run in row.runs)


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
