"""A page of mechanisms, written from their JSON files and the mechanisms' own words, and nothing else.

Nothing is run and nothing is drawn at random here: the same files give the same page, so a page that differs from what
`whyrec mechanism --render` writes is stale, and a test says so of docs/mechanisms.md. That page shows all of one
folder; a mechanism in somebody's home has a page of its own beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evals.mechanisms.catalogue import MECHANISMS, Mechanism
from evals.mechanisms.run import Block, Measured, Pair
from evals.output.table import short
from evals.results import read_folder
from evals.summary import Summary

FILES = "docs/results/mechanisms/*.json"  # what the head of the project's page names

_HEAD = """# Mechanisms

Written by `whyrec mechanism --render` from `{files}`; do not edit. `whyrec mechanism all` measures.

What does a part of a method do to the outcome, on generated worlds, with texts of a known quality? Each mechanism says
what is put in and what is exchanged for what; the tables say what comes out. `simulated:q` writes the texts and makes
the choices from the text of each prompt alone, with reading noise that q sets (docs/decisions/0010). **Nothing here is
about what a paper reports, or about a real model.** It shows what the machinery does with such texts, and that a
placebo with another user's texts does not do the same.

How to read: every world has items, users and an expert or template of its own, so **worlds are the units**. A *gain* is
method minus row, user by user, turned so that more is better. It is given twice: over users (bootstrap inside worlds, p
by sign flips, Holm over the pairs of a mechanism) and over worlds (t interval). *Better* or *worse* stands where both
leave nothing out on the same side at 95 %; *the same* where not one user differs; else *not told apart*, with the gain
that so many users would show in four of five tries. Earlier figures of this kind, made with a simulator that knew its
users and the worth of words, are withdrawn (docs/decisions/0010).
"""


def mechanisms_page(folder: Path, *, files: str = FILES) -> str:
    """The page of all mechanisms in this folder, in the order they are declared."""
    found = read_folder(Measured, folder, mark="blocks")
    shown = [(which, found[name]) for which in MECHANISMS for name in sorted(found) if found[name].name == which.name]
    head = _HEAD.replace("{files}", files)
    gone = [which.name for which in MECHANISMS if which.name not in {one.name for _, one in shown}]
    missing = f"Not yet measured with this simulator: {', '.join(gone)} (`whyrec mechanism NAME`).\n" if gone else ""
    if not shown:
        return f"{head}\n{missing}"
    sections = ["\n".join(_section(which, one)) for which, one in shown]
    return "\n".join([head, *_overview(shown), "", *([missing] if missing else []), *sections])


def render(folder: Path, page: Path, *, files: str = FILES) -> Path:
    """Write the page; returns its path."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(mechanisms_page(folder, files=files), encoding="utf-8")
    return page


def render_own(folder: Path) -> Path:
    """Write the page of a mechanism in a home, beside its file; returns its path."""
    return render(folder, folder / f"{folder.name}.md", files="the JSON file beside it")


def told(found: Measured, block: Block, pair: Pair) -> str:
    """What one pair came to, in a sentence."""
    if found.quick:
        return f"{found.method} beside {pair.other}: no result, only a quick look ({found.quick})."
    return f"{found.method} beside {pair.other}: **{pair.says}**, {_gain(found, pair)}."


def placebo_wins(found: Measured) -> bool:
    """Whether another user's texts serve better than the method with some model."""
    return any(found.said(p) == "worse" for block in found.blocks for p in block.pairs if p.other == found.placebo)


def _overview(shown: Sequence[tuple[Mechanism, Measured]]) -> Iterator[str]:
    yield _line(["mechanism", "model", "method", "beside", "what comes out", "gain over users", "gain over worlds"])
    yield _line(["---"] * 7)
    for _, found in shown:
        for block in found.blocks:
            for pair in block.pairs:
                beside = f"placebo: {pair.other}" if pair.other == found.placebo else pair.other
                yield _line(
                    [
                        f"[{_title(found)}](#{_anchor(found)})",
                        f"`{block.llm}`",
                        found.method,
                        beside,
                        found.said(pair),
                        f"{pair.gain.difference:+.4f} [{pair.gain.low:+.4f}, {pair.gain.high:+.4f}], p {_p(pair.p)}",
                        _plus(pair.over),
                    ]
                )


def _section(which: Mechanism, found: Measured) -> Iterator[str]:
    yield f"## {_title(found)}\n"
    yield f"**{which.title}.** {which.says}\n"
    for block in found.blocks:
        for pair in block.pairs:
            yield f"- `{block.llm}`: {told(found, block, pair)}"
    yield ""
    rows = (found.method, *found.others, f"placebo: {found.placebo}")
    yield _line(["model", *(f"{name}: {short(found.metric)}" for name in rows)])
    yield _line(["---"] * (1 + len(rows)))
    for block in found.blocks:
        yield _line([f"`{block.llm}`", *map(_interval, block.rows.values())])
    yield ""
    if any(block.marks for block in found.blocks):
        yield "In the runs, means over the worlds:\n"
        yield from _marks(found.blocks)
        yield ""
    embedder = f"; embedder `{found.embedder}`" if which.name.startswith(("pulse", "scoter")) else ""
    yield (
        f"- {found.users:,} users or rows of each world; worlds {', '.join(map(str, found.seeds))}, such as "
        f"`{found.data[0]}`{embedder}; revision {found.revision}.\n"
    )


def _marks(blocks: Sequence[Block]) -> Iterator[str]:
    """A column per model, a row per diagnostic."""
    shown = [b for b in blocks if b.marks]
    yield _line(["", *(f"`{b.llm}`" for b in shown)])
    yield _line(["---", *("---:" for _ in shown)])
    for name in dict.fromkeys(name for block in shown for name in block.marks):
        yield _line([name, *(f"{b.marks[name]:.3g}" if name in b.marks else "" for b in shown)])


def _gain(found: Measured, pair: Pair) -> str:
    signs = f"{sum(w > 0 for w in pair.worlds)} of {len(pair.worlds)} worlds with a gain"
    room = f", could show {pair.detectable:.4f}" if pair.says == "not told apart" else ""
    return f"{_plus(pair.over)} over worlds, {signs}, p {_p(pair.p)} over users{room}"


def _title(found: Measured) -> str:
    more = [] if found.setting == "default" else [f"{found.setting} worlds"]
    more += [f"embedder {found.embedder}"] if found.name.startswith("pulse-selection") else []
    return f"{found.name} ({', '.join(more)})" if more else found.name


def _anchor(found: Measured) -> str:
    """The heading's anchor as GitHub makes it."""
    return "".join(c for c in _title(found).lower() if c.isalnum() or c in " -_").replace(" ", "-")


def _plus(one: Summary) -> str:
    return f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _interval(one: Summary) -> str:
    failed = f" (+{one.unscored} unscored)" if one.unscored else ""
    return f"{one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]{failed}"


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
