"""`simulated:q` on `facts`: answers a question from what its prompt shows, reading with quality q from 0 to 1.

It knows nothing but how sentences of `facts` are worded (statements.py). The question and every statement shown, be it
in a paragraph, an observation or a reason, are each read with probability q ** (0.25 + their difficulty), else
overlooked; difficulties are those of the words. From what was read follows the answer, the next search, or nothing:
then it guesses any name that the prompt shows. So at 0 it guesses, and at 1 it is right wherever the proof is shown.
Instructions are not read, only the shape of the answer that is asked for.

Draws depend on the messages, the sample index, the retry generation and q, and on nothing else.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from whyrec.data.generated.facts import FactWorld
from whyrec.errors import UsageError
from whyrec.llm.built_in.extractive import count_tokens, cut, parse_schema, plain_text
from whyrec.llm.built_in.schema_fill import Content, Node, fill
from whyrec.llm.built_in.simulated import model as simulated
from whyrec.llm.built_in.simulated.manner import read_name
from whyrec.llm.built_in.simulated.statements import Asked, Relation, Statement, asked, difficulty, statements
from whyrec.llm.model import LanguageModel, Message, Reply, Request, Usage
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

REVISION: Final = "2"  # part of every cache key: raise it whenever an answer may change
_BLOCK: Final = re.compile(r"^<(\w+)>\n(.*?)\n</\1>$", re.MULTILINE | re.DOTALL)
_STEP: Final = re.compile(r"step (\d+) of \d+")
_EASIEST: Final = 0.25
_UNSETTLED: Final = (
    "Nothing that was read settles the question, so the answer is a guess at one of the names that are shown."
)


@dataclass(frozen=True)
class _Shown:
    """What one prompt shows.

    Attributes:
        question: its text.
        asked: what it asks, None if that is not understood.
        statements: in order.
        names: names shown: what can be guessed.
        step: number of the step asked for; 0 if an answer is asked for.
    """

    question: str
    asked: Asked | None
    statements: tuple[Statement, ...]
    names: tuple[str, ...]
    step: int


@dataclass
class _Said(Content):
    """What is to be written into the fields of an answer."""

    reasoning: str
    answer: str = ""
    action: str = ""

    def text(self, path: str, node: Node) -> str:
        """The answer, the argument of an action, or the reasoning."""
        return self.answer if path in ("answer", "argument") else self.reasoning

    def choose(self, path: str, options: Sequence[Any]) -> Any:
        """The action."""
        return self.action if self.action in options else options[0]


class SimulatedFacts:
    """See the module.

    Args:
        world: the world of facts whose names it takes for names.
        quality: q in [0, 1].
    """

    def __init__(self, world: FactWorld, quality: float) -> None:
        self.name, self.quality = f"simulated:{quality:g}", quality
        self.revision = f"{REVISION}/{world.questions.name}"
        self._world = world

    async def complete(self, request: Request) -> list[Reply]:
        """One answer per sample index, each drawn for itself."""
        shown, key = self._shown(request), _digest(request)
        prompt = sum(count_tokens(m.content) for m in request.messages)
        replies = []
        for place, sample in enumerate(request.samples):
            seed = hashlib.blake2b(f"{key}/{sample}/{request.retry}/{self.quality!r}".encode(), digest_size=8).digest()
            text, finish = cut(self._answer(request, shown, random.Random(int.from_bytes(seed, "big"))), request)
            usage = Usage(0 if place else prompt, count_tokens(text))
            replies.append(Reply(text, sample=sample, usage=usage, finish_reason=finish, model=self.name))
        return replies

    async def close(self) -> None:
        """Nothing to give back."""

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.title for q in self._world.questions.questions for p in q.paragraphs))

    def _shown(self, request: Request) -> _Shown:
        blocks = _blocks(request.messages)
        text, question = "\n".join(blocks.values()), blocks.get("question", "")
        names = tuple(name for name in self._names if name in text)
        found = _STEP.match(blocks.get("next", ""))
        told = tuple(s for name, body in blocks.items() if name != "question" for s in statements(body))
        return _Shown(question, asked(question), told, names, int(found[1]) if found else 0)

    def _answer(self, request: Request, shown: _Shown, rng: random.Random) -> str:
        said = self._said(shown, rng)
        if request.format.schema:
            return plain_text(fill(parse_schema(request.format.schema), said), request.format.kind)
        if not shown.step:
            return said.reasoning
        return f"Thought {shown.step}: {said.reasoning}\nAction {shown.step}: {said.action}[{said.answer}]"

    def _said(self, shown: _Shown, rng: random.Random) -> _Said:
        """Read the question and the statements; say what follows."""
        understood = self._is_read(difficulty(shown.question), rng)
        read = [s for s in shown.statements if self._is_read(s.difficulty, rng)]
        if shown.asked is None or not understood:
            return _wild(shown, rng) if shown.step else _guessed(read, shown, rng)
        known: dict[tuple[str, Relation], Statement] = {(s.subject, s.relation): s for s in read}
        proof, gone = shown.asked.proof(known)
        why = " ".join(s.words for s in proof)
        if not gone:
            answer = shown.asked.answer(proof)
            return _Said(f"{why} So it is {answer}.", answer, "Finish")
        if shown.step:
            return _Said(f"{why} I have to read about {gone}.".lstrip(), gone, "Search")
        return _guessed(proof or read, shown, rng)

    def _is_read(self, hard: float, rng: random.Random) -> bool:
        chance: float = self.quality ** (_EASIEST + hard)
        return rng.random() < chance


def open_either(rest: str, *, settings: Settings, world: World | FactWorld | None) -> LanguageModel:
    """The model behind "simulated:q": on a world of facts this one, else that of model.py beside it.

    Raises:
        UsageError: q is no number from 0 to 1, options that this world has none of, or the data was not generated.
    """
    if not isinstance(world, FactWorld):
        return simulated.open_(rest, settings=settings, world=world)
    quality, manner = read_name(rest)
    if manner.suffix:
        raise UsageError(f"simulated has options on `--data world` only; on facts write simulated:{quality:g}.")
    return SimulatedFacts(world, quality)


def _wild(shown: _Shown, rng: random.Random) -> _Said:
    """An action by lot."""
    action = rng.choices(("Search", "Lookup", "Finish"), (3, 1, 1))[0]
    name = _guess(shown, rng)
    what = name if action != "Lookup" else name.split()[-1]
    return _Said(f"Perhaps {name} has something to do with it.", what, action)


def _guessed(read: Sequence[Statement], shown: _Shown, rng: random.Random) -> _Said:
    """Something that was read, and any name."""
    told = " ".join(s.words for s in rng.sample(read, min(2, len(read))))
    return _Said(f"{told} {_UNSETTLED}".lstrip(), _guess(shown, rng), "Finish")


def _guess(shown: _Shown, rng: random.Random) -> str:
    """Any name shown."""
    return rng.choice(shown.names) if shown.names else "unknown"


def _blocks(messages: Sequence[Message]) -> dict[str, str]:
    """The blocks of the turn that asks, without those of examples before it and of repairs after it."""
    turns = [dict(_BLOCK.findall(m.content)) for m in messages if m.role == "user"]
    return next((blocks for blocks in reversed(turns) if "question" in blocks), {})


def _digest(request: Request) -> str:
    """Digest of what is asked."""
    asked = json.dumps([[m.role, m.content] for m in request.messages] + [request.format.schema, request.prefix])
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
