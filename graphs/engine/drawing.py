"""A graph as a drawing: layers from start to end, boxes and lines with coordinates, for an SVG of our own.

Nodes stand in layers by their longest way from the start. A line that passes a layer gets a narrow place in it, so
that it runs between boxes and not through them; a line that goes back runs around the right side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from graphs.workflow import workflow

WIDTH, HEIGHT, END = 176, 56, 26  # a node's box; the height of start and end
_GAP_X, _GAP_Y, _LANE = 22, 34, 16
_MARGIN = 8

Edge = tuple[str, str, bool]


@dataclass(frozen=True)
class Box:
    """A node: its name, its corner and its size."""

    name: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Where lines come in and go out."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Line:
    """An edge: from, to, whether it is a choice, and its path in SVG's words."""

    source: str
    target: str
    choice: bool
    path: str


@dataclass(frozen=True)
class Drawing:
    """A drawing and its size."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


@lru_cache(maxsize=64)
def of_workflow(name: str) -> Drawing:
    """The drawing of a workflow's graph.

    Raises:
        UnknownNameError: there is no workflow of this name.
    """
    graph = workflow(name).build().get_graph()
    return draw(tuple(graph.nodes), tuple((e.source, e.target, bool(e.conditional)) for e in graph.edges))


def draw(nodes: Sequence[str], edges: Sequence[Edge]) -> Drawing:
    """Place nodes and edges. The first node is the start."""
    back = _back_edges(nodes, edges)
    forward = [edge for edge in edges if (edge[0], edge[1]) not in back]
    rank = _ranks(nodes, forward)
    layers, ways = _layers(nodes, forward, rank)
    _untangle(layers, ways)
    boxes, width, height = _place(layers)
    loops = [edge for edge in edges if (edge[0], edge[1]) in back]
    lines = [Line(a, b, choice, _path([boxes[n] for n in ways[a, b]])) for a, b, choice in forward]
    for lane, (a, b, choice) in enumerate(loops, 1):
        lines.append(Line(a, b, choice, _around(boxes[a], boxes[b], width + lane * _LANE)))
    right = width + (len(loops) * _LANE + 6 if loops else 0)
    real = tuple(box for name, box in boxes.items() if name in set(nodes))
    return Drawing(real, tuple(lines), right + 2 * _MARGIN, height)


def _back_edges(nodes: Sequence[str], edges: Sequence[Edge]) -> set[tuple[str, str]]:
    """Edges that close a circle, found by walking from the start."""
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b, _ in edges:
        after[a].append(b)
    back: set[tuple[str, str]] = set()
    state: dict[str, int] = {}

    def walk(node: str) -> None:
        state[node] = 1
        for following in after[node]:
            if state.get(following) == 1:
                back.add((node, following))
            elif following not in state:
                walk(following)
        state[node] = 2

    for node in nodes:
        if node not in state:
            walk(node)
    return back


def _ranks(nodes: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    """The layer of each node: its longest way from the start."""
    rank = dict.fromkeys(nodes, 0)
    pairs = [(a, b) for a, b, _ in edges]
    for _ in nodes:
        for a, b in pairs:
            rank[b] = max(rank[b], rank[a] + 1)
    return rank


def _layers(
    nodes: Sequence[str], edges: Sequence[Edge], rank: Mapping[str, int]
) -> tuple[list[list[str]], dict[tuple[str, str], list[str]]]:
    """Names by layer, and every edge's way from layer to layer; places of passing lines begin with a space."""
    layers: list[list[str]] = [[] for _ in range(max(rank.values()) + 1)]
    for node in nodes:
        layers[rank[node]].append(node)
    ways: dict[tuple[str, str], list[str]] = {}
    for a, b, _ in edges:
        way = [a]
        for layer in range(rank[a] + 1, rank[b]):
            place = f" {a} {b} {layer}"
            layers[layer].append(place)
            way.append(place)
        ways[a, b] = [*way, b]
    return layers, ways


def _untangle(layers: list[list[str]], ways: Mapping[tuple[str, str], list[str]]) -> None:
    """Order each layer by where its neighbours stand, a few times down and up."""
    pairs = [pair for way in ways.values() for pair in pairwise(way)]
    for turn in range(4):
        order = range(1, len(layers)) if turn % 2 == 0 else range(len(layers) - 2, -1, -1)
        for at in order:
            beside = layers[at - 1 if turn % 2 == 0 else at + 1]
            place = {name: (i + 0.5) / len(beside) for i, name in enumerate(beside)}
            near: dict[str, list[float]] = {name: [] for name in layers[at]}
            for a, b in pairs:
                one, other = (b, a) if turn % 2 == 0 else (a, b)
                if one in near and other in place:
                    near[one].append(place[other])
            layers[at].sort(key=lambda name: sum(near[name]) / len(near[name]) if near[name] else 0.5)


def _place(layers: Sequence[Sequence[str]]) -> tuple[dict[str, Box], float, float]:
    def wide(name: str) -> float:
        return _LANE if name.startswith(" ") else 74 if name.startswith("__") else WIDTH

    totals = [sum(map(wide, layer)) + _GAP_X * (len(layer) - 1) for layer in layers]
    width, y = max(totals), float(_MARGIN)
    boxes: dict[str, Box] = {}
    for layer, total in zip(layers, totals, strict=True):
        height = max(END if name.startswith("__") else HEIGHT for name in layer)
        x = _MARGIN + (width - total) / 2
        for name in layer:
            tall = END if name.startswith("__") else height
            boxes[name] = Box(name, x, y + (height - tall) / 2, wide(name), tall)
            x += wide(name) + _GAP_X
        y += height + _GAP_Y
    return boxes, width, y - _GAP_Y + _MARGIN


def _path(way: Sequence[Box]) -> str:
    """Down from box to box; through the places in between straight."""
    first = way[0]
    x, y = first.middle, first.y + first.height
    said = f"M{x:.0f} {y:.0f}"
    for box in way[1:]:
        bend = (box.y - y) / 2
        said += f"C{x:.0f} {y + bend:.0f} {box.middle:.0f} {box.y - bend:.0f} {box.middle:.0f} {box.y:.0f}"
        x, y = box.middle, box.y
        if box.name.startswith(" "):
            y = box.y + box.height
            said += f"V{y:.0f}"
    return said


def _around(source: Box, target: Box, lane: float) -> str:
    """Out below one box, up at the right of everything, and in above another: through no box in between."""
    x1, y1 = source.x + source.width * 0.85, source.y + source.height
    x2, y2 = target.x + target.width * 0.85, target.y
    low, high, r = y1 + _GAP_Y * 0.3, y2 - _GAP_Y * 0.45, 7
    return (
        f"M{x1:.0f} {y1:.0f}V{low - r:.0f}q0 {r} {r} {r}H{lane - r:.0f}q{r} 0 {r} {-r}V{high + r:.0f}"
        f"q0 {-r} {-r} {-r}H{x2 + r:.0f}q{-r} 0 {-r} {r}V{y2:.0f}"
    )
