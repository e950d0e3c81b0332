"""A page of dials and its figures, written from their JSON files and the dials' own words, and nothing else.

Nothing is run and nothing is drawn at random here: the same files give the same page, so a page that differs from what
`whyrec dial --render` writes is stale, and a test says so of docs/dial.md. That page shows all dials of one folder; a
dial in somebody's home has a page of its own beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from evals.dials.catalogue import DIALS, Dial
from evals.dials.figure import draw
from evals.dials.numbers import ALPHA, DRAWS, Beside, Slope
from evals.dials.run import Curve, Dialled, Without
from evals.output.table import short
from evals.results import read_folder
from evals.statistics.aggregate import over_seeds
from evals.summary import Summary

FILES = "docs/results/dial/*.json"  # what the head of the project's page names

_HEAD = """# The quality dial

Written by `whyrec dial --render` from `{files}`; do not edit. `whyrec dial all` measures them.

Does a workflow's outcome follow the truth of its texts? On generated data `simulated:q` reads every prompt with noise
that q sets, from reading nothing rightly (0) to everything (1), and writes and chooses by what it has read, from that
prompt alone (docs/decisions/0010). Each dial turns q and looks at the outcome of one workflow, everything else held
fixed.

**What a dial shows**: that what is read and written reaches the outcome; that at 0 nothing leaks in, because a model
that reads nothing must not beat the same method without a model; and, in the placebo's row, what is left of the outcome
at each level where the texts are another user's. **What it does not show**: that a real model writes true reasons, that
it errs as the simulated one does, how far apart two methods are on real data, or that a method is better than another:
the same q serves who writes and who chooses. How reading gets worse with q was chosen by us, so a curve's form says
nothing, only its direction.

