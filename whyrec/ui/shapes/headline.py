"""A result in one line, for a list: what a person would read first of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whyrec.ui.shapes import tree
from whyrec.ui.shapes.kinds import are_texts, cell, is_long, is_number, is_scalar, rows_of, words_of

_ENOUGH = 400


def headline(payload: Mapping[str, Any] | None) -> str:
    """The chosen thought of a tree, a probability, a text, the first of a ranking, the first chain, or its values."""
    if not payload:
        return ""
    told = {str(name): value for name, value in payload.items()}
    if found := tree.find(told):
        name, drawn, _ = found
        number = drawn.choices[0][1] if drawn.choices else 0
        return str(next(iter(said for said in told[name][number].values() if isinstance(said, str)), ""))[:_ENOUGH]
    if is_number(told.get("probability")):
        return f"probability {told['probability']:.3f}"
    if is_number(told.get("ndcg")) and is_number(told.get("percentile")):
        return f"ndcg {told['ndcg']:.3f}, percentile {told['percentile']:.3f}"
    if isinstance(told.get("answer"), str) and told["answer"]:
        return str(told["answer"])[:_ENOUGH]
    if ranked := words_of(told.get("ranking")):
        return " › ".join(ranked[:10])
    for name in ("summary", "text"):
        if isinstance(told.get(name), str) and told[name]:
            return str(told[name])[:_ENOUGH]
    return _first(told)


def _first(told: Mapping[str, Any]) -> str:
    for value in told.values():
        if isinstance(value, str) and is_long(value):
            return value[:_ENOUGH]
    for value in told.values():
        if are_texts(words_of(value)):
            return words_of(value)[0][:_ENOUGH]
        if rows := rows_of(value):
            inner = headline(rows[0])
            if inner:
                return inner
    for name, value in told.items():
        if words_of(value):
            return f"{name}: {', '.join(words_of(value)[:10])}"
    pairs = [f"{name} {cell(name, value).text}" for name, value in told.items() if is_scalar(value)]
    return " · ".join(pairs)[:_ENOUGH] or f"{len(told)} values"
