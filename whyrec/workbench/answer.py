"""What an answer's text says as the type that was asked for."""

from __future__ import annotations

from typing import Any

from agents import answer_types
from agents.answers import Misread, read
from whyrec.llm.model import AnswerFormat


def parsed(shape: AnswerFormat, text: str) -> tuple[dict[str, Any] | None, str]:
    """(fields of the answer, ""), or (None, why there are none)."""
    if not text:
        return None, "there is no answer"
    kind = answer_types().get(shape.name)
    if kind is None:
        return None, f"no answer type is called {shape.name!r} any more" if shape.name else "no type was asked for"
    try:
        return read(kind, shape.kind, text).model_dump(mode="json"), ""
    except Misread as error:
        return None, str(error)
