"""The embedded default: a deterministic text model without weights that answers out of the prompt.

It reads the prompt's blocks (blocks.py), ranks the phrases and sentences in them (extract_rank.py) and fills the
requested JSON schema with them (extract_write.py). It knows no prompt by name, adds no word that was not shown but a
sentence that says so where that is too little for an answer, and is the baseline that a real model has to beat. Sample
i is the i-th best answer that differs from the better ones.
Log-probabilities of option labels follow the options' likeness to the rest of the prompt; those of other texts, the
prompt's own word frequencies. Where it has to choose, what the assistant's turn already holds (reasoning to be read
out) is one more text of the prompt, the last; whether it says yes or no is not understood.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from whyrec.errors import UsageError
from whyrec.llm.built_in.blocks import read_blocks, tokens
from whyrec.llm.built_in.extract_rank import STOP, said_before
from whyrec.llm.built_in.extract_write import Reading, Writer, option_scores
from whyrec.llm.built_in.schema_fill import fill
from whyrec.llm.labels import choices_of
from whyrec.llm.model import FinishReason, Reply, Request, TokenLogprob, TokenScores, Usage
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

REVISION: Final = "3"  # part of every cache key: raise it whenever an answer may change
PREFIX_REVISION: Final = "3"  # the same for answers that go on with an assistant's turn, which others do not depend on
_SHARPNESS: Final = 8.0  # log-odds between an option that is everything shown and one that is nothing of it
_FEW: Final = 12  # variants tried per sample before an answer may repeat
# Samples of a seed begin far out, where counting one by one would not end: the few best again, in another order.
_FAR: Final = 1_000
_FEW_FAR: Final = 13


class Extractive:
    """See the module. Stateless: one object serves any number of prompts at once."""

    name = "extractive"
    revision = REVISION
    prefix_revision = PREFIX_REVISION

    async def complete(self, request: Request) -> list[Reply]:
        """The samples asked for, best first by index."""
        reading = read(request)
        if choices_of(request.format) or _letters(request, reading):
            reading = after(reading, request.prefix)
        places = {sample: sample if sample < _FAR else sample % _FEW_FAR for sample in request.samples}
        texts = best_answers(lambda v: self._answer(request, reading, v), max(places.values(), default=0) + 1)
        prompt = sum(map(count_tokens, (m.content for m in request.messages)))
        shown = self._logprobs(request, reading) if request.top_logprobs else None
        replies = []
        for place, sample in enumerate(request.samples):
            text, finish = cut(texts[places[sample]], request)
            usage = Usage(0 if place else prompt, count_tokens(text))
            logprobs = () if shown is None else shown(text)
            replies.append(
                Reply(text, sample=sample, usage=usage, finish_reason=finish, logprobs=logprobs, model=self.name)
            )
        return replies

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Log-likelihood of each continuation: among the options if it names one, else word by word.

        What one continuation gets does not depend on the others asked with it.
        """
        reading = after(read(request), request.prefix)
        likely = _word_model(request)
        found = []
        for text in continuations:
            among = rivals(reading, text)
            if among:
                shown = dict(zip(among, log_softmax(option_scores(reading, among), _SHARPNESS), strict=True))
                found.append(TokenScores(text, (shown[text.strip()],)))
            else:
                found.append(TokenScores(text, tuple(likely(w) for w in tokens(text))))
        return found

    async def close(self) -> None:
        """Nothing to give back."""

    def _answer(self, request: Request, reading: Reading, variant: int) -> str:
        """The v-th variant, made shorter where it would not fit into the tokens allowed."""
        room = 4 * request.sampling.max_tokens
        scale, text = 1.0, ""
        for _ in range(4):
            text = write(request, lambda schema, s=scale: Writer(reading, schema, variant, s))  # type: ignore[misc]
            if len(text) <= room:
                break
            scale *= 0.9 * room / len(text)
        return text

    def _logprobs(self, request: Request, reading: Reading) -> Callable[[str], tuple[TokenLogprob, ...]]:
        """Log-probabilities for an answer: over the choices or lettered options, else word by word."""
        labels = choices_of(request.format) or _letters(request, reading)
        if not labels:
            likely = _word_model(request)
            return lambda text: tuple(TokenLogprob(w, likely(w), ((w, likely(w)),)) for w in tokens(text))
        return label_logprobs(labels, option_scores(reading, labels), _SHARPNESS, request.top_logprobs)


def open_(rest: str, *, settings: Settings, world: World | None) -> Extractive:
    """The model behind "extractive".

    Raises:
        UsageError: something stands after the name.
    """
    if rest:
        raise UsageError(f"The extractive model has no variants: write 'extractive', not 'extractive:{rest}'.")
    return Extractive()


def read(request: Request) -> Reading:
    """The request's prompt, with the words of its schema."""
    return Reading(read_blocks(request.messages), _schema_words(request.format.schema))


