"""What is wrong with a prompt's text beyond what `parse` refuses: habits that cost cache hits, leaks or bad answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prompts.prompt import Prompt, parse
from whyrec.errors import UsageError

MOST_STATIC = 8000  # characters of static text in one prompt
MOST_AFTER = 400  # characters of static text after the first blank
_TAG_LINE = re.compile(r"^<(/?)([a-z][a-z0-9_]*)>$")
_BLANK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def lint(text: str, *, where: str = "prompt") -> list[str]:
    """Every complaint about a prompt's text, each a sentence; empty if it is fine."""
    try:
        prompt = parse(text, where=where)
    except UsageError as error:
        return [str(error)]
    return [f"{where}: {said}." for said in (*_layout(prompt), *_lengths(prompt))]


def _layout(prompt: Prompt) -> Iterator[str]:
    """Blocks are paired and hold every blank; instructions name them without brackets."""
    inside = ""
    names: set[str] = set()
    for number, line in enumerate(prompt.body.splitlines(), 1):
        if tag := _TAG_LINE.match(line):
            closes, name = bool(tag[1]), tag[2]
            names.add(name)
            if closes and inside != name:
                yield f"line {number} of the last section closes the block {name!r}, which is not open"
            if not closes and inside:
                yield f"line {number} of the last section opens the block {name!r} inside {inside!r}"
            inside = "" if closes else name
        elif "{{" in line and not inside:
            yield f"line {number} of the last section has a blank outside a block: {line.strip()}"
        elif re.search(r"</?[a-z_]+>", _BLANK.sub("", line)):
            yield f"line {number} of the last section has a tag that does not stand on a line of its own"
    if inside:
        yield f"the block {inside!r} is never closed"
    for message in prompt.opening:
        for name in sorted(names):
            if f"<{name}>" in message.content:
                yield f"the {message.role} section writes <{name}>; say 'the {name} block': only data opens a block"


def _lengths(prompt: Prompt) -> Iterator[str]:
    before, _, after = prompt.body.partition("{{")
    static_after = len(_BLANK.sub("", "{{" + after)) if after else 0
    if static_after > MOST_AFTER:
        yield (
            f"{static_after} characters of static text follow the first blank (at most {MOST_AFTER}); "
            "move instructions before it, where servers can cache them"
        )
    static = sum(len(m.content) for m in prompt.opening) + len(before) + static_after
    if static > MOST_STATIC:
        yield f"it has {static} characters of static text (at most {MOST_STATIC})"
