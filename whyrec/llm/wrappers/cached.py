"""Never ask a model the same thing twice: one cache for all runs, and one flight for identical calls under way.

The key holds exactly what can change an answer: model, revision, messages and whether system text is sent within the
first question, sampling, answer format, prefix, top_logprobs, sample index and retry generation. Only missing samples
are asked for. A flight is a task of the cache: a caller who is cancelled leaves the others' answer in the air. Failures
and answers cut by length are handed on and never kept.

An answer is delivered before its row is committed: a process that is killed asks at most one commit window (64 calls
or 100 ms) again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Generic, TypeVar

from whyrec.llm.model import LanguageModel, Made, Reply, Request, TokenScores, Usage, read_count
from whyrec.llm.naming.same import same_answers
from whyrec.llm.wrappers.cache_file import CacheFile
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.redaction import redact
from whyrec.runs.reading import read_logprobs

T = TypeVar("T")
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode  # ASCII, for digests
_encode_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def settings_text(request: Request) -> str:
    """Everything that can change the answers but messages, sample and retry, as canonical JSON."""
    sampling, shape = request.sampling, request.format
    thought = {"thinking": sampling.thinking, "thinking_tokens": sampling.thinking_tokens}
    unasked = sampling.thinking == "either" and not sampling.thinking_tokens
    return _encode(
        {
            "temperature": float(sampling.temperature),
            "top_p": float(sampling.top_p),
            "max_tokens": sampling.max_tokens,
            "stop": sampling.stop,
            "seed": sampling.seed,
            "format": [shape.kind, shape.name, shape.schema],
            "prefix": request.prefix,
            "top_logprobs": request.top_logprobs,
            **({} if unasked else thought),
        }
    )


class Digests:
    """Digests of requests: the settings' text is made once for each kind of request, and the latest hash is kept.

    The trace asks for a request's hash and hands the request down; the cache asks for the same one at once.
    """

    def __init__(self) -> None:
        self._settings: dict[tuple[Any, ...], str] = {}
        self._latest: tuple[Request, hashlib.blake2b] | None = None

    def settings(self, request: Request) -> str:
        """`settings_text`, remembered."""
        key = (request.sampling, request.format, request.prefix, request.top_logprobs)
        text = self._settings.get(key)
        if text is None:
            if len(self._settings) > 1000:  # prefixes may be as many as requests
                self._settings.clear()
            text = self._settings[key] = settings_text(request)
        return text

    def body(self, request: Request) -> hashlib.blake2b:
        """A hash over settings and messages; samples, retry and model are still to come."""
        if self._latest is not None and self._latest[0] is request:
            return self._latest[1]
        said = ",".join([f"[{quoted(m.role)},{quoted(m.content)}]" for m in request.messages])
        text = f'{{"messages":[{said}],"settings":{self.settings(request)}'
        body = hashlib.blake2b(text.encode("ascii"), digest_size=16)
        self._latest = (request, body)
        return body

    def of_sample(self, body: hashlib.blake2b, request: Request, sample: int) -> bytes:
        """16 bytes for one sample of a request."""
        one = body.copy()
        one.update(b',"retry":%d,"sample":%d}' % (request.retry, sample))
        return one.digest()

    def of_score(self, body: hashlib.blake2b, request: Request, continuations: Sequence[str]) -> bytes:
        """16 bytes for the scores of some continuations."""
        one = body.copy()
        one.update(b',"retry":%d,"score":%s}' % (request.retry, _encode(list(continuations)).encode("ascii")))
        return one.digest()


def request_digest(request: Request, sample: int) -> bytes:
    """16 bytes of canonical JSON of everything that can change one sample's answer, except which model is asked.

    The cache's key is this and the model's name and revision; a run records this one, so that another model can
    replay its answers.
    """
    digests = Digests()
    return digests.of_sample(digests.body(request), request, sample)


def score_digest(request: Request, continuations: Sequence[str]) -> bytes:
    """The same for the scores of given continuations."""
    digests = Digests()
    return digests.of_score(digests.body(request), request, continuations)


@dataclass(eq=False, slots=True)
class _Flight(Generic[T]):
    """One request under way for some keys, and everybody who waits for it."""

    waiting: list[asyncio.Future[dict[bytes, T]]] = field(default_factory=list)

    def join(self) -> asyncio.Future[dict[bytes, T]]:
        future: asyncio.Future[dict[bytes, T]] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return future


class Cached(Wrapper):
    """Answers from the cache, from a flight under way, or from the model, in this order.

    Args:
        inner: the model.
        file: the cache; closed with this wrapper.
        digests: shared with the trace, so that settings are written as JSON once.
    """

    def __init__(self, inner: LanguageModel, file: CacheFile, *, digests: Digests | None = None) -> None:
        super().__init__(inner)
        self._file, self._digests = file, digests or Digests()
        self._model = _encode([same_answers(self.name, self.revision), self.revision]).encode("ascii")
        self._shown = redact(self.name)
        self._flights: dict[bytes, _Flight[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def complete(self, request: Request) -> list[Reply]:
        """Answer every sample; only those that nobody has asked for yet reach the model."""
        body = self._digests.body(request)
        keys = [self._key(self._digests.of_sample(body, request, sample), request) for sample in request.samples]
        found: dict[bytes, Reply] = {}
        for key, sample in zip(keys, request.samples, strict=True):
            stored = self._stored(key, _reply)
            if stored is not None:
                found[key] = replace(stored, sample=sample) if sample else stored
        if len(found) < len(keys):
            samples = dict(zip(keys, request.samples, strict=True))

            async def ask(missing: list[bytes]) -> list[Reply]:
                wanted = tuple(samples[key] for key in missing)
                return await self.inner.complete(
                    request if wanted == request.samples else replace(request, samples=wanted)
                )

            flown, joined = await self._fly([key for key in keys if key not in found], ask, stored_text)
            found.update(flown)
            for key in joined:
                made = Made(flown[key].usage, flown[key].cost, flown[key].service_s)
                found[key] = replace(
                    flown[key], attempts=0, usage=Usage(), cost=0.0, service_s=0.0, cache="joined", made=made
                )
        return [found[key] for key in keys]

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        body = self._digests.body(request)
        keys = [self._key(self._digests.of_score(body, request, [text]), request) for text in continuations]
        texts = dict(zip(keys, continuations, strict=True))
        found: dict[bytes, TokenScores] = {}
        for key in keys:
            logprobs = self._stored(key, _logprobs)
            if logprobs is not None:
                found[key] = TokenScores(texts[key], logprobs, "hit")
        if missing := [key for key in texts if key not in found]:

            async def ask(wanted: list[bytes]) -> list[TokenScores]:
                return await self._inner_score(request, [texts[key] for key in wanted])

            flown, joined = await self._fly(missing, ask, lambda scores: _encode(scores.logprobs))
            found.update({key: replace(flown[key], cache="joined") if key in joined else flown[key] for key in flown})
        return [found[key] for key in keys]

    async def close(self) -> None:
        """Cancel flights that nobody can be waiting for any more, write what is left, close model and file."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self.inner.close()
        finally:
            self._file.close()

    def key_of(self, request: Request, sample: int) -> bytes:
        """Where one sample's answer is, or will be."""
        return self._key(self._digests.of_sample(self._digests.body(request), request, sample), request)

    def _stored(self, key: bytes, read: Callable[[str], T]) -> T | None:
        """What the cache has for a key; an entry that cannot be read is no answer, and the next one replaces it."""
        text = self._file.get(key)
        if text is None:
            return None
        try:
            return read(text)
        except (ValueError, TypeError, LookupError, RecursionError):
            self._file.distrust(key)
            return None

    def _key(self, digest: bytes, request: Request) -> bytes:
        who = [self.prefix_revision] if request.prefix and self.prefix_revision else []
        if self.system_way and any(message.role == "system" for message in request.messages):
            who.append(self.system_way)
        told = _encode(who).encode("ascii") if who else b""
        return hashlib.blake2b(digest + self._model + told, digest_size=16).digest()

    async def _fly(
        self,
        keys: list[bytes],
        ask: Callable[[list[bytes]], Awaitable[list[T]]],
        stored: Callable[[T], str | None],
    ) -> tuple[dict[bytes, T], set[bytes]]:
        """The values of all keys, and which of them came from flights that were under way already."""
        joined = {key: self._flights[key] for key in keys if key in self._flights}
        missing = list(dict.fromkeys(key for key in keys if key not in joined))
        landings = [flight.join() for flight in set(joined.values())]
        if missing:
            flight: _Flight[T] = _Flight()
            for key in missing:
                self._flights[key] = flight
            landings.append(flight.join())
            task = asyncio.get_running_loop().create_task(self._flight(flight, missing, ask, stored))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        values: dict[bytes, T] = {}
        try:
            for landing in landings:
                values.update(await landing)
        finally:
            for landing in landings:
                _abandon(landing)
        return values, set(joined)

    async def _flight(
        self,
        flight: _Flight[T],
        keys: list[bytes],
        ask: Callable[[list[bytes]], Awaitable[list[T]]],
        stored: Callable[[T], str | None],
    ) -> None:
        values: dict[bytes, T] = {}
        failure: Exception | None = None
        landed = False
        try:
            answers = await ask(keys)
            assert len(answers) == len(keys), f"{self.name} gave {len(answers)} answers to {len(keys)} questions"
            for key, answer in zip(keys, answers, strict=True):
                values[key] = answer
                text = stored(answer)
                if text is not None:
                    self._file.put(key, self._shown, text)
            landed = True
        except Exception as error:
            failure = error
        finally:
            for key in keys:
                del self._flights[key]
            for landing in flight.waiting:
                if landing.done():
                    continue
                if landed:
                    landing.set_result(values)
                elif failure is not None:
                    landing.set_exception(failure)
                else:
                    landing.cancel()


