"""The page of evidence: what real language models did, and nothing else.

    docs/results/evidence/TABLE.json   a table as `whyrec eval --results docs/results/evidence` writes it: aggregated
                                       numbers, the commands that made them, what is known of its models
    docs/results/evidence/PAPER.txt    one plain paragraph about a paper, if somebody wrote one

No number is typed by hand: a paragraph names it, as `{{TABLE | ROW | METRIC}}`, and gets it from the table with its
interval. A paper of which nothing was measured says so, whatever text lies there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from evals import results as tables
from evals.models import asked_in, need_evidence
from evals.output.table import markdown, number
from evals.results import ModelNote, Results
from evals.statistics.verdicts import summary_of_claim
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.registry import is_real

PAPERS: Mapping[str, str] = {
    "cot_rec": "CoT-Rec",
    "pulse": "PULSE",
    "scoter": "SCoTER",
    "rallrec": "RALLRec+",
    "hotpotqa": "PULSE on HotpotQA",
}
NOTHING = "Nothing measured yet."
_NAMED = re.compile(r"\{\{([^|{}]+)\|([^|{}]+)\|([^|{}]+)\}\}")
_TYPED = re.compile(r"\d*\.\d|\d\s*%")

_HEAD = """# Evidence

Written by `make docs` from `docs/results/evidence`; do not edit.

What trained language models did on real data sets, measured here: which model, how large, tuned or not, on how many
users, with 95 % intervals, and the command that computes it. Nothing by built-in doubles (`extractive`, `simulated:q`)
stands here; what those compute is [plumbing](plumbing.md), and recommenders without any language model are in
[results.md](results.md). A verdict needs the permutation test over users (Holm over the pairs of its claim) *and*,
where something is trained, the interval over seeds; one seed gives none.
"""


def evidence_page(folder: Path) -> str:
    """The page over a folder of evidence, which need not be there.

    Raises:
        UsageError: a file is no table, a table does not belong here, or a paragraph has a number typed into it.
        UnknownNameError: a paragraph names a table, row or metric that is not there.
    """
    found = tables.read_folder(Results, folder, mark="experiment") if folder.is_dir() else {}
    models: dict[str, ModelNote] = {}
    for table in found.values():
        asked = {name: table.models.get(name, ModelNote(real=is_real(name))) for name in asked_in(table)}
        need_evidence(asked)
        models |= asked
    lines = [_HEAD, *_models(models)]
    for paper, title in PAPERS.items():
        own = {name: table for name, table in found.items() if table.experiment.partition(".")[0] == paper}
        lines += [f"## {title}", "", _paragraph(folder / f"{paper}.txt", own), ""]
        lines += [markdown(table, level=3) for table in own.values()]
    return "\n".join(lines).rstrip() + "\n"


def _models(models: Mapping[str, ModelNote]) -> list[str]:
    """Which models, how large, tuned or not."""
    if not models:
        return ["No language model has been measured yet.", ""]
    lines = ["| model | parameters | size, form, tuned or not |", "| --- | ---: | --- |"]
    for name, note in sorted(models.items()):
        counted = f"{note.parameters:,}" if note.parameters else "not counted here"
        lines.append(f"| `{name}` | {counted} | {note.about} |")
    return [*lines, ""]


def _paragraph(file: Path, own: Mapping[str, Results]) -> str:
    """What is said of a paper: the text that lies there, else nothing measured or what the tables' claims come to."""
    if file.exists():
        return filled(" ".join(file.read_text(encoding="utf-8").split()), own, where=str(file))
    if not own:
        return NOTHING
    return " ".join(f"{table.title} on {table.data.name}: {claims_in_short(table)}." for table in own.values())


def claims_in_short(table: Results) -> str:
    """What the claims of a table come to, each in some words."""
    judged = {claim: [v for v in table.verdicts if v.claim == claim] for claim in table.claims}
    told = [f"{claim}: {summary_of_claim(found).rstrip('.').lower()}" for claim, found in judged.items() if found]
    return "; ".join(told) or "no claim was tested"


def filled(text: str, own: Mapping[str, Results], *, where: str) -> str:
    """A paragraph with its numbers in it.

    Args:
        text: with `{{TABLE | ROW | METRIC}}` in the place of each number.
        own: tables by file name without ending.
        where: the paragraph's file, for errors.

    Raises:
        UsageError: a number is typed into the text.
        UnknownNameError: there is no such table, row or metric.
    """
    if typed := _TYPED.search(_NAMED.sub("", text)):
        raise UsageError(
            f"{where} has a number typed into it ({typed[0]!r}). Name it instead, as {{{{TABLE | ROW | METRIC}}}}, so "
            "that it follows the table."
        )

    def number_of(found: re.Match[str]) -> str:
        slug, row, name = (part.strip() for part in found.groups())
        if slug not in own:
            raise UnknownNameError(f"table in {where}", slug, own)
        if row not in own[slug].rows:
            raise UnknownNameError(f"row of {slug} in {where}", row, own[slug].rows)
        there = own[slug].rows[row]
        measures = {m: s for run in there.runs for m, s in run.measures.items()}
        if name not in (known := {**measures, **there.users}):
            raise UnknownNameError(f"metric of {slug} in {where}", name, known)
        one = known[name]
        return f"{number(one.mean)} [{number(one.low)}, {number(one.high)}]"

    return _NAMED.sub(number_of, text)
