"""A dial as a picture: quality from left to right, the outcome with its interval, each world a thin line, and what
needs no model as a band.

Drawn from a dial's own file, without pyplot, so no global state and no display is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evals.dials.run import Curve, Dialled, Without
from evals.output.table import short

_FROM_ZERO = 0.45  # an axis that would start above this share of its end does not start at zero
_ASIDE = 0.01  # how far the second curve is moved aside, so that intervals do not hide one another
_INK, _PALE, _LESS, _GREY, _BAND = "#1f3a5f", "#9db4cf", "#b8671b", "#8a8a8a", "#e9e9e9"


def draw(found: Dialled, title: str, path: Path) -> Path:
    """Draw a dial into a file (its ending chooses the format).

    Returns:
        The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    names = [_reference(axis, found.without[0], found.levels)]
    for of_seed in found.method.points:
        axis.plot(found.levels, [p.mean for p in of_seed], color=_PALE, linewidth=0.7, zorder=2)
    if found.placebo is not None:
        names.append(_curve(axis, found.placebo, found.levels, color=_GREY, style=":"))
    if found.less is not None:
        names.append(_curve(axis, found.less, found.levels, color=_LESS, style="--"))
    names.append(_curve(axis, found.method, found.levels, color=_INK, style="-"))
    _dress(axis, found)
    _name(axis, names)
    axis.set_title(title, fontsize=9.5, loc="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else None)
    return path


def _reference(axis: Any, without: Without, levels: tuple[float, ...]) -> tuple[str, float, str]:
    """The band of what needs no model; (name, height, colour) of its label."""
    mean = without.mean
    ends = [levels[0] - 0.04, levels[-1] + 0.04]
    axis.fill_between(ends, mean.low, mean.high, color=_BAND, linewidth=0, zorder=0)
    axis.plot(ends, [mean.mean, mean.mean], color=_GREY, linewidth=1.0, zorder=1)
    return f"{without.row} (no model)", mean.mean, _GREY


def _curve(axis: Any, curve: Curve, levels: tuple[float, ...], *, color: str, style: str) -> tuple[str, float, str]:
    """Means with their intervals over worlds; (name, height, colour) of its label."""
    means = np.array([m.mean for m in curve.means])
    reach = [means - [m.low for m in curve.means], [m.high for m in curve.means] - means]
    axis.errorbar(
        np.array(levels) + (0 if style == "-" else _ASIDE),
        means,
        yerr=reach,
        color=color,
        linestyle=style,
        linewidth=1.6,
        marker="o",
        markersize=4.5,
        capsize=2.5,
        elinewidth=1.1,
        zorder=4 if style == "-" else 3,
    )
    return curve.row, float(means[-1]), color


def _dress(axis: Any, found: Dialled) -> None:
    axis.set_xticks(found.levels, [f"{level:g}" for level in found.levels])
    axis.set_xlabel("quality of the simulated model", fontsize=8.5)
    better = " (lower is better)" if found.lower else ""
    axis.set_ylabel(f"{short(found.metric)}{better}", fontsize=8.5)
    axis.tick_params(labelsize=8)
    low, high = axis.get_ylim()
    if low < _FROM_ZERO * high:
        axis.set_ylim(bottom=min(0.0, low))
    axis.set_xlim(found.levels[0] - 0.04, found.levels[-1] + 0.04)
    axis.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _name(axis: Any, names: list[tuple[str, float, str]]) -> None:
    """Labels beside the right ends of their lines, moved apart where they would touch."""
    low, high = axis.get_ylim()
    gap, names = 0.075 * (high - low), sorted(names, key=lambda n: n[1])
    heights: list[float] = []
    for _text, height, _color in names:
        heights.append(max(height, heights[-1] + gap) if heights else height)
    for i in range(len(heights) - 1, -1, -1):  # and down again where they ran out of the top
        above = heights[i + 1] - gap if i + 1 < len(heights) else high
        heights[i] = min(heights[i], above)
    for (text, _height, color), y in zip(names, heights, strict=True):
        axis.annotate(
            text,
            (axis.get_xlim()[1], y),
            xytext=(4, 0),
            textcoords="offset points",
            color=color,
            fontsize=8,
            va="center",
            annotation_clip=False,
        )
