"""A model with faults on demand: everything a bad day brings, in doses, and the same on every run.

`Flaky(model, Faults(json=0.2, ...))` wraps any model. Which fault a request meets is decided by a digest of the seed,
the request and how often it was asked before, so a run meets the same faults whatever the order and the concurrency,
and a retry is a new draw. `flaky:INNER` has the rates of issue 2, Show 7; `flaky:json=0.5,seed=3:INNER` has only those
given.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Disconnected, LanguageModel, Overloaded, Reply, Request, ServerFault, TimedOut, TokenScores
from whyrec.llm.naming.address import read_options
from whyrec.llm.naming.same import split_flaky
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates from 0 to 1. The four errors befall a request, the two bad answers each reply of one.

    Attributes:
        timeout, overloaded, error, reset: raise `TimedOut`, `Overloaded`, `ServerFault`, `Disconnected`.
        json: break the answer's JSON.
        truncated: cut the answer in half, finish reason "length".
    """

    json: float = 0.0
    timeout: float = 0.0
    overloaded: float = 0.0
    error: float = 0.0
    truncated: float = 0.0
    reset: float = 0.0

    def __post_init__(self) -> None:
        errors, spoiled = (self.timeout, self.overloaded, self.error, self.reset), (self.json, self.truncated)
        if min(*errors, *spoiled) < 0 or sum(errors) > 1 or sum(spoiled) > 1:
            raise UsageError(f"Fault rates must be at least 0 and add up to at most 1, not {self}.")


SHOW_7 = Faults(json=0.2, timeout=0.05, overloaded=0.05, error=0.05, truncated=0.02, reset=0.02)


class Flaky(Wrapper):
    """A `LanguageModel` around one that fails as told.

    Attributes:
        met: how often each fault happened, by its name in `Faults`.
    """

    def __init__(self, inner: LanguageModel, faults: Faults = SHOW_7, *, seed: int = 0) -> None:
        super().__init__(inner)
        rates = ",".join(f"{f.name}={getattr(faults, f.name):g}" for f in fields(faults) if getattr(faults, f.name))
        self.name = f"flaky:{rates},seed={seed}:{inner.name}".replace(":,", ":")
        self.met: Counter[str] = Counter()
        self._faults, self._seed = faults, seed
        self._asked: Counter[bytes] = Counter()

    async def complete(self, request: Request) -> list[Reply]:
        """The inner model's replies, unless a fault happens.

        Raises:
            TimedOut, Overloaded, ServerFault, Disconnected: as drawn, besides what the inner model raises.
        """
        key, times = self._next(request, "complete")
        self._fail(_draw(key, times, "request"))
        replies = await self.inner.complete(request)
        return [self._spoil(reply, _draw(key, times, f"reply {reply.sample}")) for reply in replies]

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        key, times = self._next(request, f"score {continuations}")
        self._fail(_draw(key, times, "request"))
        return await super()._score(request, continuations)

    def _next(self, request: Request, what: str) -> tuple[bytes, int]:
        """The request's digest and how often it has been asked, this time included."""
        asked = (self._seed, what, request.messages, request.sampling, request.samples, request.format, request.prefix)
        text = f"{asked!r}{request.retry}".encode("utf-8", "replace")
        key = hashlib.blake2b(text, digest_size=12).digest()
        self._asked[key] += 1
        return key, self._asked[key]

    def _fail(self, drawn: float) -> None:
        told = "because it was told to fail"
        errors = {
            "timeout": TimedOut(f"{self.name} did not answer in time, {told}."),
            "overloaded": Overloaded(f"{self.name} answered 429, {told}.", 0.01),
            "error": ServerFault(f"{self.name} answered 500, {told}."),
            "reset": Disconnected(f"{self.name} dropped the connection, {told}."),
        }
        for fault, error in errors.items():
            rate = getattr(self._faults, fault)
            if drawn < rate:
                self.met[fault] += 1
                raise error
            drawn -= rate

    def _spoil(self, reply: Reply, drawn: float) -> Reply:
        if drawn < self._faults.json:
            self.met["json"] += 1
            return replace(reply, text=break_json(reply.text))
        if drawn < self._faults.json + self._faults.truncated:
            self.met["truncated"] += 1
            return replace(reply, text=reply.text[: len(reply.text) // 2], finish_reason="length")
        return reply


def break_json(text: str) -> str:
    """The text with its first quotation mark gone and without its closing brackets: JSON no ladder can climb."""
    return text.replace('"', "", 1).rstrip().rstrip("}]") + " ..."


def _draw(key: bytes, times: int, what: str) -> float:
    """A number in [0, 1) that depends on nothing else."""
    digest = hashlib.blake2b(key + f"{times} {what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def open_flaky(rest: str, *, settings: Settings, world: World | None) -> Flaky:
    """`flaky:INNER` or `flaky:FAULT=RATE,...,seed=N:INNER`; without INNER, `extractive`.

    Raises:
        UnknownNameError: no such fault.
        UsageError: a rate that is none.
    """
    from whyrec.llm.registry import open_provider

    given, inner = split_flaky(rest)
    faults, seed = _read(given.removesuffix(":")) if given else (SHOW_7, 0)
    return Flaky(open_provider(inner or "extractive", settings=settings, world=world), faults, seed=seed)


def _read(text: str) -> tuple[Faults, int]:
    pairs = read_options(text, ",")
    known = [f.name for f in fields(Faults)]
    for name in pairs:
        if name not in (*known, "seed"):
            raise UnknownNameError("fault", name, (*known, "seed"))
    try:
        rates = {name: float(rate) for name, rate in pairs.items() if name != "seed"}
        return Faults(**rates), int(pairs.get("seed", "0"))
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"The fault rates {text!r} are not NAME=RATE with numbers, such as json=0.2,seed=3.") from None
