"""Tables for people: terminal, Markdown and CSV, all from one `Results`.

Ours stands with its interval, beside it what was published with its own data set and protocol named below, and the
anchors (chance, popularity, item-CF) in the same table, so that no number is read alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from evals.experiment import BELOW
from evals.metrics import metric
from evals.results import CellRun, Difference, Results, Row
from evals.statistics.aggregate import LEVEL
from evals.statistics.verdicts import summary_of_claim
from evals.summary import Summary

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

CHANCE = "chance"
_SHORT = {
    "recall": "R",
    "ndcg": "N",
    "hit": "Hit",
    "hr": "HR",
    "mrr": "MRR",
    "em": "EM",
    "f1": "F1",
    "log_loss": "log loss",
}


@dataclass(frozen=True)
class Grid:
    """A table as text: one heading per column, one tuple per row; `dim` rows are anchors."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    dim: frozenset[int]

    def part(self, columns: Sequence[int], rows: Sequence[int] | None = None) -> Grid:
        """Some columns and rows of it."""
        kept = range(len(self.rows)) if rows is None else rows
        return Grid(
            tuple(self.headings[c] for c in columns),
            tuple(tuple(self.rows[r][c] for c in columns) for r in kept),
            frozenset(i for i, r in enumerate(kept) if r in self.dim),
        )


def short(metric: str) -> str:
    """ "R@10" for "recall@10"."""
    kind, at, cut = metric.partition("@")
    return f"{_SHORT.get(kind, kind)}{at}{cut}"


def grid(results: Results, *, tested: bool = True) -> Grid:
    """The table of these results; not `tested`, differences stand without their p-values."""
    several = any(len(row.runs) > 1 for row in results.rows.values())
    shown = (*results.metrics, *results.measures)
    headings = [
        "",
        *(f"{short(m)} [{LEVEL:.0%}]" for m in shown),
        f"Δ {short(judged_metric(results))}{' (p)' * tested}",
    ]
    headings += [f"{short(judged_metric(results))} over seeds"] if several else []
    headings += ["n", *(_published_heading(results, column) for column in _shown_columns(results))]
    chance = _chance(results, several)
    rows = [*chance, *(_cells(results, row, several, tested) for row in results.rows.values())]
    anchors = {i + len(chance) for i, row in enumerate(results.rows.values()) if row.anchor}
    dim = {*range(len(chance)), *anchors}
    return Grid(tuple(headings), tuple(tuple(r) for r in rows), frozenset(dim))


_OF_A_RUN = re.compile(r"run \S+; examples ([\d,]+); failed ([\d,]+)")
_RUNS_SHOWN = 12
_BESIDE = "Beside what was published (where data or protocol differ, compare the order, not the values)"


def terminal(results: Results, width: int = 200) -> RenderableType:
    """The table, its footing and the verdicts, for a rich Console of this width.

    Where the published columns do not fit beside ours they follow in a second table, ours repeated in front of them.
    """
    from rich.console import Group
    from rich.markup import escape

    made = grid(results)
    title = f"{results.title} · {results.data.name}"
    published = len(_shown_columns(results))
    widest = [max(len(row[i]) for row in (made.headings, *made.rows)) for i in range(len(made.headings))]
    if sum(widest) + 2 * len(widest) <= width or not published:
        tables = [_rich(made, title)]
    else:
        made = Grid(made.headings, tuple((_brief(row[0]), *row[1:]) for row in made.rows), made.dim)
        ours, cut = range(len(made.headings) - published), len(results.metrics) + len(results.measures) + 1
        beside = [*range(cut), *range(len(made.headings) - published, len(made.headings))]
        printed = [i for i, row in enumerate(made.rows) if any(row[-published:])]
        means = Grid(made.headings, tuple(tuple(c.partition(" [")[0] for c in row) for row in made.rows), made.dim)
        tables = [_rich(made.part(ours), title), _rich(means.part(beside, printed), _BESIDE)]
    lines = [escape(line) for line in (*footing(results), *verdict_lines(results))]
    return Group(*tables, *lines)


def _brief(name: str) -> str:
    """A cell's name for narrow places: "SASRec None · Random"."""
    return name.replace("user=", "").replace(",item=", " · ")


