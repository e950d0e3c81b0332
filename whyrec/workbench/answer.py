"""What an answer's text says as the type that was asked for, and where it stood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import prompts
from agents import answer_types
from agents.answers import Answer, Misread, answer_format, echoes, read_reply
from whyrec import plugins
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
    if not shape.name:
        return Parsed(None, "no type was asked for")
    kind = _type_of(shape)
    if kind is None:
        return Parsed(
            None,
            f"no answer type is called {shape.name!r} here. If a plug-in declares it, name the plug-in: --plugin FILE",
        )
    try:
        known = echoes(kind, shape.kind, prompts.parse(prompt_text).instructions) if prompt_text else ()
        found, place = read_reply(kind, shape.kind, reply, echoes=known)
    except (Misread, UsageError) as error:
        return Parsed(None, str(error))
    return Parsed(found.model_dump(mode="json"), "", place)


def _type_of(shape: AnswerFormat) -> type[Answer] | None:
    """The answer type of this name, ours or a plug-in's; of several the one with the schema that was asked for."""
    ours = answer_types()
    plugins.found("graphs")  # their modules, in which their answer types are, are loaded by that
    named = [kind for kind in _below(Answer) if kind.__name__ == shape.name]
    exact = [kind for kind in named if answer_format(kind, shape.kind).schema == shape.schema]
    return exact[-1] if exact else ours.get(shape.name) or (named[-1] if named else None)


def _below(kind: type[Answer]) -> Iterator[type[Answer]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
