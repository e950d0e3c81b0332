"""An answer's format for one question: entries that speak of things asked about may name no others.

A model that is shown `"id": 12` answers about item 12, whatever it was asked. Where the server keeps to a schema, the
schema of the question at hand makes that impossible: each list of entries with an id has the ids asked about as the
only values, and as many entries as there are ids. Servers that do not keep to it are minded by the agent's check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from whyrec.llm.model import AnswerFormat


def narrowed(shape: AnswerFormat, among: Mapping[str, Sequence[int]]) -> AnswerFormat:
    """The format with the ids asked about in its schema.

    Args:
        shape: of the answer type; other kinds than json have no schema that a server keeps to, and stay.
        among: field of the answer that is a list of entries with `id`, or of bare ids -> the ids. Entries have one
            each; bare ids are a choice, each at most once.
    """
    if shape.kind != "json" or not among:
        return shape
    return _narrowed(shape, tuple((name, tuple(ids)) for name, ids in among.items()))


@lru_cache(maxsize=512)
def _narrowed(shape: AnswerFormat, among: tuple[tuple[str, tuple[int, ...]], ...]) -> AnswerFormat:
    schema = json.loads(shape.schema)
    for name, ids in among:
        listed = schema["properties"][name]
        if not ids:
            continue
        entry = listed["items"]
        if "properties" in entry:
            entry["properties"]["id"] = _one_of(entry["properties"]["id"], ids)
            listed["minItems"] = listed["maxItems"] = len(ids)
        else:
            listed["items"] = _one_of(entry, ids)
            listed["maxItems"] = min(listed["maxItems"], len(ids))
    return replace(shape, schema=json.dumps(schema, ensure_ascii=False, separators=(",", ":")))


def _one_of(node: Mapping[str, Any], ids: tuple[int, ...]) -> dict[str, Any]:
    """A number of the schema with these values and no other bounds."""
    return {k: v for k, v in node.items() if k not in ("minimum", "maximum")} | {"enum": sorted(set(ids))}
