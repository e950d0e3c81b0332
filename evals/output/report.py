"""Pages of tables, written from their JSON files and nothing else.

    docs/results/*.json   ->   docs/results.md (how to read them, and what there is), docs/results_PAPER.md (the tables)

Nothing is trained and nothing is drawn at random here: the same files give the same pages, so a page that differs from
what `whyrec eval --render` writes is stale, and a test says so of the project's own. There are three kinds: evidence
(`results/evidence`, real language models, on one page), plumbing (`results/plumbing`, built-in doubles, no verdicts)
and results (recommenders, or whatever else a folder holds). A table in somebody's home has a page of its own beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from evals import results as tables
from evals.output.evidence import PAPERS, claims_in_short, evidence_page
from evals.output.plot import plot
from evals.output.table import markdown
from evals.results import EVIDENCE, PLUMBING
from whyrec.errors import UsageError

_WRITTEN = "Written by `whyrec eval --render` from `docs/results/*.json`; do not edit."
_WRITTEN_PLUMBING = "Written by `make docs` from `docs/results/plumbing/*.json`; do not edit."
_HEAD = f"""# Results

{_WRITTEN}

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

{_WRITTEN_PLUMBING}

In these tables a built-in double (`extractive`, which copies its prompt) stood in the place of a language model. They
show that every workflow runs from end to end on real data, what it costs, and which numbers its anchors have. They say
nothing about any paper's claim, so no verdict and no p-value is told. What real models do: [evidence](evidence.md).

{_READ}"""


def results_pages(folder: Path) -> dict[Path, str]:
    """The pages over the tables of a folder: the index first, then one per paper; of evidence one for all papers."""
    index = page_of(folder)
    if folder.name == EVIDENCE:
        return {index: evidence_page(folder)}
    told = folder.name != PLUMBING
    head = f"{_HEAD}{_HOW_TO_READ}" if told else _PLUMBING
    found = tables.read_folder(tables.Results, folder, mark="experiment")
    pages = {index: f"{head}\nNo table has been computed yet.\n"}
    listed = []
    for paper, own in _by_paper(found.values()).items():
        page, title = index.with_name(f"{folder.name}_{paper}.md"), PAPERS.get(paper, paper)
        listed.append(f"## {title}\n\n[The tables of {title}]({page.name}):\n\n{_listed(own, told)}\n")
        pages[page] = _paper_page(title, own, index, told=told)
    if listed:
        pages[index] = "\n".join([head, *listed])
    return pages


def _by_paper(found: Iterable[tables.Results]) -> dict[str, list[tables.Results]]:
    """Tables by the paper that their experiments are named after; the house's papers in their order, others after."""
    papers: dict[str, list[tables.Results]] = {paper: [] for paper in PAPERS}
    for table in found:
        papers.setdefault(table.experiment.partition(".")[0], []).append(table)
    return {paper: own for paper, own in papers.items() if own}


def _listed(own: Sequence[tables.Results], told: bool) -> str:
    """What a paper's tables are of, and what their claims come to where that is told."""
    said = (f"- {table.title}: {table.data.name}{f' ({claims_in_short(table)})' if told else ''}" for table in own)
    return "\n".join(said)


def _paper_page(title: str, own: Sequence[tables.Results], index: Path, *, told: bool) -> str:
    """A paper's tables, in the order of their names."""
    kind, written = ("results", _WRITTEN) if told else ("plumbing", _WRITTEN_PLUMBING)
    head = f"# {title}: {kind}\n\n{written}\n\nHow to read these tables: [{kind}]({index.name}).\n"
    shown = (markdown(table, verdicts=told) + _pictures(table, index.parent) for table in own)
    return "\n".join([head, *shown])


def page_of(folder: Path) -> Path:
    """The first page over a folder's tables: docs/results.md of docs/results, docs/evidence.md of results/evidence."""
    beside = folder.parent if folder.name in (EVIDENCE, PLUMBING) and folder.parent.name == "results" else folder
    return beside.with_name(f"{folder.name}.md")


def _pictures(table: tables.Results, docs: Path) -> str:
    """The pictures of a table that are kept beside the page: img/TABLE.*.png."""
    found = sorted((docs / "img").glob(f"{table.slug}.*.png"))
    return "".join(f"\n![{table.title}, {table.data.name}](img/{path.name})\n" for path in found)


def render_results(folder: Path) -> list[Path]:
    """Write the pages of all tables in a folder, and those of its folders of evidence and plumbing.

    A paper's page that was written here before is taken away where none of its tables is there any more.

    Returns:
        The pages' paths.

    Raises:
        UsageError: there is no such folder, or a file in it is no table.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} with tables in it, so {page_of(folder)} was left as it is.")
    inside = [folder / name for name in (EVIDENCE, PLUMBING) if (folder / name).is_dir()]
    written: list[Path] = []
    for one in (folder, *inside):
        pages = results_pages(one)
        for page, text in pages.items():
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        for page in sorted(page_of(one).parent.glob(f"{one.name}_*.md")):
            if page not in pages and {_WRITTEN, _WRITTEN_PLUMBING} & set(page.read_text("utf-8").splitlines()):
                page.unlink()
        written += pages
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
