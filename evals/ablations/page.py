"""A page of ablations, written from their JSON files and the ablations' own words, and nothing else.

Nothing is run and nothing is drawn at random here: the same files give the same page, so a page that differs from what
`whyrec ablate --render` writes is stale, and a test says so of docs/ablations.md. That page shows all of one folder; an
ablation in somebody's home has a page of its own beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evals.ablations.catalogue import ABLATIONS, Ablation, ablation
from evals.ablations.run import Ablated, Block, Overall, Pair
from evals.output.table import short
from evals.results import read_folder
from evals.summary import Summary

FILES = "docs/results/ablations/*.json"  # what the head of the project's page names

_HEAD = """# Ablations

Written by `whyrec ablate --render` from `{files}`; do not edit. `whyrec ablate all` measures.

Does what a method adds help, when the reasons are true? On generated worlds of three settings `simulated:1` always says
what a prompt allows, `simulated:0` never, `simulated:0.5` now and then. The **claims are about true reasons**; the
others are reported as they are. Cells, metrics, sizes, worlds and tests were written down before any outcome of these
worlds was looked at (`evals/ablations/catalogue.py`); worlds 100 and above were pilots and are not shown
(docs/decisions/0004).

Where every true reason says all there is to say, there is nothing to choose among them. Ablations called *-partial* and
*-plain* give the method what it is for: true reasons that tell a part each, in words of their own, and steps of one
purpose under one name (`simulated:1?reasons=partial`, `?paths=plain`, docs/decisions/0006). *-short* shows a part of
each history only, so that an expert who sees another part may say something else. They were made after the plain ones
had come out undecided, for a reason that the diagnostics showed; 0006 has the plan, written before their worlds were
looked at. So what they say is: under this premise the method does what it claims; without it, that could not be shown.

How to read: every seed is another world with users of its own. Outcomes are over the users of a setting's worlds, with
95 % intervals (bootstrap over users inside each world). A *gain* is method minus row, user by user, turned so that more
is better; p by sign flips over users, Holm-adjusted over settings. *As claimed*: p < .05 and a gain; *contradicted*:
p < .05 and a loss; else *not decided*, and then *could show* is the gain that so many users show in four of five tries.
*Over all worlds* takes a world as one value (t interval, exact sign flips): where a template or an expert is made once
per world, this is the test that speaks of other worlds. The placebo has everything but its own user's reasons and must
not win. *What could have been gained* holds diagnostics, means over the worlds; some know what nobody can.
"""

_WORDS = {"simulated:1": "reasons true", "simulated:0": "reasons never true", "simulated:0.5": "reasons now and then"}


def ablations_page(folder: Path, *, files: str = FILES) -> str:
    """The page of all ablations in this folder, in the order they are declared."""
    found = read_folder(Ablated, folder, mark="blocks")
    shown = [(which, found[which.name]) for which in ABLATIONS if which.name in found]
    head = _HEAD.replace("{files}", files)
    if not shown:
        return f"{head}\nNo ablation has been measured yet.\n"
    sections = ["\n".join(_section(which, one)) for which, one in shown]
    return "\n".join([head, *_overview(shown), "", *sections])


def render(folder: Path, page: Path, *, files: str = FILES) -> Path:
    """Write the page; returns its path."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(ablations_page(folder, files=files), encoding="utf-8")
    return page


def render_own(folder: Path) -> Path:
    """Write the page of an ablation in a home, beside its file; returns its path."""
    return render(folder, folder / f"{folder.name}.md", files="the JSON file beside it")


def verdict(found: Ablated, llm: str, other: str) -> str:
    """What one claim came to with one model, in a sentence."""
    pairs = [(block.setting, pair) for block in found.of(llm) for pair in block.pairs if pair.other == other]
    told: dict[str, list[str]] = {}
    for setting, pair in pairs:
        told.setdefault(found.said(pair), []).append(setting)
    if len(told) == 1:
        where = "in all settings" if len(pairs) > 1 else f"in {pairs[0][0]}"
        said = f"**{next(iter(told))}** {where}"
    else:
        said = "; ".join(f"**{kind}** in {' and '.join(settings)}" for kind, settings in told.items())
    over = _over(found, llm, other)
    return f"{found.method} against {other}: {said}. Over all worlds {_plus(found, over)}."


def placebo_verdict(found: Ablated) -> str:
    """Whether the placebo wins anywhere."""
    if found.quick:
        return f"**No result**, only a quick look ({found.quick})."
    tried = [(block, pair) for block in found.blocks for pair in block.pairs if pair.other == found.placebo]
    wins = [f"{b.setting} with {b.llm}" for b, pair in tried if pair.says == "contradicted"]
    true = [pair for b, pair in tried if b.llm == ablation(found.name).true]
    behind = sum(pair.says == "as claimed" for pair in true)
    said = f"**The placebo wins** in {', '.join(wins)}." if wins else "The placebo wins nowhere."
    return said + (f" With true reasons it loses in {behind} of {len(true)} settings." if true else "")