def _abandon(landing: asyncio.Future[Any]) -> None:
    """Stop waiting; an error that arrived for a caller who is gone was told to the others."""
    if not landing.cancel() and not landing.cancelled():
        with suppress(BaseException):
            landing.exception()


def stored_text(reply: Reply) -> str | None:
    """A reply as the cache keeps it, with what it cost originally; None where it is not kept."""
    if reply.finish_reason != "stop":
        return None
    usage = reply.usage
    logprobs = [[t.token, t.logprob, t.top] for t in reply.logprobs]
    return _encode_text(
        [reply.text, reply.reasoning, reply.model, logprobs, [usage.prompt, usage.completion, usage.cached],
         reply.cost, reply.service_s]
    )  # fmt: skip


def _reply(stored: str) -> Reply:
    text, reasoning, model, logprobs, used, cost, seconds = json.loads(stored)
    for told in (text, reasoning, model):
        if not isinstance(told, str):
            raise TypeError(told)
    return Reply(
        text=text,
        reasoning=reasoning,
        logprobs=read_logprobs(logprobs) if logprobs else (),
        model=model,
        attempts=0,
        cache="hit",
        made=Made(Usage(*map(read_count, used)), cost, seconds),
    )


def _logprobs(stored: str) -> tuple[float, ...]:
    return tuple(map(float, json.loads(stored)))
