"""Pages of tables, written from their JSON files and nothing else.

Nothing is trained and nothing is drawn at random here: the same files give the same page, so a page that differs from
what `whyrec eval --render` writes is stale, and a test says so of the project's own. There are three kinds: evidence
(`results/evidence`, real language models), plumbing (`results/plumbing`, built-in doubles, no verdicts) and results
(recommenders, or whatever else a folder holds). A table in somebody's home has a page of its own beside it.
"""

from __future__ import annotations

from pathlib import Path

from evals import results as tables
from evals.output.evidence import evidence_page
from evals.output.plot import plot
from evals.output.table import markdown
from evals.results import EVIDENCE, PLUMBING
from whyrec.errors import UsageError

_HEAD = """# Results

Written by `whyrec eval --render` from `docs/results/*.json`; do not edit.

"""
_READ = """\
How to read: every number is measured on the test split by the protocol under its table, with a 95 % interval.
Published numbers stand beside ours with the data set and the protocol they were measured by; where those differ from
ours, the columns may be compared in their *order*, not in their values.
Examples without an outcome are counted as unscored and enter no mean.
"""
_VERDICTS = """\
Verdicts are made by code, from two levels: a claim is *supported* when the paired difference is positive, its p-value
over users (permutation test, Holm-adjusted for all pairs of the claim) is below .05 and Student's interval over the
seeds lies above 0 as well; *contradicted* when the same holds of the opposite sign; otherwise *not supported*.
One seed of something trained gives *no verdict*, nor do built-in doubles in the place of a language model, nor data
that only exercise the code. A comparison that cannot speak for or against its claim (identical outcomes, a constant
predictor, a model that was not read, a metric at its end) is *uninformative*, and the reason stands with it.
Of rows that are only a quick look (training or data cut short) nothing is said: *no result*.
"""
_HOW_TO_READ = f"{_READ}{_VERDICTS}"
_PLUMBING = f"""# Plumbing

Written by `make docs` from `docs/results/plumbing/*.json`; do not edit.

In these tables a built-in double (`extractive`, which copies its prompt) stood in the place of a language model. They
show that every workflow runs from end to end on real data, what it costs, and which numbers its anchors have. They say
nothing about any paper's claim, so no verdict and no p-value is told. What real models do: [evidence](evidence.md).

{_READ}"""


def results_page(folder: Path) -> str:
    """The page of all tables in this folder, in the order of their names."""
    if folder.name == EVIDENCE:
        return evidence_page(folder)
    told = folder.name != PLUMBING
    found = tables.read_folder(tables.Results, folder, mark="experiment")
    head = f"{_HEAD}{_HOW_TO_READ}" if told else _PLUMBING
    if not found:
        return f"{head}\nNo table has been computed yet.\n"
    docs = page_of(folder).parent
    shown = (markdown(table, verdicts=told) + _pictures(table, docs) for table in found.values())
    return "\n".join([head, *shown])


def page_of(folder: Path) -> Path:
    """The page over the tables of a folder: docs/results.md of docs/results, docs/evidence.md of results/evidence."""
    beside = folder.parent if folder.name in (EVIDENCE, PLUMBING) and folder.parent.name == "results" else folder
    return beside.with_name(f"{folder.name}.md")


def _pictures(table: tables.Results, docs: Path) -> str:
    """The pictures of a table that are kept beside the page: img/TABLE.*.png."""
    found = sorted((docs / "img").glob(f"{table.slug}.*.png"))
    return "".join(f"\n![{table.title}, {table.data.name}](img/{path.name})\n" for path in found)


def render_results(folder: Path) -> list[Path]:
    """Write the page of all tables in a folder, and those of its folders of evidence and plumbing.

    Returns:
        The pages' paths.

    Raises:
        UsageError: there is no such folder, or a file in it is no table.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} with tables in it, so {page_of(folder)} was left as it is.")
    inside = [folder / name for name in (EVIDENCE, PLUMBING) if (folder / name).is_dir()]
    written = []
    for one in (folder, *inside):
        page, text = page_of(one), results_page(one)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
        written.append(page)
    return written


def render_table(file: Path) -> list[Path]:
    """Write a table's page and its figure beside its file; pictures that lie there already are shown on the page.

    Returns:
        What was written, the page first.

    Raises:
        UsageError: the file is no table.
    """
    table = tables.read(file)
    figure = plot(table, file.with_suffix(".png"))
    pictures = sorted(path for path in file.parent.glob("*.png") if path != figure)
    shown = "".join(f"\n![{path.stem}]({path.name})\n" for path in (figure, *pictures))
    text = f"Written by `whyrec eval` from `{file.name}`.\n\n{_HOW_TO_READ}\n{markdown(table)}{shown}"
    page = file.with_suffix(".md")
    page.write_text(text, encoding="utf-8")
    return [page, figure]