def after(reading: Reading, prefix: str) -> Reading:
    """A reading for a choice, with what the assistant's turn already holds."""
    said = said_before(prefix)
    return reading if said is None else Reading((*reading.blocks, said), reading.schema_words)


def write(request: Request, writer: Callable[[Mapping[str, Any]], Writer]) -> str:
    """The answer's text in the shape asked for, from a writer for the schema."""
    choices = choices_of(request.format)
    if choices:
        return str(writer({}).choose("answer", choices))
    if not request.format.schema:
        return writer({}).text("answer", {"maxLength": 4 * request.sampling.max_tokens})
    schema = parse_schema(request.format.schema)
    return plain_text(fill(schema, writer(schema)), request.format.kind)


def plain_text(answer: Mapping[str, Any], kind: str) -> str:
    """A filled answer in the shape asked for: json, tags, headers or text."""
    match kind:
        case "json":
            return json.dumps(answer, ensure_ascii=False)
        case "tags":
            return "\n".join(f"<{name}>{_plain(value)}</{name}>" for name, value in answer.items())
        case "headers":
            return "\n\n".join(f"## {name}\n{_plain(value)}" for name, value in answer.items())
        case _:
            return "\n".join(_plain(value) for value in answer.values())


def best_answers(variant: Callable[[int], str], most: int) -> list[str]:
    """The first `most` distinct variants; where there are fewer, the first ones again.

    The i-th is the same however many are asked for.
    """
    found: list[str] = []
    answers: list[str] = []
    v = 0
    for i in range(most):
        while len(found) <= i and v < 1 + _FEW * i:
            if (text := variant(v)) not in found:
                found.append(text)
            v += 1
        answers.append(found[i % len(found)])
    return answers


def cut(text: str, request: Request) -> tuple[str, FinishReason]:
    """The text up to the tokens allowed, and whether that ended it; a choice is one token."""
    room = 4 * request.sampling.max_tokens
    return (text, "stop") if len(text) <= room or choices_of(request.format) else (text[:room], "length")


def count_tokens(text: str) -> int:
    """Tokens of a text, estimated."""
    return max(1, len(text) // 4)


@lru_cache(maxsize=256)
def parse_schema(schema: str) -> Mapping[str, Any]:
    """A JSON schema from its text, once per answer type."""
    parsed: Mapping[str, Any] = json.loads(schema)
    return parsed


def rivals(reading: Reading, text: str) -> tuple[str, ...]:
    """The options that a text competes with, itself among them: the marks shown, or yes and no; () for other texts."""
    text = text.strip()
    marks = tuple(dict.fromkeys(line.mark for line in reading.options))
    if text in marks:
        return marks
    yes_no = {"yes": "no", "no": "yes"}
    if text.lower() in yes_no:
        other = yes_no[text.lower()]
        return (text, other.capitalize() if text[:1].isupper() else other)
    return ()


def log_softmax(scores: Sequence[float], sharpness: float) -> list[float]:
    """Natural log-probabilities that sum to 1."""
    top = max(scores)
    total = math.log(math.fsum(math.exp(sharpness * (s - top)) for s in scores))
    return [sharpness * (s - top) - total for s in scores]


def label_logprobs(
    labels: Sequence[str], scores: Sequence[float], sharpness: float, most: int
) -> Callable[[str], tuple[TokenLogprob, ...]]:
    """One token per answer, the `most` likeliest labels beside it."""
    found = dict(zip(labels, log_softmax(scores, sharpness), strict=True))
    best = tuple(sorted(found.items(), key=lambda kv: -kv[1]))[:most]
    return lambda text: (TokenLogprob(text, found.get(text.strip(), best[0][1]), best),)


def _letters(request: Request, reading: Reading) -> tuple[str, ...]:
    """Marks of the options, if the answer is free text and so short that it can only be one of them."""
    if request.format.kind != "text" or request.format.schema or request.sampling.max_tokens > 4:
        return ()
    return tuple(dict.fromkeys(line.mark for line in reading.options))


def _plain(value: Any) -> str:
    """A field's value outside JSON: lists line by line."""
    if isinstance(value, list):
        return "\n".join(f"- {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for v in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=256)
def _schema_words(schema: str) -> frozenset[str]:
    """Stems of all names and descriptions in a schema."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update(tokens(str(node.get("description", ""))))
            for name, sub in node.get("properties", {}).items():
                found.update(tokens(name.replace("_", " ")))
                walk(sub)
            for key in ("items", "$defs", "anyOf"):
                walk(node.get(key))
            return
        for sub in node if isinstance(node, list) else ():
            walk(sub)

    walk(json.loads(schema) if schema else {})
    return frozenset(found)


def _word_model(request: Request) -> Callable[[str], float]:
    """Log-probability of a word: how often the prompt said it, mixed with a flat background."""
    said = Counter(word for m in request.messages for word in tokens(m.content))
    total = max(1, said.total())

    def likely(word: str) -> float:
        background = 0.004 if word in STOP else 0.00002
        return math.log(0.7 * said[word] / total + 0.3 * background)

    return likely
