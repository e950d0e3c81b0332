"""The answers that a prompt shows: each has to be one that the agent itself would take, and of no data set's domain.

A model that is told of a format copies the description; one that is shown a filled answer copies its form. What it is
shown stands in `# assistant` sections, after a question of the same kind, or in the instructions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents import usable
from agents.answers import Answer, Misread, read
from prompts import Prompt
from whyrec.data.readers.domains import DOMAINS

_ROOM = 2  # answers as long as the example have room in the limit so many times
_BYTES_PER_TOKEN = 3.0  # of JSON
_THINGS = sorted({word for d in DOMAINS.values() for word in (d.item, d.items)} - {"item", "items"})
_OF_A_DATA_SET = re.compile(rf"\b(?:{'|'.join(_THINGS)})\b", re.IGNORECASE)


def shown_answers(prompt: Prompt) -> tuple[str, ...]:
    """The texts of the answers in a prompt's example turns."""
    return tuple(message.content for message in prompt.opening if message.role == "assistant")


def complaints(prompt: Prompt, answer: type[Answer]) -> list[str]:
    """What is wrong with the examples of a prompt whose answers are of this type; none are needed for bare text."""
    if prompt.format == "text":
        return []
    shown = shown_answers(prompt)
    if not shown:
        return ["it shows no filled answer; put one into an # assistant section, after a question like its own"]
    return [said for text in shown for said in _wrong(prompt, answer, text)]


def _wrong(prompt: Prompt, answer: type[Answer], text: str) -> Iterator[str]:
    assert prompt.format != "text"
    begun = f"its example {text[:40]!r}…"
    try:
        found = read(answer, prompt.format, _own(answer, text) if prompt.format == "headers" else text)
    except Misread as error:
        yield f"{begun} is no answer: {error}"
        return
    if flawed := usable.flaw(found):
        yield f"{begun} would be refused as an answer: {flawed.said}"
    if found.cut:
        yield f"{begun} is too long in {', '.join(found.cut)}"
    if word := _OF_A_DATA_SET.search(text):
        yield f"{begun} speaks of a {word[0]}, as an answer about a data set may; take it from somewhere else"
    needed = int(_ROOM * len(text) / _BYTES_PER_TOKEN)
    if prompt.sampling.max_tokens < needed and len(text) > 60:
        yield f"{begun} fills the limit: max_tokens should be at least {needed}, not {prompt.sampling.max_tokens}"


def _own(answer: type[Answer], text: str) -> str:
    """The sections of the answer type itself: a chain has one more for each step of its template."""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return "".join(s for s in sections if s.partition("\n")[0].removeprefix("## ").strip() in answer.model_fields)