How to read: every seed is another generated world with users (or questions) of its own. Intervals are 95 %, Student's
t over the seeds' values: each value is over the users inside one world, so the interval holds the noise of users and
of worlds. The slope is per unit of quality with an effect per seed; p is from permuting the levels within seeds
(two-sided, {draws:,} draws), n the number of values. *No model* rows need none. The first of them is the same method
without a model, and the verdict is about it; the others stand beside. At 0 the method is *not better* than one of them
unless the whole interval of the difference, world by world, says so. The dashed row is the same model without the part
the method is about; below it stands what that part is worth, what the user's own texts are worth beside the placebo,
and what the method is worth over no model at all. Figures of this page that were made with an earlier simulator, which
knew its users, are withdrawn (docs/decisions/0010).
"""

_SMALL = 0.01  # differences below this get a fourth digit
# how a difference is called where lower may be better, too
_WORDS: Mapping[Beside, str] = {"above": "better", "below": "worse", "not above": "not better"}


def dial_page(folder: Path, figures: str = "img/", *, files: str = FILES) -> str:
    """The page of all dials in this folder, in the order they are declared.

    Args:
        folder: of the dials' files.
        figures: folder of the figures as seen from the page, with its slash.
        files: what the page is written from, for its head.
    """
    found = read_folder(Dialled, folder, mark="levels")
    shown = [(which, one) for which in DIALS for one in found.values() if one.name == which.name]
    head = _HEAD.format(draws=DRAWS, files=files)
    gone = [which.name for which in DIALS if which.name not in {one.name for _, one in shown}]
    missing = [f"Not yet measured with this simulator: {', '.join(gone)} (`whyrec dial NAME`).", ""] if gone else []
    if not shown:
        return "\n".join([head, *missing])
    sections = ["\n".join(_section(which, one, figures)) for which, one in shown]
    return "\n".join([head, *_overview(shown), "", *missing, *sections])


def render(folder: Path, page: Path, figures: Path, *, files: str = FILES) -> Path:
    """Write the page and the figures; the figures' folder is the page's or one beside it.

    Returns:
        The page's path.
    """
    known = {which.name: which for which in DIALS}
    for one in read_folder(Dialled, folder, mark="levels").values():
        if one.name in known:
            draw(one, known[one.name].title, figures / _figure(one))
    page.parent.mkdir(parents=True, exist_ok=True)
    seen = "" if figures == page.parent else f"{figures.name}/"
    page.write_text(dial_page(folder, seen, files=files), encoding="utf-8")
    return page


def render_own(folder: Path) -> Path:
    """Write the page and the figure of a dial in a home, beside its file.

    Returns:
        The page's path.
    """
    return render(folder, folder / f"{folder.name}.md", folder, files="the JSON file beside it")


def verdict(found: Dialled) -> str:
    """What a dial shows, in sentences."""
    first, last = found.method.means[0], found.method.means[-1]
    went = "falls" if last.mean < first.mean else "rises"
    agree = sum((s < 0) == (found.slope.value < 0) for s in found.slope.seeds)
    wanted = "" if found.rises or found.quick else f"; wanted: p < {ALPHA:g} in the right direction"
    holds = "**It turns.**" if found.rises else "**It does not turn.**"
    holds = f"**No result**, only a quick look ({found.quick})." if found.quick else holds
    same = found.without[0]
    return (
        f"{holds} {short(found.metric)} {went} from {first.mean:.3f} at {found.levels[0]:g} to {last.mean:.3f} at "
        f"{found.levels[-1]:g}: slope {_signed(found.slope)}, p {_p(found.slope.p)} (n = {found.slope.n}; {agree} of "
        f"{len(found.seeds)} worlds agree{wanted}). "
        f"At {found.levels[0]:g} it is {_beside(same)} {same.row}: {_plus(same.start)}."
    )


def _overview(shown: list[tuple[Dial, Dialled]]) -> Iterator[str]:
    yield "| dial | outcome | at the lowest level | at the highest | slope | p | at 0, beside no model |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for which, one in shown:
        lower = ", lower is better" if one.lower else ""
        same = one.without[0]
        ends = [f"{m.mean:.3f}" for m in (one.method.means[0], one.method.means[-1])]
        yield (
            f"| [{one.slug}](#{_anchor(which, one)}) | {short(one.metric)}{lower} | {ends[0]} | {ends[1]} | "
            f"{_signed(one.slope)} | {_p(one.slope.p)}{_whether(one)} | "
            f"{_beside(same)} {same.row}: {_plus(same.start)} |"
        )


def _whether(one: Dialled) -> str:
    return " (no result)" if one.quick else "" if one.rises else " (does not turn)"


def _section(which: Dial, one: Dialled, figures: str) -> Iterator[str]:
    yield f"## {_title(which, one)}"
    yield ""
    yield f"`{one.slug}`. {which.says} {verdict(one)}"
    yield ""
    if which.remark:
        yield which.remark
        yield ""
    yield f"![{_title(which, one)}]({figures}{_figure(one)})"
    yield ""
    yield from _table(one)
    yield ""
    sizes = sorted({point.n for of_seed in one.method.points for point in of_seed})
    unscored = sum(point.unscored for of_seed in one.method.points for point in of_seed)
    examples = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    yield (
        f"Worlds `{one.data[0]}` to `{one.data[-1].rpartition(',')[2]}`, {examples} examples scored in each, "
        f"{unscored:,} not scored in all; cells `{one.method.row}` of `{which.experiment}`; revision {one.revision}."
    )
    yield ""


def _table(one: Dialled) -> Iterator[str]:
    levels = [f"{level:g}" for level in one.levels]
    yield f"| {short(one.metric)} | {' | '.join(levels)} | slope (p) |"
    yield f"|---|{'---:|' * len(levels)}---:|"
    yield _row(one.method, one.slope)
    if one.less is not None and one.less_slope is not None:
        yield _row(one.less, one.less_slope)
        yield f"| over {one.less.row} | {' | '.join(_plus(d) for d in _differences(one.method, one.less))} | |"
    if one.placebo is not None:
        yield f"| placebo: {one.placebo.row} | {' | '.join(_interval(mean) for mean in one.placebo.means)} | |"
        yield f"| over the placebo | {' | '.join(_plus(d) for d in _differences(one.method, one.placebo))} | |"
    yield f"| over {one.without[0].row} | {' | '.join(map(_plus, _over(one.method, one.without[0])))} | |"
    for seed, of_seed in zip(one.seeds, one.method.points, strict=True):
        yield f"| *world {seed}* | {' | '.join(f'*{p.mean:.3f}*' for p in of_seed)} | |"
    yield ""
    yield f"| no model | {short(one.metric)} | {one.method.row} at {one.levels[0]:g}, minus this |"
    yield "|---|---:|---|"
    for row in one.without:
        yield f"| {row.row} | {_interval(row.mean)} | {_plus(row.start)}: {_WORDS[row.says]} |"


def _row(curve: Curve, found: Slope) -> str:
    cells = " | ".join(_interval(mean) for mean in curve.means)
    return f"| {curve.row} | {cells} | {_signed(found)} ({_p(found.p)}) |"


def _differences(method: Curve, less: Curve) -> list[Summary]:
    """Method minus the same model without its part, per level, paired by world."""
    by_level = zip(zip(*method.points, strict=True), zip(*less.points, strict=True), strict=True)
    return [over_seeds([a.mean - b.mean for a, b in zip(ours, theirs, strict=True)]) for ours, theirs in by_level]


def _over(method: Curve, without: Without) -> list[Summary]:
    """Method minus no model, per level, paired by world."""
    by_level = zip(*method.points, strict=True)
    return [over_seeds([a.mean - b for a, b in zip(ours, without.points, strict=True)]) for ours in by_level]


def _interval(summary: Summary) -> str:
    if summary.low == summary.high:
        return f"{summary.mean:.3f}"
    return f"{summary.mean:.3f} [{summary.low:.3f}, {summary.high:.3f}]"


def _plus(summary: Summary) -> str:
    digits = 4 if max(abs(summary.low), abs(summary.high)) < _SMALL else 3
    return f"{summary.mean:+.{digits}f} [{summary.low:+.{digits}f}, {summary.high:+.{digits}f}]"


def _signed(found: Slope) -> str:
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _beside(without: Without) -> str:
    return f"{_WORDS[without.says]} than"


def _p(p: float) -> str:
    return "< .0001" if p < 1e-4 else f"{p:.4f}".lstrip("0") if p < 0.01 else f"{p:.3f}".lstrip("0")


def _title(which: Dial, one: Dialled) -> str:
    return which.title if one.setting == "default" else f"{which.title} ({one.setting} worlds)"


def _figure(one: Dialled) -> str:
    return f"dial.{one.slug}.png"


def _anchor(which: Dial, one: Dialled) -> str:
    """The heading's anchor as GitHub makes it."""
    kept = "".join(c for c in _title(which, one).lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
