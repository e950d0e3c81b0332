"""What really works on a server: every ability is asked for, and the answer is looked at, not the status code.

Servers say 200 and ignore you (design section 5), so each probe is a question whose answer shows whether the ability
was there: a poem is asked for under a schema that allows only one word, four samples are counted, a seed must repeat.
What `check_server` finds is a `Capabilities`, which `whyrec llm check` keeps and the client reads.

Unusual: the probes hold for a model with random weights too (a tiny model behind a real vLLM in tests), so where an
answer's sense would be needed, the count of prompt tokens decides instead.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from whyrec.errors import UsageError
from whyrec.llm.capabilities import Capabilities, PrefixWay, SchemaWay, ScoreWay
from whyrec.llm.model import (
    AnswerFormat,
    Disconnected,
    LanguageModel,
    Malformed,
    Message,
    ModelError,
    Refused,
    Reply,
    Request,
    Sampling,
    Scorer,
)
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.providers.openai_vectors import read_vectors
from whyrec.llm.providers.openai_wire import Told, dumps, read_chat, strict_schema

Outcome: TypeAlias = Literal["yes", "no", "ignored", "refused", "unknown"]
_POEM = "Write one short line of poetry about rain. No JSON, no lists."
# Longer than the system text that some templates write where none is given (Qwen2.5's), so that tokens are added.
_TOLD = "You are a poet who likes plain words, who never rhymes, and who never explains what a line means. " * 5
_WORD = "zx81"
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "enum": [_WORD]}},
    "required": ["code"],
    "additionalProperties": False,
}
_SMALL = {"max_tokens": 16, "temperature": 0.0}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was tried, how it went, and what that means."""

    what: str
    outcome: Outcome
    note: str = ""


async def check_server(model: OpenAICompatible) -> tuple[Capabilities, list[Finding]]:
    """Probe a server with about fifteen short requests.

    Raises:
        ModelError: it does not answer the simplest question.
    """
    probe = _Probe(model)
    findings = [
        await probe.chat(),
        await probe.system(),
        await probe.schema(),
        await probe.choice(),
        await probe.n(),
        await probe.seed(),
    ]
    findings += [await probe.logprobs(), await probe.prefix(), await probe.score(), await probe.embeddings()]
    findings.append(await probe.context())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(probe.found, checked=now), findings


