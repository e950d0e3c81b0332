"""The picture of PULSE's Figure 3: a thought space before and after training, for users that training did not see.

Above, a t-SNE of behaviours and rationales together, as in the paper, but gathered: a disc stands for all behaviours, a
ring for all rationales in one cell of the plane, as large as they are many. It shows whether the two mix, and no more;
whether a behaviour finds *its own* rationale is in the other panels, which no projection bends: the cosines of
behaviours with their own rationale and with everybody else's, at which rank the own one comes, and the MRR with its
interval. Drawn without pyplot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evals.metrics import metric
from evals.statistics.aggregate import summarise

if TYPE_CHECKING:
    from evals.papers.pulse.figure_3_points import Points

_MOST = 500  # users in the projection
_CELLS = 14  # along each side of the plane
_LEAST = 2  # texts in a cell that is drawn
_BEHAVIOUR, _OWN, _OTHERS, _GREY = "#2e7d32", "#1f5fa8", "#c0392b", "#8a8a8a"
_LINES = {"before": "--", "after": "-"}
Floats = npt.NDArray[np.float64]


def draw(before: Points, after: Points, path: Path, *, title: str) -> Path:
    """Write the picture.

    Args:
        before: points of the users measured, untrained.
        after: points of the same users, trained.
        path: file, made with its folder.
        title: above it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3, height_ratios=(1.45, 1.0))
    states = {"before": before, "after": after}
    cosines = [one.behaviours @ one.rationales.T for one in states.values()]
    edges = np.linspace(min(float(c.min()) for c in cosines), max(float(c.max()) for c in cosines), 41)
    for column, (when, shown) in enumerate(states.items()):
        _plane(axes[0, column], shown)
        _cosines(axes[1, column], shown, edges)
        axes[0, column].set_title(f"{when} training", fontsize=10, loc="left")
    highest = 1.3 * max(axes[1, column].get_ylim()[1] for column in (0, 1))  # room for the legend
    for column in (0, 1):
        axes[1, column].set_ylim(0, highest)
    _ranks(axes[0, 2], states)
    _mrr(axes[1, 2], states)
    for axis in (axes[1, 0], axes[1, 1], axes[0, 2], axes[1, 2]):
        _dress(axis)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path


def _plane(axis: Any, shown: Points) -> None:
    """Gathered t-SNE, in units of the plane's own width."""
    from sklearn.manifold import TSNE

    n = min(_MOST, len(shown.users))
    points = np.concatenate([shown.behaviours[:n], shown.rationales[:n]])
    flat = TSNE(2, perplexity=max(2.0, min(30.0, n / 4)), init="pca", random_state=0).fit_transform(points)
    low, high = flat.min(0), flat.max(0)
    flat = (flat - low) / np.maximum(high - low, 1e-9)
    for some, looks in (
        (flat[:n], {"color": _BEHAVIOUR, "alpha": 0.55, "linewidths": 0, "label": "behaviours"}),
        (flat[n:], {"facecolors": "none", "edgecolors": _OWN, "linewidths": 1.2, "label": "rationales"}),
    ):
        sizes, places = _gathered(some.astype(np.float64))
        axis.scatter(places[:, 0], places[:, 1], s=11.0 * sizes, **looks)
    axis.set(xticks=[], yticks=[], xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
    legend = axis.legend(loc="upper left", fontsize=7.5, frameon=False, borderaxespad=0.2, handletextpad=0.2)
    for handle in legend.legend_handles:
        handle.set_sizes([30.0])


def _gathered(points_N2: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """(how many, their mean place) of the points in every cell that holds enough."""
    cells = np.minimum((points_N2 * _CELLS).astype(int), _CELLS - 1) @ np.array([1, _CELLS])
    found = [(int((cells == cell).sum()), points_N2[cells == cell].mean(0)) for cell in np.unique(cells)]
    kept = [(size, place) for size, place in found if size >= _LEAST]
    return np.array([size for size, _ in kept], np.int64), np.array([place for _, place in kept]).reshape(-1, 2)


def _cosines(axis: Any, shown: Points, edges: Floats) -> None:
    from matplotlib.ticker import PercentFormatter

    cosine = (shown.behaviours @ shown.rationales.T).astype(np.float64)
    for values, color, label in (
        (cosine[~shown.same], _OTHERS, "with others' rationales"),
        (np.diag(cosine), _OWN, "with the own rationale"),
    ):
        counts = np.histogram(values, edges)[0] / len(values)
        axis.stairs(counts, edges, color=color, fill=True, alpha=0.25)
        axis.stairs(counts, edges, color=color, linewidth=1.4, label=f"{label}: mean {values.mean():.3f}")
        axis.axvline(float(values.mean()), color=color, linewidth=1.0, linestyle=":")
    axis.set_xlabel("cosine of a behaviour", fontsize=9)
    axis.set_ylabel("share of pairs", fontsize=9)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend(loc="upper right", fontsize=7.5, frameon=False)


def _ranks(axis: Any, states: dict[str, Points]) -> None:
    """Share of behaviours whose own rationale is among the first k."""
    from matplotlib.ticker import PercentFormatter, StrMethodFormatter

    n = len(next(iter(states.values())).users)
    first = np.unique(np.geomspace(1, n, 60).round().astype(int))
    for when, shown in states.items():
        axis.plot(
            first, [_values(shown, f"hr@{k}").mean() for k in first], color=_OWN, linestyle=_LINES[when], label=when
        )
    axis.plot(first, first / n, color=_GREY, linewidth=1.0, label="chance")
    axis.set(xscale="log", yscale="log", ylim=(0.8 / n, 1.1), xlim=(0.9, 1.1 * n))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axis.set_title("own rationale among the first k", fontsize=10, loc="left")
    axis.set_xlabel(f"k, of {n:,} rationales", fontsize=9)
    axis.set_ylabel("share of behaviours", fontsize=9)
    axis.legend(loc="lower right", fontsize=8, frameon=False)


def _mrr(axis: Any, states: dict[str, Points]) -> None:
    n = len(next(iter(states.values())).users)
    names = [*states, "chance"]
    for y, shown in enumerate(states.values()):
        found = summarise(_values(shown, f"mrr@{n}"))
        axis.plot([found.low, found.high], [y, y], color=_OWN, linewidth=1.8, solid_capstyle="butt")
        axis.plot([found.mean], [y], "o", color=_OWN, markersize=5)
        axis.annotate(f"{found.mean:.4f}", (found.mean, y), (0, 7), textcoords="offset points", fontsize=8, ha="center")
    axis.plot([metric(f"mrr@{n}").chance(n)], [len(states)], "o", color=_GREY, markersize=5)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set(ylim=(len(names) - 0.5, -0.6))
    axis.set_xlim(left=0)
    axis.set_xlabel("MRR, 95 % interval over users", fontsize=9)


def _values(shown: Points, name: str) -> Floats:
    """A metric of every behaviour; ties as in every table."""
    rankings = shown.rankings()
    return metric(name).rankings([r.better for r in rankings], [r.ties for r in rankings])


def _dress(axis: Any) -> None:
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
