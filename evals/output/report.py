"""Pages of tables, written from their JSON files and nothing else.

Nothing is trained and nothing is drawn at random here: the same files give the same page, so a page that differs from
what `whyrec eval --render` writes is stale, and a test says so of docs/results.md. That page shows all tables of one
folder; a table in somebody's home has a page of its own beside it.
"""

from __future__ import annotations

from pathlib import Path

from evals import results as tables
from evals.output.plot import plot
from evals.output.table import markdown
from whyrec.errors import UsageError

_HEAD = """# Results

Written by `whyrec eval --render` from `docs/results/*.json`; do not edit.

"""
_HOW_TO_READ = """\
How to read: every number is measured on the test split by the protocol under its table, with a 95 % interval.
Published numbers stand beside ours with the data set and the protocol they were measured by; where those differ from
ours, the columns may be compared in their *order*, not in their values. A claim is *supported* when the paired
difference is positive, its p-value over users (permutation test, Holm-adjusted for all pairs of the claim) is below
.05 and no seed says the opposite; *contradicted* when the same holds of the opposite sign; otherwise *not supported*.
A comparison that cannot speak for or against its claim is *uninformative*, and the reason stands with it.
Examples without an outcome are counted as unscored and enter no mean.
Of rows that are only a quick look (training or data cut short) nothing is said: *no result*.
"""


def results_page(folder: Path) -> str:
    """The page of all tables in this folder, in the order of their names."""
    found = tables.read_folder(tables.Results, folder, mark="experiment")
    head = f"{_HEAD}{_HOW_TO_READ}"
    if not found:
        return f"{head}\nNo table has been computed yet.\n"
    return "\n".join([head, *(markdown(table) + _pictures(table, folder.parent) for table in found.values())])


def _pictures(table: tables.Results, docs: Path) -> str:
    """The pictures of a table that are kept beside the page: img/TABLE.*.png."""
    found = sorted((docs / "img").glob(f"{table.slug}.*.png"))
    return "".join(f"\n![{table.title}, {table.data.name}](img/{path.name})\n" for path in found)


def render_results(folder: Path, page: Path) -> Path:
    """Write the page of all tables in a folder.

    Returns:
        The page's path.

    Raises:
        UsageError: there is no such folder, or a file in it is no table.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} with tables in it, so {page} was left as it is.")
    text = results_page(folder)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return page


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