def _rich(made: Grid, title: str) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for i, heading in enumerate(made.headings):
        table.add_column(escape(heading), justify="left" if i == 0 else "right", overflow="fold")
    for i, row in enumerate(made.rows):
        table.add_row(*(escape(cell) for cell in row), style="dim" if i in made.dim else "")
    return table


def markdown(results: Results, *, verdicts: bool = True, level: int = 2) -> str:
    """One section of a page of results.

    Args:
        results: the table.
        verdicts: tell them; without, differences stand without p-values too.
        level: of its heading.
    """
    made = grid(results, tested=verdicts)
    lines = [f"{'#' * level} {results.title}: {results.data.name}", "", *_size(results), ""]
    lines += [line for command in results.commands for line in ("```console", f"$ {command}", "```", "")]
    lines += [_row(made.headings), _row(["---", *["---:"] * (len(made.headings) - 1)])]
    lines += [_row(_emphasised(row) if i in made.dim else row) for i, row in enumerate(made.rows)]
    lines += ["", *(f"- {line}" for line in footing(results, tested=verdicts))]
    if results.verdicts and verdicts:
        lines += ["", f"{'#' * (level + 1)} What the data says", ""]
        for claim, says in results.claims.items():
            judged = [v for v in results.verdicts if v.claim == claim]
            if judged:
                lines += [f"**{claim}** ({says}): {summary_of_claim(judged)}", ""]
                lines += [f"- {v.sentence}" for v in judged] + [""]
    return "\n".join(lines).rstrip() + "\n"