def as_claimed(found: Ablated) -> bool:
    """Whether every claim holds in every setting with true reasons and the placebo wins nowhere."""
    true = ablation(found.name).true
    pairs = [pair for block in found.of(true) for pair in block.pairs if pair.other != found.placebo]
    placebo = [pair for block in found.blocks for pair in block.pairs if pair.other == found.placebo]
    return all(p.says == "as claimed" for p in pairs) and all(p.says != "contradicted" for p in placebo)


def _overview(shown: Sequence[tuple[Ablation, Ablated]]) -> Iterator[str]:
    yield "| with true reasons | easy | default | hard | all worlds: gain, p | placebo |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for which, found in shown:
        for other in found.others:
            says = {b.setting: found.said(p) for b in found.of(which.true) for p in b.pairs if p.other == other}
            over = _over(found, which.true, other)
            wins = any(p.says == "contradicted" for b in found.blocks for p in b.pairs if p.other == found.placebo)
            cells = [says.get(setting, "") for setting in ("easy", "default", "hard")]
            placebo = "no result" if found.quick else "wins" if wins else "wins nowhere"
            end = [_plus(found, over) if over else "", placebo]
            yield _line([f"[{found.name}](#{found.name}): {found.method} against {other}", *cells, *end])
    lost = [
        f"{found.method} against {pair.other} ([{found.name}](#{found.name}), {block.setting}, `{block.llm}`)"
        for which, found in shown
        for block in found.blocks
        for pair in block.pairs
        if found.said(pair) == "contradicted" and pair.other != found.placebo
    ]
    yield ""
    yield f"**Contradicted** somewhere, with whatever reasons: {'; '.join(lost) if lost else 'none'}."


def _section(which: Ablation, found: Ablated) -> Iterator[str]:
    yield f"## {found.name}\n"
    yield f"**{which.title}.** {which.says}\n"
    for llm in sorted(found.llms, key=lambda name: name != which.true):
        for other in found.others:
            yield f"- {_WORDS.get(llm.partition('?')[0], 'another model')} (`{llm}`): {verdict(found, llm, other)}"
    yield f"- {placebo_verdict(found)}\n"
    rows = (found.method, *found.others, f"placebo: {found.placebo}")
    gains = [f"gain over {name}" for name in (*found.others, "the placebo")]
    yield _line(["setting", "model", *(f"{name}: {short(found.metric)}" for name in rows), *gains])
    yield _line(["---"] * (2 + len(rows) + len(gains)))
    for block in sorted(found.blocks, key=lambda b: b.llm != which.true):
        yield _line(
            [block.setting, block.llm, *map(_interval, block.rows.values()), *(_gain(found, p) for p in block.pairs)]
        )
    yield ""
    if which.remark:
        yield f"{which.remark}\n"
    if any(block.marks for block in found.blocks):
        yield "What could have been gained:\n"
        yield from _marks(found.blocks, which.true)
        yield ""
    yield (
        f"- {found.users:,} users or rows of each world; worlds {', '.join(map(str, found.seeds))} of each setting, "
        f"such as `{found.blocks[0].data[0]}`; revision {found.revision}.\n"
    )


def _marks(blocks: Sequence[Block], true: str) -> Iterator[str]:
    """A column per setting and model, a row per diagnostic."""
    shown = sorted((b for b in blocks if b.marks), key=lambda b: b.llm != true)
    yield _line(["", *(f"{b.setting} {b.llm.removeprefix('simulated:').partition('?')[0]}" for b in shown)])
    yield _line(["---", *("---:" for _ in shown)])
    for name in dict.fromkeys(name for block in shown for name in block.marks):
        yield _line([name, *(f"{b.marks[name]:.3g}" if name in b.marks else "" for b in shown)])


def _over(found: Ablated, llm: str, other: str) -> Overall | None:
    return next((o for o in found.overall if o.llm == llm and o.other == other), None)


def _plus(found: Ablated, over: Overall | None) -> str:
    if over is None:
        return ""
    g = over.gain
    pairs = [pair for block in found.of(over.llm) for pair in block.pairs if pair.other == over.other]
    ties = sum(not gain for pair in pairs for gain in pair.worlds)
    same = f", {ties} the same" if ties else ""
    return f"{g.mean:+.4f} [{g.low:+.4f}, {g.high:+.4f}], p {_p(over.p)}, {over.agree} of {g.n} with a gain{same}"


def _gain(found: Ablated, pair: Pair) -> str:
    g, says = pair.gain, found.said(pair)
    told = f"{g.difference:+.4f} [{g.low:+.4f}, {g.high:+.4f}], p {_p(pair.p)}: {says}"
    return told + (f" (could show {pair.detectable:.4f})" if says == "not decided" else "")


def _interval(one: Summary) -> str:
    failed = f" (+{one.unscored} unscored)" if one.unscored else ""
    return f"{one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]{failed}"


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
