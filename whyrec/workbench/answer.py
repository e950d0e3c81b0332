"""What an answer's text says as the type that was asked for, and where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import prompts
from agents import answer_types
from agents.answers import Misread, echoes, read_reply
from whyrec.errors import UsageError
from whyrec.llm.model import AnswerFormat, Reply


@dataclass(frozen=True)
class Parsed:
    """An answer as its agent reads it.

    Attributes:
        fields: of the answer; None where there are none.
        problem: why there are none; "" otherwise.
        place: "reasoning" where the server handed the answer over as reasoning and nothing as an answer.
    """

    fields: dict[str, Any] | None
    problem: str = ""
    place: Literal["answer", "reasoning"] = "answer"


def parsed(shape: AnswerFormat, call: Mapping[str, Any], prompt_text: str = "") -> Parsed:
    """A recorded answer, read again.

    Args:
        shape: the format asked for.
        call: the row, with texts.
        prompt_text: source of the prompt; its examples are no answers.
    """
    reply = Reply(str(call["answer"] or ""), str(call["reasoning"] or ""), finish_reason=call["finish"])
    if not reply.text and not reply.reasoning:
        return Parsed(None, "there is no answer")
    kind = answer_types().get(shape.name)
    if kind is None:
        return Parsed(
            None, f"no answer type is called {shape.name!r} any more" if shape.name else "no type was asked for"
        )
    try:
        known = echoes(kind, shape.kind, prompts.parse(prompt_text).instructions) if prompt_text else ()
        found, place = read_reply(kind, shape.kind, reply, echoes=known)
    except (Misread, UsageError) as error:
        return Parsed(None, str(error))
    return Parsed(found.model_dump(mode="json"), "", place)
