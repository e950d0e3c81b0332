"""Small charts as coordinates, for SVGs of our own: a rate over time, and points on a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 120


@dataclass(frozen=True)
class Area:
    """A rate over time: the SVG path under it, its highest value, and how many seconds wide it is."""

    path: str
    line: str
    most: float
    seconds: float
    width: int = WIDTH
    height: int = HEIGHT


def area(rates: Sequence[float], *, seconds: float) -> Area:
    """Steps from left to right, 0 at the bottom, the highest at the top."""
    most = max(rates) or 1.0
    step = WIDTH / len(rates)
    points = []
    for i, rate in enumerate(rates):
        y = HEIGHT - 1 - (HEIGHT - 8) * rate / most
        points.append(f"{i * step:.1f} {y:.1f}H{(i + 1) * step:.1f}")
    line = "M" + "L".join(points)
    return Area(f"{line}V{HEIGHT}H0Z", line, most, seconds)
