"""`simulated:q`: answers on `world`, reading with quality q from 0 to 1. A dial for "are the texts true?".

What an answer may know is what its prompt shows: a line whose title is an item's tells that item's topics, any other
text the topics of its words, so what one step got wrong the next one reads. It knows nothing of the user beside that.
The same reading serves an answer that is written and one that is chosen (reading.py, mind.py). Quality is noise in the
reading: at 0 nothing is read rightly, so no answer depends on the user, and at 1 everything is.

Instructions are not read, only the shape of the answer that is asked for: its schema, its labels, its length. A free
text about one thing ends in a yes or no. Draws depend on the messages, the sample index, the retry generation and q,
and on nothing else, so the same question in other words is answered from other draws and otherwise alike
(tests/regressions/test_simulated.py). An option behind the quality changes the words of reasons (manner.py).
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from whyrec.errors import UsageError
from whyrec.llm.built_in.blocks import read_blocks
from whyrec.llm.built_in.extractive import (
    count_tokens,
    cut,
    label_logprobs,
    log_softmax,
    parse_schema,
    plain_text,
    rivals,
)
from whyrec.llm.built_in.schema_fill import fill
from whyrec.llm.built_in.simulated.manner import Manner, read_name
from whyrec.llm.built_in.simulated.mind import Scribe
from whyrec.llm.built_in.simulated.reading import Facts, Prompt, sort
from whyrec.llm.labels import choices_of
from whyrec.llm.model import Reply, Request, TokenLogprob, TokenScores, Usage
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

REVISION: Final = "3"  # part of every cache key: raise it whenever an answer may change
_VERDICT: Final = "Answer:"  # before the yes or no of a free text
_SHARPNESS: Final = 6.0  # log-odds between an option that is all the taste and one that is none of it


class Simulated:
    """See the module.

    Args:
        world: the world whose items' topics it knows.
        quality: q in [0, 1].
        manner: how it words a reason (whyrec/llm/built_in/simulated/manner.py).
    """

    def __init__(self, world: World, quality: float, manner: Manner = Manner()) -> None:
        self.name, self.quality, self.manner = f"simulated:{quality:g}{manner.suffix}", quality, manner
        self.revision = f"{REVISION}/{world.corpus.name}"
        self._facts = Facts(world, manner)

    async def complete(self, request: Request) -> list[Reply]:
        """One answer per sample index, each drawn for itself."""
        shown = sort(read_blocks(request.messages), request.prefix)
        key = _digest(request)
        prompt = sum(count_tokens(m.content) for m in request.messages)
        replies = []
        for place, sample in enumerate(request.samples):
            text, logprobs = self._answer(request, shown, f"{key}/{sample}/{request.retry}/{self.quality!r}")
            text, finish = cut(text, request)
            usage = Usage(0 if place else prompt, count_tokens(text))
            replies.append(
                Reply(text, sample=sample, usage=usage, finish_reason=finish, logprobs=logprobs, model=self.name)
            )
        return replies

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Options by how well they match what the blocks show; other texts by how true their topic words are."""
        prompt = sort(read_blocks(request.messages), request.prefix)
        key = f"{_digest(request)}/score/{request.retry}/{self.quality!r}"
        found = []
        for text in continuations:
            scribe = self._scribe(prompt, key)  # the same draws for each: what one gets does not depend on the others
            among = rivals(prompt.reading, text)
            if among:
                among = tuple(sorted(among))
                shown = dict(zip(among, log_softmax(scribe.judge(among), _SHARPNESS), strict=True))
                found.append(TokenScores(text, (shown[text.strip()],)))
            else:
                found.append(TokenScores(text, self._likelihoods(scribe, text)))
        return found

    async def close(self) -> None:
        """Nothing to give back."""

    def _answer(self, request: Request, prompt: Prompt, key: str) -> tuple[str, tuple[TokenLogprob, ...]]:
        scribe = self._scribe(prompt, key)
        labels = choices_of(request.format)
        if (
            not labels
            and request.format.kind == "text"
            and not request.format.schema
            and request.sampling.max_tokens <= 4
        ):
            labels = tuple(dict.fromkeys(line.mark for line in prompt.reading.options))
        if labels:
            scores = scribe.judge(labels)
            best = max(range(len(labels)), key=lambda i: (scores[i], -i))
            read_out = label_logprobs(labels, scores, _SHARPNESS, max(1, request.top_logprobs))
            return labels[best], read_out(labels[best]) if request.top_logprobs else ()
        if not request.format.schema:
            text = scribe.text("answer", {"maxLength": 4 * request.sampling.max_tokens})
            if said := scribe.verdict:
                text = f"{text}\n{_VERDICT} {said}."
        else:
            text = plain_text(fill(parse_schema(request.format.schema), scribe), request.format.kind)
        if not request.top_logprobs:
            return text, ()
        return text, tuple(
            TokenLogprob(w, p, ((w, p),)) for w, p in zip(text.split(), self._likelihoods(scribe, text), strict=False)
        )

    def _scribe(self, prompt: Prompt, key: str) -> Scribe:
        """The one who reads the prompt for this answer and writes it."""
        seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
        return Scribe(self._facts, prompt, random.Random(seed), self.quality)

    @staticmethod
    def _likelihoods(scribe: Scribe, text: str) -> tuple[float, ...]:
        """One log-probability per word, higher the truer the whole text is."""
        each = math.log(0.02) + 2.0 * scribe.truth_of(text)
        return (each,) * max(1, len(text.split()))


def open_(rest: str, *, settings: Settings, world: World | None) -> Simulated:
    """The model behind "simulated:q".

    Raises:
        UsageError: q is no number from 0 to 1, an option there is not, or the data is not a world.
    """
    quality, manner = read_name(rest)
    if world is None:
        raise UsageError(
            f"simulated:{rest} knows only generated data: it answers only on `--data world` (users) and on "
            "`--data facts` (questions). Add one of them, or name another model, such as extractive."
        )
    return Simulated(world, quality, manner)


def _digest(request: Request) -> str:
    """Digest of what is asked."""
    asked = json.dumps([[m.role, m.content] for m in request.messages] + [request.format.schema, request.prefix])
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
