"""Reading a prompt the way its reader sees it: tagged blocks, their lines, and the fields of a line.

Prompts put data into `<name>...</name>` blocks, one record per line: an optional mark (`3.`, `[17]`, `B)`), a head
(mostly a title), then fields after bars, `brand: X`. A line without bars may still be `name: text`. Two embedded
models read prompts with this (extractive.py, simulated.py); neither knows any single prompt.

What is unusual: lines repeat over thousands of prompts (a catalogue has few items), so a line is taken apart once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from whyrec.llm.model import Message

_BLOCK: Final = re.compile(r"<([A-Za-z_][\w-]*)>(.*?)</\1>", re.DOTALL)
_MARK: Final = re.compile(r"\s*(?:(\d+)[.)]|\[(\w+)\]|\(?([A-Z])[.):])\s+")
_FIELD: Final = re.compile(r"([A-Za-z][\w ]{0,24}): (.*)", re.DOTALL)
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SENTENCE: Final = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True, slots=True)
class Text:
    """A line without its mark.

    Attributes:
        head: what stands first, mostly a title; the whole line if it has no fields.
        fields: (name, text) after it, names in lower case.
    """

    head: str
    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """The first field of this name, "" if there is none."""
        return next((text for key, text in self.fields if key == name), "")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a block.

    Attributes:
        mark: "3", "17", "B", or "" without one.
        is_option: the mark is in brackets or a letter: something offered or asked about, not a numbered event.
        text: the rest.
    """

    mark: str
    is_option: bool
    text: Text


@dataclass(frozen=True, slots=True)
class Block:
    """A tagged part of a prompt, in order of appearance."""

    name: str
    lines: tuple[Line, ...]

    @property
    def is_options(self) -> bool:
        """Whether its lines are offered or asked about."""
        return bool(self.lines) and all(line.is_option for line in self.lines)

    @property
    def is_listed(self) -> bool:
        """Whether its lines are numbered or marked records."""
        return bool(self.lines) and all(line.mark for line in self.lines)


def read_blocks(messages: Sequence[Message]) -> tuple[Block, ...]:
    """Blocks of the question: those before an assistant's turn that others follow belong to examples.

    Without any, the last user message as block "message".
    """
    asked = [m.content for m in messages if m.role != "assistant"]
    turns: list[list[tuple[str, str]]] = [[]]
    for m in messages:
        if m.role == "assistant":
            turns.append([])
        else:
            turns[-1] += _BLOCK.findall(m.content)
    for found in filter(None, reversed(turns)):
        return tuple(Block(name, _lines(body)) for name, body in found)
    last = next((m.content for m in reversed(messages) if m.role == "user"), asked[-1] if asked else "")
    return (Block("message", _lines(last)),)


def _lines(body: str) -> tuple[Line, ...]:
    return tuple(_line(raw) for raw in body.splitlines() if raw and not raw.isspace())


def _line(raw: str) -> Line:
    mark = _MARK.match(raw)
    if mark is None:
        return Line("", False, read_text(raw.strip(), may_be_field=True))
    number, bracket, letter = mark.groups()
    return Line(number or bracket or letter, number is None, read_text(raw[mark.end() :].strip()))


@lru_cache(maxsize=65_536)
def read_text(text: str, *, may_be_field: bool = False) -> Text:
    """A line's text taken apart at its bars; a line that is one field (`keywords: a, b`) has an empty head."""
    head, *rest = text.split(" | ")
    fields = []
    for part in rest:
        named = _FIELD.fullmatch(part)
        fields.append((named[1].lower(), named[2]) if named else ("", part))
    if may_be_field and not rest and (named := _FIELD.fullmatch(head)) and len(named[1].split()) <= 2:
        return Text("", ((named[1].lower(), named[2]),))
    return Text(head, tuple(fields))


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[str, ...]:
    """Words of a text in lower case; hyphens and apostrophes hold a word together."""
    return tuple(_TOKEN.findall(text.lower()))


@lru_cache(maxsize=65_536)
def sentences(text: str) -> tuple[str, ...]:
    """Sentences of a text, end marks kept."""
    return tuple(s for part in _SENTENCE.split(text) if (s := part.strip()))
