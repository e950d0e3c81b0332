"""Rows: what is read or written by the model, one sequence of tokens each.

A `Writing` is one sample being decoded, a `Reading` a text whose likelihood is asked for. Rows of one call know each
other (`Call`), because they begin alike.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from whyrec.llm.model import FinishReason, Request, TokenLogprob

if TYPE_CHECKING:
    from whyrec.llm.providers.decoding.grammar import Grammar
    from whyrec.llm.providers.decoding.stopping import Stops
    from whyrec.llm.providers.decoding.store import Trunk


@dataclass(eq=False)
class Call:
    """What the rows of one call have in common.

    Attributes:
        rows: how many there are.
        common: with how many tokens all of them begin.
    """

    rows: int
    common: int


@dataclass(eq=False)
class Row:
    """A sequence of tokens.

    Attributes:
        ids: what is read before anything is chosen.
        call: the call it belongs to.
        wanted: after how many of the last tokens of `ids` the next token's logits are needed.
        trunk, shared: where the first `shared` tokens have been read, for this row and others.
        length: how many tokens of this row the model has read, shared ones among them.
        done: set when the row has ended; cancelled when nobody waits any more.
    """

    ids: list[int]
    call: Call
    wanted: int = 1
    trunk: Trunk | None = None
    shared: int = 0
    length: int = 0
    done: Future[None] = field(default_factory=Future)

    def settle(self, error: Exception | None = None) -> None:
        """Tell whoever waits; nobody may."""
        try:
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
        except InvalidStateError:  # cancelled meanwhile
            pass


@dataclass(eq=False)
class Reading(Row):
    """Texts after a prompt that are scored: all of `tails` share what is read, and differ in their last token at most.

    `found` gets one log-probability per token of each tail.
    """

    tails: Sequence[tuple[int, ...]] = ()
    found: list[tuple[float, ...]] = field(default_factory=list)

    def score(self, logits_KV: torch.Tensor) -> None:
        """Read the tails' log-probabilities from the logits after the last places."""
        logprobs_KV = logits_KV.log_softmax(-1)
        for tail in self.tails:
            places = torch.arange(len(tail)), torch.tensor(tail)
            self.found.append(tuple(logprobs_KV[places].tolist()))


@dataclass(eq=False)
class Writing(Row):
    """One sample being decoded.

    Attributes:
        request, sample: what it answers.
        limit: the most tokens it may say.
        ends: tokens that end an answer.
        allowed: the texts it is restricted to, as tokens with an end; empty for any text.
        grammar: what restricts it to JSON of a schema, where something does.
        stops: what looks for stop texts, where there are any.
        said: the tokens so far.
        logprobs: what is told about them, where asked.
        finish: why it ended.
    """

    request: Request = field(default_factory=lambda: Request(()))
    sample: int = 0
    limit: int = 0
    ends: frozenset[int] = frozenset()
    allowed: Sequence[Sequence[int]] = ()
    grammar: Grammar | None = None
    stops: Stops | None = None
    said: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: FinishReason | None = None

    def __post_init__(self) -> None:
        seed = self.request.sampling.seed
        self._draws = random.Random(secrets.randbits(63) if seed is None else seed + self.sample)

    def draw(self) -> float:
        """The next number from [0, 1) of this row's own sequence; 24 bits, so that it is below 1 in any arithmetic."""
        return self._draws.getrandbits(24) / (1 << 24)

    @property
    def weighed(self) -> bool:
        """Whether the probabilities of its tokens count, and not only which is the likeliest."""
        return self.request.sampling.temperature > 0.0 or self.request.top_logprobs > 0

    def options(self) -> list[int]:
        """The tokens that may come next where the answer is one of given texts."""
        t = len(self.said)
        return sorted({ids[t] for ids in self.allowed if len(ids) > t and list(ids[:t]) == self.said})

    def take(self, token: int) -> None:
        """Add a token and see whether the row ends with it."""
        self.said.append(token)
        if self.grammar is not None:
            self.grammar.take(token)
        whole = bool(self.allowed) and any(list(ids) == self.said for ids in self.allowed)
        if token in self.ends or whole or (self.stops is not None and self.stops.seen(self.said)):
            self.finish = "stop"
        elif len(self.said) >= self.limit:
            self.finish = "length"