class _Probe:
    def __init__(self, model: OpenAICompatible) -> None:
        self._model = model
        self.found = replace(model.can, checked="")

    async def _ask(
        self, question: str = _POEM, *, told: str = "", begun: str = "", samples: int = 1, **fields: Any
    ) -> list[Reply]:
        """What the server answers, read as any other answer is."""
        messages = [{"role": "system", "content": told}] if told else []
        messages.append({"role": "user", "content": question})
        if begun:
            messages.append({"role": "assistant", "content": begun})
        body = {"model": self._model.address.model, "messages": messages, **_SMALL, **self._model.address.extra}
        body |= fields
        if self.found.max_tokens != "max_tokens":
            body[self.found.max_tokens] = body.pop("max_tokens")
        kept = {k: v for k, v in body.items() if k not in self._model.address.drop}
        answer = await self._model.post("/chat/completions", dumps(kept))
        return read_chat(answer, Request(()), tuple(range(samples)), Told(self._model.name, 0.0, None))

    async def _text(self, question: str = _POEM, *, begun: str = "", **fields: Any) -> str:
        return (await self._ask(question, begun=begun, **fields))[0].text

    async def chat(self) -> Finding:
        try:
            (reply,) = await self._ask()
        except Refused as error:
            if "max_tokens" not in str(error):
                raise
            self.found = replace(self.found, max_tokens="max_completion_tokens")
            (reply,) = await self._ask()
        return Finding("chat", "yes", f"answers as {reply.model or self._model.address.model}")

    async def system(self) -> Finding:
        """A server that takes a system message may leave it out: then its count of prompt tokens does not grow."""
        _, alone = await _try(self._ask)
        went, told = await _try(lambda: self._ask(told=_TOLD))
        left_out = went == "yes" and bool(_prompt_tokens(told)) and _prompt_tokens(told) <= _prompt_tokens(alone)
        if went == "yes" and not left_out:
            self.found = replace(self.found, system="system")
            return Finding("system role", "yes", "a message of its own")
        if not left_out and (await _try(lambda: self._ask(f"{_TOLD}\n\n{_POEM}")))[0] != "yes":
            return Finding("system role", "unknown", "the same text in a question was refused, too")
        self.found = replace(self.found, system="user")
        return Finding("system role", "ignored" if left_out else went, "system text will lead the first question")

    async def schema(self) -> Finding:
        named = {"name": "code", "schema": _SCHEMA, "strict": True}
        strict = {**named, "schema": strict_schema(_SCHEMA)}
        ways: dict[SchemaWay, dict[str, Any]] = {
            "response_format": {"response_format": {"type": "json_schema", "json_schema": named}},
            "strict": {"response_format": {"type": "json_schema", "json_schema": strict}},
            "structured_outputs": {"structured_outputs": {"json": _SCHEMA}},
        }
        first: SchemaWay = self.found.schema if self.found.schema != "none" else "response_format"
        outcome: Outcome = "refused"
        others: tuple[SchemaWay, ...] = ("response_format", "structured_outputs")
        for way in (first, *(w for w in others if w != first)):
            went, text = await _try(lambda way=way: self._text(max_tokens=128, **ways[way]))  # type: ignore[misc]
            if went == "yes" and _is_the_word(text):
                self.found = replace(self.found, schema=way)
                return Finding("JSON schema", "yes", f"enforced through {way}")
            outcome = "ignored" if went == "yes" else outcome
        self.found = replace(self.found, schema="none")
        return Finding("JSON schema", outcome, "no schema will be sent; every answer is validated anyway")

    async def choice(self) -> Finding:
        went, text = await _try(lambda: self._text(structured_outputs={"choice": ["alpha", "beta"]}))
        works = went == "yes" and text.strip() in ("alpha", "beta")
        self.found = replace(self.found, choice=works)
        return Finding("choice", "yes" if works else "ignored" if went == "yes" else went, "structured_outputs.choice")

    async def n(self) -> Finding:
        went, replies = await _try(lambda: self._ask(samples=3, n=3, temperature=1.0))
        count = len(replies)
        self.found = replace(self.found, n=count == 3)
        note = "one request per sample will be sent" if count != 3 else "n samples from one request"
        return Finding("n", "yes" if count == 3 else "ignored" if went == "yes" else went, note)

    async def seed(self) -> Finding:
        async def draw(seed: int) -> str:
            return await self._text(seed=seed, temperature=1.0, max_tokens=24)

        went, texts = await _try(lambda: _each(draw, (7, 7, 8, 9)))
        if went != "yes":
            self.found = replace(self.found, seed=False)
            return Finding("seed", went)
        same, differs = texts[0] == texts[1], len(set(texts)) > 1
        self.found = replace(self.found, seed=same and differs)
        if same and differs:
            return Finding("seed", "yes", "the same seed gave the same answer, another seed another one")
        note = "every seed gave the same answer" if same else "the same seed gave different answers"
        return Finding("seed", "ignored", note)

    async def logprobs(self) -> Finding:
        outcome: Outcome = "refused"
        for top in (20, 5, 1):
            went, replies = await _try(lambda top=top: self._ask(logprobs=True, top_logprobs=top))  # type: ignore[misc]
            if went != "yes":
                continue
            if (told := replies[0].logprobs) and (shown := told[0].top):
                self.found = replace(self.found, logprobs=len(shown))
                return Finding("log-probabilities", "yes", f"the {len(shown)} likeliest tokens")
            outcome = "ignored"
        self.found = replace(self.found, logprobs=0)
        return Finding("log-probabilities", outcome, "labels need another server, or scoring")

    async def prefix(self) -> Finding:
        count = "Count from 1 to 9 in digits, separated by commas, nothing else."
        flags: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
        begun = "1, 2, 3, 4,"
        _, closed = await _try(lambda: self._ask(count, begun=begun))
        went, open_ = await _try(lambda: self._ask(count, begun=begun, **flags))
        way: PrefixWay = "none"
        if went == "yes" and (_prompt_tokens(open_) < _prompt_tokens(closed) or _continues(open_)):
            way = "continue" if not _continues(closed) else "prefill"
        elif _continues(closed):
            way = "prefill"
        self.found = replace(self.found, prefix=way)
        if way == "none":
            return Finding("prefix", "ignored" if went == "yes" else went, "an answer cannot be begun for the model")
        return Finding("prefix", "yes", "continue_final_message" if way == "continue" else "a last assistant message")

    async def score(self) -> Finding:
        request = Request((Message("user", _POEM),))
        outcome: Outcome = "refused"
        ways: tuple[ScoreWay, ...] = ("tokens", "echo")
        for way in ways:
            client = copy.copy(self._model)
            client.can = replace(self.found, score=way)
            went, scores = await _try(lambda client=client: client.score(request, ["rain"]))  # type: ignore[misc]
            if went == "yes" and scores[0].total < 0:
                self.found = replace(self.found, score=way)
                note = (
                    "/tokenize and prompt_logprobs" if way == "tokens" else "echo, on plain text without chat template"
                )
                return Finding("score given text", "yes", note)
        self.found = replace(self.found, score="none")
        return Finding("score given text", outcome)

    async def embeddings(self) -> Finding:
        body = dumps({"model": self._model.address.model, "input": ["rain", "sun"]})
        went, found = await _try(lambda: self._model.post("/embeddings", body))
        try:
            width = read_vectors(found, 2, self._model.name).shape[1] if went == "yes" else 0
        except Malformed:
            width = 0
        self.found = replace(self.found, embeddings=width)
        return Finding("embeddings", "yes" if width else "no", f"width {width}" if width else "not with this model")

    async def context(self) -> Finding:
        """Asks for an absurd number of tokens: servers that know their limit name it in the refusal."""
        limit = await self._model.context_length()
        if limit is None:
            try:
                await self._ask(max_tokens=10_000_000)
            except ModelError as error:
                named = re.search(r"(?:context length|context window|maximum)\D{0,40}(\d{3,8})", str(error))
                limit = int(named.group(1)) if named else None
        self.found = replace(self.found, context=limit)
        return Finding("context length", "yes" if limit else "unknown", f"{limit:,} tokens" if limit else "not said")


