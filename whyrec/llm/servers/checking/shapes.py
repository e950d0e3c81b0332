"""Whether answers keep a shape: a poem is asked for under a schema, or a choice, that allows no poem."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from whyrec.llm.capabilities import SchemaWay
from whyrec.llm.providers.openai_wire import strict_schema
from whyrec.llm.servers.checking.asking import Asker
from whyrec.llm.servers.checking.finding import Finding, Outcome, attempt

_WORD = "zx81"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "enum": [_WORD]}},
    "required": ["code"],
    "additionalProperties": False,
}


async def schema(asker: Asker) -> Finding:
    """A JSON schema that allows one word, in each way that servers know."""
    named = {"name": "code", "schema": SCHEMA, "strict": True}
    strict = {**named, "schema": strict_schema(SCHEMA)}
    ways: dict[SchemaWay, dict[str, Any]] = {
        "response_format": {"response_format": {"type": "json_schema", "json_schema": named}},
        "strict": {"response_format": {"type": "json_schema", "json_schema": strict}},
        "structured_outputs": {"structured_outputs": {"json": SCHEMA}},
    }
    first: SchemaWay = asker.found.schema if asker.found.schema != "none" else "response_format"
    outcome: Outcome = "refused"
    others: tuple[SchemaWay, ...] = ("response_format", "structured_outputs")
    for way in (first, *(w for w in others if w != first)):
        went, text = await attempt(lambda way=way: asker.text(max_tokens=128, **ways[way]))  # type: ignore[misc]
        if went == "yes" and is_the_word(text):
            asker.found = replace(asker.found, schema=way)
            return Finding("JSON schema", "yes", f"enforced through {way}")
        outcome = "ignored" if went == "yes" else outcome
    asker.found = replace(asker.found, schema="none")
    return Finding("JSON schema", outcome, "no schema will be sent; every answer is validated anyway")


async def choice(asker: Asker) -> Finding:
    """One of two given texts and nothing else."""
    went, text = await attempt(lambda: asker.text(structured_outputs={"choice": ["alpha", "beta"]}))
    works = went == "yes" and text.strip() in ("alpha", "beta")
    asker.found = replace(asker.found, choice=works)
    return Finding("choice", "yes" if works else "ignored" if went == "yes" else went, "structured_outputs.choice")


def is_the_word(text: str) -> bool:
    """Whether a text is the one JSON object that `SCHEMA` allows."""
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return bool(found == {"code": _WORD})
