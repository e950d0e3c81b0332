"""Tables that are computed: listed, shown, written to files and pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from evals import registry
from evals import results as tables
from evals.output.plot import plot
from evals.output.report import render_results, render_table
from evals.output.table import as_csv, footing, grid, markdown, terminal, verdict_lines
from evals.results import Results, own_tables
from whyrec.api.runs import as_pandas
from whyrec.api.shown import cells, text
from whyrec.settings import Settings, read_settings

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 240

Kind: TypeAlias = Literal["markdown", "csv", "json", "plot"]
_ENDINGS = {"markdown": "md", "plot": "png"}


@dataclass(frozen=True)
class TableOfResults:
    """An experiment's table. `show()` prints it; a notebook shows it by itself.

    Attributes:
        results: everything in it: rows, intervals, tests, verdicts, how it came about; without verdicts over rows that
            were not run in this home.
        everything: the same with those verdicts, as it stands in its file.
    """

    results: Results
    everything: Results

    def show(self, width: int | None = None, *, all_verdicts: bool = False, console: Console | None = None) -> None:
        """Print the table with its intervals, notes and verdicts.

        Args:
            width: columns; as many as the terminal has where not given.
            all_verdicts: those over rows that were not run in this home, too.
            console: where to print; standard output where not given.
        """
        from rich.console import Console

        if console is None:
            console = Console(width=width)
            if width is None and not console.is_terminal:
                console = Console(width=_WIDTH)
        shown = self.everything if all_verdicts else self.results
        console.print(terminal(shown, width or console.width))

    def write(self, folder: str | Path, kinds: Sequence[Kind]) -> list[Path]:
        """Write files called after the table and its data, all verdicts in them.

        Args:
            folder: made where it is not there.
            kinds: markdown (.md), csv, json, plot (.png).
        """
        folder, table, paths = Path(folder), self.everything, []
        folder.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            path = folder / f"{table.slug}.{_ENDINGS.get(kind, kind)}"
            if kind == "json":
                tables.write(path, table)
            elif kind == "plot":
                plot(table, path)
            else:
                path.write_text(markdown(table) if kind == "markdown" else as_csv(table), encoding="utf-8")
            paths.append(path)
        return paths

    def to_polars(self) -> pl.DataFrame:
        """A row per cell and metric, with interval, n and the published values."""
        return pl.read_csv(io.StringIO(as_csv(self.results)), infer_schema_length=None)

    def to_pandas(self) -> Any:
        """As `to_polars`, a pandas.DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_pandas(self.to_polars())

    def markdown(self) -> str:
        """As it stands on a page."""
        return markdown(self.results)

    @property
    def claims(self) -> list[str]:
        """What the data say of each claim, a line each."""
        return verdict_lines(self.results)

    def __repr__(self) -> str:
        return f"<{self.results.title} on {self.results.data.name}: {len(self.results.rows)} rows; .show() prints it>"

    def _repr_html_(self) -> str:
        made = grid(self.results)
        notes = "".join(f"<p>{text(line)}</p>" for line in (*verdict_lines(self.results), *footing(self.results)))
        title = f"{self.results.title} · {self.results.data.name}"
        return f"<b>{text(title)}</b>{cells(made.headings, made.rows)}{notes}"


class Tables(dict[str, str]):
    """Names, each with one line on what it is; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        return cells(("table", "what it is"), list(self.items()))


def list_tables() -> Tables:
    """All tables that `evaluate` computes, those of plug-ins too."""
    return Tables(registry.about())


def about_table(name: str) -> str:
    """One line on a table.

    Raises:
        UnknownNameError: there is none of this name; the message lists the known ones.
    """
    registry.builder(name)
    return registry.about()[name]


def render_tables(folder: str | Path | None = None, *, settings: Settings | None = None) -> list[Path]:
    """Write the pages over tables that are there, without computing any.

    Args:
        folder: that many tables share, with its page beside it; else each table in `$WHYREC_HOME/results` has a page.
        settings: home folder; read from WHYREC_* and whyrec.toml if not given.

    Returns:
        The pages.
    """
    if folder is not None:
        return render_results(Path(folder))
    return [render_table(file)[0] for file in own_tables((settings or read_settings()).home)]