async def check_model(model: LanguageModel) -> list[Finding]:
    """Probe any other model through the seam alone; nothing is kept, since it says itself what it can do.

    Raises:
        ModelError: it does not answer the simplest question.
    """
    plain = Request((Message("user", _POEM),), Sampling(max_tokens=16))
    (reply,) = await model.complete(plain)
    findings = [Finding("chat", "yes", f"answers as {reply.model or model.name}")]
    shaped = replace(plain, format=AnswerFormat("json", "code", json.dumps(_SCHEMA)))
    went, replies = await _try(lambda: model.complete(shaped))
    holds = went == "yes" and _is_the_word(replies[0].text)
    findings.append(Finding("JSON schema", "yes" if holds else "ignored" if went == "yes" else went))
    drawn = replace(plain, sampling=Sampling(temperature=1.0, seed=7, max_tokens=16), samples=(0, 1, 2))
    went, replies = await _try(lambda: model.complete(drawn))
    findings.append(Finding("n", went, f"{len({r.text for r in replies})} distinct of 3" if went == "yes" else ""))
    again, repeated = await _try(lambda: model.complete(drawn))
    same = went == again == "yes" and [r.text for r in replies] == [r.text for r in repeated]
    findings.append(Finding("seed", "yes" if same else "ignored", "the same seed must give the same answers"))
    went, replies = await _try(lambda: model.complete(replace(plain, top_logprobs=5)))
    shown = went == "yes" and bool(replies[0].logprobs)
    findings.append(Finding("log-probabilities", "yes" if shown else "ignored" if went == "yes" else went))
    went, _ = await _try(lambda: model.complete(replace(plain, prefix="Rain")))
    findings.append(Finding("prefix", went))
    went = (await _try(lambda: model.score(plain, ["rain"])))[0] if isinstance(model, Scorer) else "no"
    return [*findings, Finding("score given text", went)]


async def _try(call: Callable[[], Awaitable[Any]]) -> tuple[Outcome, Any]:
    """("yes", answer), or ("refused", ()) where the server would not or broke over it; a lost server is an error."""
    try:
        return "yes", await call()
    except Disconnected:
        raise
    except (ModelError, UsageError):
        return "refused", ()


async def _each(draw: Callable[[int], Awaitable[str]], seeds: tuple[int, ...]) -> list[str]:
    return [await draw(seed) for seed in seeds]


def _prompt_tokens(replies: Sequence[Reply]) -> int:
    """As the server counts them, 0 where it does not."""
    return (replies[0].usage.prompt or 0) if replies else 0


def _continues(replies: Sequence[Reply]) -> bool:
    return bool(replies) and replies[0].text.removeprefix("1, 2, 3, 4,").lstrip().startswith("5")


def _is_the_word(text: str) -> bool:
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return bool(found == {"code": _WORD})
