"""Bars of what each node took: tokens, money, time and what went wrong, a chart each, as shares for SVGs of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from whyrec.ui.shown import number, span, spent, tokens
from whyrec.ui.tally import Sum


@dataclass(frozen=True)
class Bar:
    """One node in a chart: how long its bar is and the lighter one behind it, in shares of the longest; in words."""

    node: str
    share: float
    behind: float
    told: str


@dataclass(frozen=True)
class Chart:
    """A chart: its title, what its two bars are, and a bar per node, the longest first."""

    title: str
    legend: str
    bars: tuple[Bar, ...]


def by_node(nodes: Mapping[str, Sum]) -> list[Chart]:
    """A chart of each thing that some node took any of."""
    charts = (
        _chart("tokens", "out, and in behind it", nodes, lambda s: (s.tokens_out, s.tokens_in), tokens),
        _chart("cost", "", nodes, lambda s: (s.cost, 0.0), spent),
        _chart("latency of a call", "mean, and the longest behind it", nodes, lambda s: (s.mean, s.longest), _time),
        _chart(
            "errors", "and unusable answers behind them", nodes, lambda s: (s.errors, s.errors + s.unreadable), _wrong
        ),
    )
    return [chart for chart in charts if chart.bars]


def _chart(
    title: str,
    legend: str,
    nodes: Mapping[str, Sum],
    of: Callable[[Sum], tuple[float, float]],
    told: Callable[[Sum], str],
) -> Chart:
    values = {node: of(one) for node, one in nodes.items()}
    most = max((max(pair) for pair in values.values()), default=0.0)
    if not most:
        return Chart(title, legend, ())
    order = sorted(values, key=lambda node: (-max(values[node]), node))
    bars = (Bar(node, values[node][0] / most, values[node][1] / most, told(nodes[node])) for node in order)
    return Chart(title, legend, tuple(bars))


def _time(one: Sum) -> str:
    return f"{span(one.mean)}, up to {span(one.longest)}"


def _wrong(one: Sum) -> str:
    return f"{number(one.errors)} + {number(one.unreadable)}"