def as_csv(results: Results) -> str:
    """One line per cell, numbers unrounded; validation columns are named so and are not results."""
    out = io.StringIO()
    axes = sorted({axis for row in results.rows.values() for axis in row.axes})
    heads = ["cell", *axes, "seeds", "n", "unscored", "revisions", "says nothing because"]
    for m in results.metrics:
        heads += [m, f"{m} low", f"{m} high", f"{m} seeds low", f"{m} seeds high"]
        heads += [f"{m} delta", f"{m} delta low", f"{m} delta high", f"{m} delta p", f"{m} validation (not a result)"]
        heads += [f"{m} published {column}" for column in results.columns]
    for m in results.measures:
        heads += [m, f"{m} low", f"{m} high"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in results.rows.values():
        n, unscored = _counts(row)
        made, doubts = " ".join(sorted({run.revision for run in row.runs})), _doubted(results).get(row.name, "")
        line: list[object] = [row.name, *(row.axes.get(a, "") for a in axes), len(row.runs), n, unscored, made, doubts]
        for m in results.metrics:
            line += _csv_of(row, m, list(results.columns))
        for m in results.measures:
            line += _over_runs(row, m) or ("", "", "")
        writer.writerow(line)
    return out.getvalue()


def footing(results: Results, *, tested: bool = True) -> list[str]:
    """What has to be read with the table: protocol, intervals, published columns, notes, doubts, provenance."""
    base = sorted({row.base for row in results.rows.values() if row.base and row.delta})
    lines = [f"Protocol: {results.protocol}"]
    unit, several = metric(judged_metric(results)).examples, any(len(row.runs) > 1 for row in results.rows.values())
    mean = " (of each one's mean over the seeds)" if several else ""
    lines += [f"[{LEVEL:.0%}]: percentile bootstrap over {unit}{mean}."]
    if several:
        lines += ["Over seeds: Student's t interval over the seeds' means, the noise of training."]
    if several and results.measures:
        lines += [f"{', '.join(results.measures)}: the ends of an interval are the means of the seeds' ends."]
    if base:
        how = f"; paired permutation test over {unit}, not adjusted" if tested else ""
        lines += [f"Δ{' (p)' * tested}: against {', '.join(base)}{how}."]
    if len({sum(_counts(row)) for row in results.rows.values()}) > 1:
        lines += [f"Rows are not all over the same {unit} (n): a difference is over those that both rows have."]
    lines += [f"{column}: published, {results.columns[column]}." for column in _shown_columns(results)]
    lines += _noted(results.notes)
    lines += _quick_looks(results)
    lines += [f"{name} says nothing: {why}." for name, why in _doubted(results).items()]
    lines += [f"{row.name}: {row.runs[0].about[BELOW]}" for row in results.rows.values() if BELOW in row.runs[0].about]
    return [*lines, _provenance(results)]


def _quick_looks(results: Results) -> list[str]:
    """Which rows are no result, and why; rows of one reason together."""
    quick: dict[str, list[str]] = {}
    for row in results.rows.values():
        if row.quick:
            quick.setdefault(row.quick, []).append(row.name)
    every = len(results.rows)
    return [
        f"No result, only a quick look ({why}): {'all rows' if len(names) == every else '; '.join(names)}."
        for why, names in quick.items()
    ]


def _doubted(results: Results) -> dict[str, str]:
    """Rows whose outcomes cannot speak of their method, and why; reference rows are meant to be so."""
    return {
        row.name: "; ".join(dict.fromkeys(why for run in row.runs for why in run.doubts))
        for row in results.rows.values()
        if not row.anchor and any(run.doubts for run in row.runs)
    }


def _noted(notes: Mapping[str, str]) -> list[str]:
    """Notes as they are; of many runs only how many there are, and how their examples ended."""
    runs = {name: found for name, text in notes.items() if (found := _OF_A_RUN.fullmatch(text))}
    if len(runs) <= _RUNS_SHOWN:
        return [f"{name}: {text}" for name, text in notes.items()]
    examples, failed = (sum(int(run[group].replace(",", "")) for run in runs.values()) for group in (1, 2))
    rest = [f"{name}: {text}" for name, text in notes.items() if name not in runs]
    return [f"{len(runs)} runs, named in the table's JSON file: {failed:,} of {examples:,} examples failed.", *rest]


def verdict_lines(results: Results) -> list[str]:
    """A line per claim and one per pair."""
    lines: list[str] = []
    for claim, says in results.claims.items():
        judged = [v for v in results.verdicts if v.claim == claim]
        if judged:
            lines += [f"{claim} ({says}): {summary_of_claim(judged)}", *(f"  {v.sentence}" for v in judged)]
    return lines


def number(value: float) -> str:
    """Four decimals."""
    return f"{value:.4f}"


def judged_metric(results: Results) -> str:
    """The metric of the delta column: the one claims are judged by."""
    return "ndcg@10" if "ndcg@10" in results.metrics else results.metrics[0]


def _cells(results: Results, row: Row, several: bool, tested: bool) -> list[str]:
    cells = [row.name]
    cells += [_interval(row.users[m]) if m in row.users else number(_mean(row, m)) for m in results.metrics]
    cells += [_measured(row, m) for m in results.measures]
    cells += [_delta(row.delta.get(judged_metric(results)), tested)]
    if several:
        seeds = row.seeds.get(judged_metric(results))
        cells += [f"±{(seeds.high - seeds.low) / 2:.4f} ({seeds.n})" if seeds else f"({len(row.runs)})"]
    n, unscored = _counts(row)
    cells += [f"{n:,}" + (f" (+{unscored:,} unscored)" if unscored else "")]
    return cells + [_published(row, c, _printed_metrics(results, c)) for c in _shown_columns(results)]


def _chance(results: Results, several: bool) -> list[list[str]]:
    """A row above the others, unless chance is a cell of the experiment or no guess is worth a number."""
    if CHANCE in results.rows:
        return []
    runs = [run for row in results.rows.values() for run in row.runs if run.chance]
    values = [number(runs[0].chance[m]) if runs and m in runs[0].chance else "" for m in results.metrics]
    blank = ["" for _ in (*results.measures, "delta", *(["seeds"] if several else []), "n", *_shown_columns(results))]
    return [[CHANCE, *values, *blank]] if any(values) else []


def _shown_columns(results: Results) -> list[str]:
    """Published columns in which a row of this table has a number."""
    return [column for column in results.columns if any(row.published.get(column) for row in results.rows.values())]


def _printed_metrics(results: Results, column: str) -> list[str]:
    """What of ours was printed in a column."""
    found = {m for row in results.rows.values() for m in row.published.get(column, {})}
    return [m for m in (*results.metrics, *results.measures) if m in found]


def _published_heading(results: Results, column: str) -> str:
    return f"{column}: {' / '.join(map(short, _printed_metrics(results, column)))}"


def _published(row: Row, column: str, metrics: Sequence[str]) -> str:
    values = row.published.get(column, {})
    return " / ".join(number(values[m]) if m in values else "–" for m in metrics) if values else ""


def _interval(summary: Summary) -> str:
    return f"{number(summary.mean)} [{number(summary.low)}, {number(summary.high)}]"


def _measured(row: Row, name: str) -> str:
    """A measure with its interval; "" where the cell does not tell it."""
    found = _over_runs(row, name)
    return "{} [{}, {}]".format(*map(number, found)) if found else ""


def _over_runs(row: Row, name: str) -> tuple[float, float, float] | None:
    """A measure and the ends of its interval, means over the seeds."""
    told = [run.measures[name] for run in row.runs if name in run.measures]
    if not told:
        return None
    return fmean(one.mean for one in told), fmean(one.low for one in told), fmean(one.high for one in told)


def _delta(found: Difference | None, tested: bool) -> str:
    if found is None:
        return ""
    p = found.users.p
    if not tested:
        return f"{found.users.difference:+.4f}"
    return f"{found.users.difference:+.4f} ({'<0.001' if p < 0.001 else f'{p:.3f}'})"


def _mean(row: Row, metric: str) -> float:
    return sum(run.test[metric].mean for run in row.runs) / len(row.runs)


def _counts(row: Row) -> tuple[int, int]:
    return min(run.n for run in row.runs), max(run.unscored for run in row.runs)


def _csv_of(row: Row, metric: str, columns: Sequence[str]) -> list[object]:
    users, seeds, delta = row.users.get(metric), row.seeds.get(metric), row.delta.get(metric)
    valid = [run.valid[metric] for run in row.runs if metric in run.valid]
    line: list[object] = [_mean(row, metric), *((users.low, users.high) if users else ("", ""))]
    line += [seeds.low, seeds.high] if seeds else ["", ""]
    d = delta.users if delta else None
    line += [d.difference, d.low, d.high, d.p] if d else [""] * 4
    return [
        *line,
        sum(valid) / len(valid) if valid else "",
        *(row.published.get(column, {}).get(metric, "") for column in columns),
    ]


def _size(results: Results) -> list[str]:
    d = results.data
    size = f"{d.users:,} users, {d.items:,} items, {d.interactions:,} interactions"
    size = f"{d.questions:,} questions" if d.questions else size
    holds = f" {d.holds}" if d.holds else ""
    carries = f" No verdicts: {results.unjudged}." if results.unjudged else ""
    return [f"`{d.name}` (digest `{d.digest}`): {size}.{holds} Experiment `{results.experiment}`.{carries}"]


def _provenance(results: Results) -> str:
    runs = [run for row in results.rows.values() for run in row.runs]
    minutes = sum(run.wall_seconds for run in runs) / 60
    took = (
        f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{round(minutes)} min" if minutes >= 1 else "under a minute"
    )
    return (
        f"Computed by {len(runs)} runs, {took} in all, {_revisions(results)} on "
        f"{', '.join(sorted({run.device for run in runs}))}{_precisions(runs)}."
    )


def _revisions(results: Results) -> str:
    """Which code made which rows: of one revision its name, of several the rows of each."""
    made: dict[str, list[str]] = {}
    for row in results.rows.values():
        for revision in sorted({run.revision for run in row.runs}):
            made.setdefault(revision, []).append(row.name)
    if len(made) == 1:
        return f"at revision {next(iter(made))}"
    told = "; ".join(f"{revision} ({', '.join(rows)})" for revision, rows in made.items())
    return f"at different revisions of the code, {told} (`--one-revision` runs them again)"


def _precisions(runs: Sequence[CellRun]) -> str:
    """In which precision models were trained, where the runs say so."""
    said = sorted({str(run.about["precision"]) for run in runs if "precision" in run.about})
    return f"; trained in {', '.join(said)}" if said else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _emphasised(row: Sequence[str]) -> list[str]:
    return [f"*{cell}*" if cell else "" for cell in row]
