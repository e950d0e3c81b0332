"""A figure of one table: a dot with its interval per cell, what was published as a hollow mark beside it.

One panel per metric and one with the paired differences against the base cell, cells from top to bottom in the order
of the table, anchors grey. Drawn without pyplot, so no global state and no display is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evals.output.table import judged_metric, short
from evals.results import Results, Row

_INK, _GREY, _GRID = "#1f3a5f", "#9a9a9a", "#e6e6e6"
_OURS = "ours, 95 % interval over users"
_MARKS = ("D", "s", "^", "v", "P")
_HUES = ("#c0392b", "#d68910", "#7d3c98", "#117a65", "#5d6d7e")


def plot(results: Results, path: Path) -> Path:
    """Draw the table into a file (its ending chooses the format: .png, .svg, .pdf).

    Returns:
        The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(results.rows.values())
    judged = judged_metric(results)
    differ = any(judged in row.delta for row in rows)
    panels = len(results.metrics) + differ
    figure = Figure(figsize=(3.2 + 3.6 * panels, 1.9 + 0.27 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    columns = [c for c in results.columns if any(c in row.published for row in rows)]
    for axis, metric in zip(axes, results.metrics, strict=False):
        _panel(axis, rows, metric, columns)
    if differ:
        _differences(axes[-1], rows, judged)
    axes[0].set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    for label, row in zip(axes[0].get_yticklabels(), rows, strict=True):
        label.set_color(_GREY if row.anchor else "black")
    figure.suptitle(f"{results.title}: {results.data.name}", x=0.01, ha="left", fontsize=11)
    handles, labels = _legend(axes)
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=7, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def _panel(axis: Any, rows: list[Row], metric: str, columns: list[str]) -> None:
    for y, row in enumerate(rows):
        color = _GREY if row.anchor else _INK
        found = row.users.get(metric)
        mean = found.mean if found else sum(run.test[metric].mean for run in row.runs) / len(row.runs)
        if found:
            axis.plot([found.low, found.high], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
        axis.plot([mean], [y], "o", color=color, markersize=4.5, label="" if row.anchor else _OURS)
        for number, column in enumerate(columns):
            value = row.published.get(column, {}).get(metric)
            if value is not None:
                axis.plot(
                    [value],
                    [y],
                    _MARKS[number % len(_MARKS)],
                    markerfacecolor="none",
                    markeredgecolor=_HUES[number % len(_HUES)],
                    markersize=5,
                    label=f"{column}, published (other data or protocol)",
                )
    axis.set_xlim(left=0)
    _dress(axis, short(metric))


def _differences(axis: Any, rows: list[Row], metric: str) -> None:
    axis.axvline(0, color=_GREY, linewidth=0.8)
    for y, row in enumerate(rows):
        if metric in row.delta:
            found = row.delta[metric].users
            axis.plot([found.low, found.high], [y, y], color=_INK, linewidth=1.6, solid_capstyle="butt")
            axis.plot([found.difference], [y], "o", color=_INK, markersize=4.5)
    bases = sorted({row.base for row in rows if row.delta})
    axis.set_xlabel("\n".join(["paired difference against", *bases]), fontsize=7)
    _dress(axis, f"Δ {short(metric)}")


def _dress(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=9, loc="left")
    axis.grid(axis="x", color=_GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
