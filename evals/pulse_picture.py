"""The picture of PULSE's Figure 3: a thought space before (left) and after training (right), of users it did not see.

Above, a t-SNE of behaviours and rationales together, as in the paper, but gathered: a dot stands for the behaviours in
one cell of the plane, as large as they are many, and a line leads to the mean place of their own rationales. Short
lines are rationales near their behaviours. Below, what no projection can bend: the cosines of behaviours with their own
rationale and with those of others, all pairs counted. Drawn without pyplot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rec_models.thought_fit import retrieval_mrr

if TYPE_CHECKING:
    from evals.pulse_figure import Shown

_MOST = 500  # users in the projection
_CELLS = 14  # along each side of the plane
_LEAST = 2  # behaviours in a cell that is drawn
_BEHAVIOUR, _OWN, _OTHERS, _GREY = "#2e7d32", "#1f5fa8", "#c0392b", "#8a8a8a"
Floats = npt.NDArray[np.float64]


def draw(before: Shown, after: Shown, path: Path, *, title: str) -> Path:
    """Write the picture.

    Args:
        before: points of the users measured, untrained.
        after: points of the same users, trained.
        path: file, made with its folder.
        title: above it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(8.4, 7.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, height_ratios=(1.7, 1.0), sharex="row", sharey="row")
    cosines = [one.behaviours @ one.rationales.T for one in (before, after)]
    edges = np.linspace(min(float(c.min()) for c in cosines), max(float(c.max()) for c in cosines), 41)
    for column, (shown, when) in enumerate(((before, "before training"), (after, "after training"))):
        _plane(axes[0, column], shown)
        _cosines(axes[1, column], shown, edges)
        mrr = retrieval_mrr(shown.behaviours @ shown.rationales.T, shown.same)
        axes[0, column].set_title(f"{when}: MRR {mrr:.3f} among {len(shown.users):,}", fontsize=10, loc="left")
    axes[1, 0].set_ylabel("share of pairs", fontsize=9)
    axes[1, 0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.legend(*_legend(axes), loc="outside lower center", ncols=2, fontsize=8.5, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _plane(axis: Any, shown: Shown) -> None:
    """Gathered t-SNE of behaviours and their own rationales, in units of the plane's own width."""
    from sklearn.manifold import TSNE

    n = min(_MOST, len(shown.users))
    points = np.concatenate([shown.behaviours[:n], shown.rationales[:n]])
    flat = TSNE(2, perplexity=max(2.0, min(30.0, n / 4)), init="pca", random_state=0).fit_transform(points)
    low, high = flat.min(0), flat.max(0)
    flat = (flat - low) / np.maximum(high - low, 1e-9)
    for size, behaviour, rationale in _gathered(flat[:n].astype(np.float64), flat[n:].astype(np.float64)):
        axis.plot(*zip(behaviour, rationale, strict=True), color=_OWN, linewidth=0.9, alpha=0.7, zorder=1)
        axis.plot(*rationale, ".", color=_OWN, markersize=4, zorder=2)
        axis.scatter(*behaviour, s=9.0 * size, color=_BEHAVIOUR, alpha=0.8, linewidths=0, zorder=3)
    axis.set(xticks=[], yticks=[], xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")


def _gathered(behaviours: Floats, rationales: Floats) -> list[tuple[int, Floats, Floats]]:
    """(number, mean place, mean place of their rationales) of the behaviours in every cell that holds enough."""
    cells = np.minimum((behaviours * _CELLS).astype(int), _CELLS - 1) @ np.array([1, _CELLS])
    found = []
    for cell in np.unique(cells):
        rows = cells == cell
        if rows.sum() >= _LEAST:
            found.append((int(rows.sum()), behaviours[rows].mean(0), rationales[rows].mean(0)))
    return found


def _cosines(axis: Any, shown: Shown, edges: Floats) -> None:
    cosine = (shown.behaviours @ shown.rationales.T).astype(np.float64)
    for values, color in ((cosine[~shown.same], _OTHERS), (np.diag(cosine), _OWN)):
        counts = np.histogram(values, edges)[0] / len(values)
        axis.stairs(counts, edges, color=color, fill=True, alpha=0.25)
        axis.stairs(counts, edges, color=color, linewidth=1.4)
        axis.axvline(float(values.mean()), color=color, linewidth=1.0, linestyle="--")
    axis.set_xlabel("cosine of behaviour and rationale (dashed: means)", fontsize=9)
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dot = Line2D([], [], color=_BEHAVIOUR, marker="o", linestyle="", markersize=6)
    line = Line2D([], [], color=_OWN, marker=".", markersize=5, linewidth=0.9)
    said = ["behaviours in a cell of the projection", "to the mean of their own rationales"]
    handles = [dot, line, Patch(color=_OWN, alpha=0.5), Patch(color=_OTHERS, alpha=0.5)]
    return handles, [*said, "with the own rationale", "with another user's"]
