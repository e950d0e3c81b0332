"""A graph as SVG for a notebook: no script, no network, and the page's own colours, light or dark."""

from __future__ import annotations

from html import escape

from graphs.engine.drawing import Drawing

_TEXT = "text-anchor='middle' fill='currentColor' font-family='sans-serif' font-size='13'"
_LINE = "fill='none' stroke='currentColor'"


def svg(drawing: Drawing, name: str) -> str:
    """The drawing; a dashed line is a choice.

    Args:
        drawing: boxes and lines.
        name: of the graph, for readers of screens and for the arrows' id, which a page may have several of.
    """
    width, height, arrow = drawing.width, drawing.height, f"arrow-{escape(name)}"
    parts = [
        f"<svg viewBox='0 0 {width:.0f} {height:.0f}' width='{width:.0f}' height='{height:.0f}' role='img' "
        f"style='max-width:100%' aria-label='The graph {escape(name)}'>",
        f"<defs><marker id='{arrow}' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='8' markerHeight='8' "
        "markerUnits='userSpaceOnUse' orient='auto'><path d='M0 0L8 4L0 8z' fill='currentColor'/></marker></defs>",
    ]
    for line in drawing.lines:
        dashed = " stroke-dasharray='4 3'" if line.choice else ""
        parts.append(f"<path d='{escape(line.path)}' {_LINE} opacity='.6'{dashed} marker-end='url(#{arrow})'/>")
    for box in drawing.boxes:
        end = box.name.startswith("__")
        place = f"x='{box.x:.0f}' y='{box.y:.0f}' width='{box.width:.0f}' height='{box.height:.0f}'"
        parts.append(f"<rect {place} rx='{13 if end else 6}' {_LINE} opacity='{'.4' if end else '.8'}'/>")
        middle = box.y + box.height / 2 + 4
        parts.append(f"<text x='{box.middle:.0f}' y='{middle:.0f}' {_TEXT}>{escape(box.name.strip('_'))}</text>")
    return "".join([*parts, "</svg>"])
