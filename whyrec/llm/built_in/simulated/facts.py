"""`simulated:q` on `facts`: answers questions from the truth, with quality q from 0 to 1.

It knows what proves each answer, and uses that only as far as the prompt shows it. A step of a search is right with
probability q ** (0.25 + the question's latent difficulty): it then reads the next paragraph of the proof that can be
known of, or finishes once both have been read. An answer or a reason is right with q ** (0.25 + difficulty + haystack),
and only where both paragraphs of the proof are shown: the haystack is 0 for paragraphs that were looked up one by one
or named by a true reason, half for a plain answer out of ten paragraphs, less where it is reasoned first, more after a
false reason. Whatever is not right is a guess: any name that the prompt shows. So at 0 it guesses, and at 1 it is
always right.

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

from whyrec.data.generated.facts import FactWorld, Truth
from whyrec.data.questions import Gold
from whyrec.errors import UsageError
from whyrec.llm.built_in.blocks import tokens
from whyrec.llm.built_in.extractive import count_tokens, cut, parse_schema, plain_text
from whyrec.llm.built_in.schema_fill import Content, Node, fill
from whyrec.llm.built_in.simulated import model as simulated
from whyrec.llm.built_in.simulated.manner import read_name
from whyrec.llm.model import LanguageModel, Message, Reply, Request, Usage
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

REVISION: Final = "1"  # part of every cache key: raise it whenever an answer may change
_BLOCK: Final = re.compile(r"^<(\w+)>\n(.*?)\n</\1>$", re.MULTILINE | re.DOTALL)
_STEP: Final = re.compile(r"step (\d+) of \d+")
_PLAIN, _REASONED, _MISLED = 0.5, 0.25, 1.0  # haystacks: what being right takes more of than a good reader has


@dataclass(frozen=True)
class _Seen:
    """What one prompt shows.

    Attributes:
        truth: of its question; None if it asks none of this world.
        proof: the two sentences that prove the answer.
        text: of all its blocks.
        names: names shown, in order: what can be guessed.
        told: sentences shown that prove nothing.
        step: number of the step asked for; 0 if an answer is asked for.
        haystack: see the module.
    """

    truth: Truth | None
    proof: tuple[str, ...]
    text: str
    names: tuple[str, ...]
    told: tuple[str, ...]
    step: int
    haystack: float

    def read(self, hop: int) -> bool:
        """Whether this paragraph of the proof is shown."""
        return bool(self.proof) and self.proof[hop] in self.text


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
        world: the world of facts whose truth it knows.
        quality: q in [0, 1].
    """

    def __init__(self, world: FactWorld, quality: float) -> None:
        self.name, self.quality = f"simulated:{quality:g}", quality
        self.revision = f"{REVISION}/{world.questions.name}"
        self._world = world

    async def complete(self, request: Request) -> list[Reply]:
        """One answer per sample index, each drawn for itself."""
        seen, key = self._read(request), _digest(request)
        prompt = sum(count_tokens(m.content) for m in request.messages)
        replies = []
        for place, sample in enumerate(request.samples):
            seed = hashlib.blake2b(f"{key}/{sample}/{request.retry}/{self.quality!r}".encode(), digest_size=8).digest()
            text, finish = cut(self._answer(request, seen, random.Random(int.from_bytes(seed, "big"))), request)
            usage = Usage(0 if place else prompt, count_tokens(text))
            replies.append(Reply(text, sample=sample, usage=usage, finish_reason=finish, model=self.name))
        return replies

    async def close(self) -> None:
        """Nothing to give back."""

    @cached_property
    def _by_text(self) -> dict[tuple[str, ...], int]:
        return {tokens(q.text): i for i, q in enumerate(self._world.questions.questions)}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.title for q in self._world.questions.questions for p in q.paragraphs))

    def _read(self, request: Request) -> _Seen:
        """Look the question up by its text, and see how much of the proof the prompt shows."""
        blocks = _blocks(request.messages)
        index = self._by_text.get(tokens(blocks.get("question", "")))
        text = "\n".join(blocks.values())
        names = tuple(name for name in self._names if name in text)
        found = _STEP.match(blocks.get("next", ""))
        step = int(found[1]) if found else 0
        if index is None:
            return _Seen(None, (), text, names, (), step, _PLAIN)
        question, truth = self._world.questions.questions[index], self._world.truths[index]
        paragraphs = {p.title: p for p in question.paragraphs}
        proof = tuple(paragraphs[title].sentences[n] for title, n in Gold(self._world.questions).facts(index))
        told = tuple(s for p in question.paragraphs for s in p.sentences if s not in proof and s in text)
        reason = blocks.get("reason")
        haystack = _REASONED if '"reasoning"' in request.format.schema else _PLAIN
        if step or reason is not None:
            haystack = 0.0 if step or all(s in str(reason) for s in proof) else _MISLED
        return _Seen(truth, proof, text, names, told, step, haystack)

    def _answer(self, request: Request, seen: _Seen, rng: random.Random) -> str:
        said = self._step(seen, rng) if seen.step else self._conclusion(seen, rng)
        if request.format.schema:
            return plain_text(fill(parse_schema(request.format.schema), said), request.format.kind)
        if not seen.step:
            return said.reasoning
        return f"Thought {seen.step}: {said.reasoning}\nAction {seen.step}: {said.action}[{said.answer}]"

    def _conclusion(self, seen: _Seen, rng: random.Random) -> _Said:
        """A reason and the answer that follows from it."""
        if seen.truth is not None and seen.read(0) and seen.read(1) and self._is_right(seen, rng):
            return _Said(f"{' '.join(seen.proof)} So {seen.truth.reason}.", seen.truth.answer)
        told = rng.sample(seen.told, min(2, len(seen.told)))
        return _Said(" ".join(told) or "Nothing shown settles it.", _guess(seen, rng))

    def _step(self, seen: _Seen, rng: random.Random) -> _Said:
        """The next action of a search."""
        truth = seen.truth
        if truth is not None and self._is_right(seen, rng):
            for hop, title in enumerate(truth.hops):
                if not seen.read(hop) and (truth.named or hop == 0 or seen.read(0)):
                    return _Said(f"I have to read about {title}.", title, "Search")
            return _Said(f"I have read what is needed: {truth.reason}.", truth.answer, "Finish")
        action = rng.choices(("Search", "Lookup", "Finish"), (3, 1, 1))[0]
        name = _guess(seen, rng)
        what = name if action != "Lookup" else name.split()[-1]
        return _Said(f"Perhaps {name} has something to do with it.", what, action)

    def _is_right(self, seen: _Seen, rng: random.Random) -> bool:
        assert seen.truth is not None
        chance: float = self.quality ** (0.25 + seen.truth.difficulty + seen.haystack)
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


def _guess(seen: _Seen, rng: random.Random) -> str:
    """Any name shown."""
    return rng.choice(seen.names) if seen.names else "unknown"


def _blocks(messages: Sequence[Message]) -> dict[str, str]:
    """The blocks of the first question, without those of its repairs."""
    asked = next((m.content for m in messages if m.role == "user" and _BLOCK.search(m.content)), "")
    return dict(_BLOCK.findall(asked))


def _digest(request: Request) -> str:
    """Digest of what is asked."""
    asked = json.dumps([[m.role, m.content] for m in request.messages] + [request.format.schema, request.prefix])
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
