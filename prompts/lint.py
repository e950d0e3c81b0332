"""What is wrong with a prompt's text beyond what `parse` refuses: habits that cost cache hits, leaks or bad answers.

The first reader of every prompt is a small model. It does what stands last, copies what it is shown, and makes nothing
of "an item the user met". So the instruction comes again after the data, a format is shown by a filled example
(`agents.examples` looks at that), the things are called by the data set's own words, and nothing tells the model how
sure to sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from prompts.prompt import DOMAIN, WORD, Prompt, parse
from whyrec.errors import UsageError
from whyrec.llm.model import Message

MOST_STATIC = 8000  # characters of static text in one prompt
MOST_BETWEEN = 400  # characters of static text between the first blank and the instruction at the end
MOST_TAIL = 600  # characters of that instruction
LEAST_THOUGHT = 1024  # tokens that a thought needs
_TAG_LINE = re.compile(r"^<(/?)([a-z][a-z0-9_]*)>$")
_BLANK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SAFE = re.compile(r"\{\{ (?:number|[a-z_]+ \| ids) \}\}")  # numbers of ours, which may stand in an instruction
_ABOUT = frozenset({"history", "similar_users", "item", "candidates", "options", "long_term_preference"})
_FIXED = re.compile(
    r"\b(?:the|this|an?|one|each|every|of|which|these)(?: next)? (?:items?|users?|products?)\b(?!_| block)|\bmet\b",
    re.I,
)
_HEDGES = re.compile(
    r"partial match|usual case|say so\b|may (?:well )?be wrong|be cautious|err on the side|don't be too|hedge", re.I
)
_PLACED = re.compile(
    r"system (?:prompt|message)|(?:next|following|user'?s) (?:message|turn)|(?:message|text|lines) (?:above|below)",
    re.I,
)


def lint(text: str, *, where: str = "prompt") -> list[str]:
    """Every complaint about a prompt's text, each a sentence; empty if it is fine."""
    try:
        prompt = parse(text, where=where)
    except UsageError as error:
        return [str(error)]
    rules = (_layout, _lengths, _tail, _domain, _manner, _limits)
    return [f"{where}: {said}." for rule in rules for said in rule(prompt)]


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
        elif "{{" in _SAFE.sub("", WORD.sub("", line)) and not inside:
            yield f"line {number} of the last section has a blank outside a block: {line.strip()}"
        elif re.search(r"</?[a-z_]+>", _BLANK.sub("", line)):
            yield f"line {number} of the last section has a tag that does not stand on a line of its own"
    if inside:
        yield f"the block {inside!r} is never closed"
    for message in _told(prompt):
        for name in sorted(names):
            if f"<{name}>" in message.content:
                yield f"the {message.role} section writes <{name}>; say 'the {name} block': only data opens a block"


def _lengths(prompt: Prompt) -> Iterator[str]:
    body, tail = _split(prompt.body)
    before, _, after = body.partition("{{")
    between = len(_BLANK.sub("", "{{" + after)) if after else 0
    if between > MOST_BETWEEN:
        yield (
            f"{between} characters of static text follow the first blank (at most {MOST_BETWEEN}); "
            "move instructions before it, where servers can cache them"
        )
    if len(tail) > MOST_TAIL:
        yield f"its instruction at the end has {len(tail)} characters (at most {MOST_TAIL}): only what to write"
    static = sum(len(m.content) for m in prompt.opening) + len(before) + between + len(tail)
    if static > MOST_STATIC:
        yield f"it has {static} characters of static text (at most {MOST_STATIC})"


def _tail(prompt: Prompt) -> Iterator[str]:
    body, tail = _split(prompt.body)
    if body and not tail:
        yield "nothing stands after its last block; say there once more what to write: models do what comes last"


def _domain(prompt: Prompt) -> Iterator[str]:
    """Things and people are called by the words of the data set."""
    blocks = {tag[2] for line in prompt.body.splitlines() if (tag := _TAG_LINE.match(line))}
    if not blocks & _ABOUT:
        return
    if DOMAIN not in prompt.variables:
        yield "it speaks of a data set's items without its words; use {{ domain.item }}, domain.user, domain.did, …"
    for text in (*(m.content for m in _told(prompt)), _split(prompt.body)[1]):
        for found in _FIXED.finditer(text):
            yield f"it says {found[0]!r} of whatever data set it is; use the words of domain ({{{{ domain.item }}}}, …)"


def _manner(prompt: Prompt) -> Iterator[str]:
    """Nothing tells how sure to sound, or where in a conversation a text stands."""
    for text in (*(m.content for m in _told(prompt)), _split(prompt.body)[1]):
        if found := _HEDGES.search(text):
            yield f"it pushes the model to hedge ({found[0]!r}); say what to judge by, not what to find"
    for message in _told(prompt):
        if found := _PLACED.search(message.content):
            yield (
                f"its {message.role} section speaks of {found[0]!r}; many models get it at the head of the first "
                f"question, so name blocks and not messages"
            )
        if message.role == "system" and message.content[-1:] not in ".!?}])>":
            yield "its system section does not end as a sentence, so nothing can follow it in one message"


def _limits(prompt: Prompt) -> Iterator[str]:
    sampling = prompt.sampling
    if "\nthinking:" not in prompt.text.partition("\n---\n")[0]:
        yield "its front matter does not say thinking: off, on or either"
    elif sampling.thinking != "off" and sampling.thinking_tokens < LEAST_THOUGHT:
        yield f"a thought gets {sampling.thinking_tokens} tokens (at least {LEAST_THOUGHT}, or thinking: off)"


def _told(prompt: Prompt) -> list[Message]:
    """The messages before the user's part that instruct: without example turns."""
    return [
        m for n, m in enumerate(prompt.opening) if m.role == "system" or (m.role == "user" and not _shown(prompt, n))
    ]


def _shown(prompt: Prompt, place: int) -> bool:
    """Whether a user's turn is the question of an example, which an answer follows."""
    return prompt.opening[place + 1 : place + 2] != () and prompt.opening[place + 1].role == "assistant"


def _split(body: str) -> tuple[str, str]:
    """(everything up to the end of the last block, what follows it)."""
    lines = body.splitlines()
    last = max((n for n, line in enumerate(lines) if _TAG_LINE.match(line)), default=-1)
    while last + 1 < len(lines) and lines[last + 1].startswith("{%"):
        last += 1
    return "\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :]).strip()
