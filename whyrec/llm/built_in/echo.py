"""A model that says what it saw: every string of its answer holds the titles found in the prompt's blocks.

It is made for leak tests: give the events that must stay hidden a title of their own, run any graph with `echo`, and
look for that title in what comes out. Answers keep every bound of the requested schema, so any agent accepts them.

Unusual: where a string's bound, in characters or words, is too short for all titles, each keeps an equal share of it,
its beginning first, so a marker at the beginning of a title survives; and a list of objects with an integer `id` gets
one entry per number that the blocks mark with square brackets. Where a text of many words is asked for, a sentence of
its own (`FIRST`, with the field's name) stands before the titles, and where texts of objects would be equal, their
number; equal entries of a list are one: an answer of two words, or ten equal ones, would be of no use to the agent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from whyrec.errors import UsageError
from whyrec.llm.built_in.schema_fill import Content, Node, fill
from whyrec.llm.built_in.schema_words import ENTRY, asked_words
from whyrec.llm.labels import choices_of
from whyrec.llm.model import Message, Reply, Request, TokenLogprob, Usage
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

_BLOCK = re.compile(r"^<(\w+)>\n(.*?)\n</\1>$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^(?:\d+\.|\[(\d+)\])\s+")
_AND = "; "
_WORD = re.compile(r"[^\W_]+")
_LONGER = re.compile(r"\w{4,}")
_MANY = 40  # words asked for at most from which a sentence is expected
FIRST = "this is all there is to be seen in what was shown here"


class Echo:
    """Repeats the titles of a request. Deterministic; every sample says the same."""

    name, revision = "echo", "3"

    async def complete(self, request: Request) -> list[Reply]:
        """The same valid answer for every sample index."""
        text = echo(request)
        prompt = sum(len(message.content.split()) for message in request.messages)
        shown = _logprobs(choices_of(request.format)) if request.top_logprobs else ()
        return [
            Reply(
                text, sample=sample, usage=Usage(0 if i else prompt, len(text.split())), logprobs=shown, model=self.name
            )
            for i, sample in enumerate(request.samples)
        ]

    async def close(self) -> None:
        """Nothing to give back."""


def echo(request: Request) -> str:
    """The text of the answer."""
    if choices := choices_of(request.format):
        return choices[0]
    shape = request.format
    seen = _Seen(request.messages)
    if shape.kind == "text":
        return _AND.join([*([FIRST] if shape.name else []), *_news(seen.titles)])
    answer = fill(json.loads(shape.schema), seen)
    if shape.kind == "json":
        return json.dumps(answer, ensure_ascii=False)
    said = {name: "\n".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in answer.items()}
    if shape.kind == "tags":
        return "\n".join(f"<{name}>{text}</{name}>" for name, text in said.items())
    return "\n".join(f"## {name}\n{text}" for name, text in said.items())


def _news(titles: Sequence[str]) -> list[str]:
    """Titles with a longer word that none before them has: an echo of its own echoes would go round in circles."""
    known: set[str] = set()
    found = []
    for title in titles:
        words = set(_LONGER.findall(title)) or {title}
        if words - known:
            found.append(title)
        known |= words
    return found


def _logprobs(choices: Sequence[str]) -> tuple[TokenLogprob, ...]:
    """One token, each choice half as likely as the one before it; () without choices."""
    halved = [2.0**-place for place in range(len(choices))]
    top = tuple((text, math.log(share / sum(halved))) for text, share in zip(choices, halved, strict=True))
    return (TokenLogprob(*top[0], top),) if top else ()


def _field(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


class _Seen(Content):
    """The titles and marked numbers in the blocks of the question, in order, each once."""

    def __init__(self, messages: Sequence[Message]) -> None:
        titles: dict[str, None] = {}
        self.ids: list[int] = []
        said = (_BLOCK.findall(message.content) for message in reversed(messages) if message.role == "user")
        for found in filter(None, said):  # the last one with any: those before it belong to examples
            for _, block in found:
                for line in block.splitlines():
                    if (mark := _MARK.match(line)) and mark[1]:
                        self.ids.append(int(mark[1]))
                    bare = _MARK.sub("", line).removeprefix("keywords: ").split(" | ")[0]
                    titles |= dict.fromkeys(t for part in bare.split(_AND) if (t := part.strip()))
            break
        self.titles = [title for title in titles if not title.endswith(FIRST)] or ["nothing"]

    def text(self, path: str, node: Node) -> str:
        """All titles within the bound."""
        limit = node.get("maxLength", 1_000_000)
        titles = list(self.titles)
        if entry := ENTRY.match(path):
            place = int(entry[2])
            number = str(self.ids[place] if place < len(self.ids) else place + 1)
            titles = [number, *(title for title in titles if title != number)]
        words = asked_words(node)
        first = f"of {_field(path)} {FIRST}{_AND}" if words >= _MANY else ""
        limit -= len(first)
        if words:
            each = max(1, (words - len(first.split())) // len(titles))
            titles = [" ".join(title.split()[:each]) for title in titles]
        if len(_AND.join(titles)) > limit:
            most = max(1, limit // (8 + len(_AND)))  # the last one is what is asked about
            titles = titles if len(titles) <= most else [*titles[: most - 1], titles[-1]]
            share = max(1, (limit + len(_AND)) // len(titles) - len(_AND))
            titles = [title[:share] for title in titles]
        return first + _AND.join([*dict.fromkeys(reversed(titles))][::-1])  # of equal ones the last

    def texts(self, path: str, node: Node) -> Sequence[str]:
        """One title per entry; where the list is too short for all, entries hold several."""
        room = max(1, node.get("maxItems", len(self.titles)))
        each = -(-len(self.titles) // room)
        groups = [self.titles[i : i + each] for i in range(0, len(self.titles), each)]
        limit = node.get("items", {}).get("maxLength", 1_000_000)
        share = max(1, (limit + len(_AND)) // each - len(_AND))
        said = [_AND.join(title[:share] for title in group) for group in groups]
        return list({tuple(_WORD.findall(text.casefold())): text for text in reversed(said)}.values())[::-1]

    def count(self, path: str, node: Node) -> int:
        """One entry per marked number, else one."""
        return len(self.ids) or 1

    def number(self, path: str, low: float, high: float) -> float:
        """The marked number where the field is an entry's id, else the middle."""
        *_, place, field = ["", "0", *path.split(".")][-2:]
        if field == "id" and place.isdigit() and int(place) < len(self.ids):
            return self.ids[int(place)]
        if field == "id" and self.ids:
            return self.ids[0]
        return (low + high) / 2

    def choose(self, path: str, options: Sequence[Any]) -> Any:
        """The first."""
        return options[0]


def open_echo(rest: str, *, settings: Settings, world: World | None) -> Echo:
    """`echo`.

    Raises:
        UsageError: something stands behind the name.
    """
    if rest:
        raise UsageError(f"The model 'echo' takes no options, so not 'echo:{rest}'.")
    return Echo()
