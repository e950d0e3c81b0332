"""What goes into a run and comes out of it, and how text is packed."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from whyrec.llm.model import About, Reply
from whyrec.redaction import KNOWN
from whyrec.sqlite import deflate

Status: TypeAlias = Literal["done", "failed"]


class Text(NamedTuple):
    """A text as stored: 64-bit digest of it, its length in bytes, and its zlib bytes (plain where not shorter)."""

    digest: int
    size: int
    body: bytes


def pack(text: str) -> Text:
    """Digest and pack a text, keys cut out. Lone surrogates, which servers do send, survive."""
    raw = KNOWN.cut(text).encode("utf-8", "surrogatepass")
    packed = deflate(raw)
    return Text(
        _digest(raw),
        len(raw),
        packed if len(packed) < len(raw) else raw,
    )


def digest_of(text: str) -> int:
    """The digest that `pack` gives a text."""
    return _digest(text.encode("utf-8", "surrogatepass"))


def _digest(raw: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big", signed=True)


class Damaged(ValueError):
    """A stored text is not what was stored: a byte was changed or lost."""


def unpack(size: int, body: bytes) -> str:
    """The text of a `Text`.

    Raises:
        Damaged: it cannot be unpacked, is no text, or has another length than was stored.
    """
    try:
        return _raw(size, body).decode("utf-8", "surrogatepass")
    except (zlib.error, ValueError, TypeError, OverflowError) as error:  # a size may be less than nothing
        raise Damaged(str(error)) from None


def _raw(size: int, body: bytes) -> bytes:
    """The bytes that were packed, checksum compared; never more than were stored, whatever a body unpacks to."""
    if len(body) == size:
        return body
    packed = zlib.decompressobj()
    raw = packed.decompress(body, size + 1)
    if not packed.eof or len(raw) != size:
        raise Damaged(f"{len(raw):,} bytes, {'cut short' if not packed.eof else 'whole'}, where {size:,} were stored")
    return raw


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one example: a payload, or a reason why there is none.

    Attributes:
        key: the example's key, unique in the run.
        user: whose example it is ("" for an item's).
        split: whose history was shown ("" where it does not apply).
        status: "done" or "failed".
        reason: why it failed; "" when done.
        payload: JSON-able result; None when failed.
        generation: the retry generation that produced it.
    """

    key: str
    user: str
    split: str
    status: Status
    reason: str = ""
    payload: Mapping[str, Any] | None = None
    generation: int = 0


class CallRecord(NamedTuple):
    """One answer, or one error, of a model, as the trace keeps it.

    Attributes:
        at: when it was asked, unix seconds.
        kind: "complete" or "score".
        model: the model as opened, without secrets.
        request: `request_digest` of request and sample, 16 bytes.
        sample, retry: the sample index and the retry generation asked for.
        about: where the call comes from.
        settings: sampling, format, prefix and top_logprobs as JSON.
        blanks: the prompt's blanks as JSON; None where the messages are stored.
        messages: the messages as JSON: all of them without blanks, else those after `about.rendered`; None for none.
        answer, reasoning, logprobs: of the reply; None where empty or failed.
        reply: the reply's numbers; None when failed.
        error_kind, error, attempts: class name, sentence without secrets and number of sends when failed.
        charged: when failed, whether it may have cost something all the same.
        unreadable: why whoever asked could not use the answer; "" where it could.
        verdict: "usable", or one of `whyrec.llm.model.REASONS`; None where nobody judged the answer.
    """

    at: float
    kind: str
    model: str
    request: bytes
    sample: int
    retry: int
    about: About
    settings: Text
    blanks: Text | None = None
    messages: Text | None = None
    answer: Text | None = None
    reasoning: Text | None = None
    logprobs: Text | None = None
    reply: Reply | None = None
    error_kind: str = ""
    error: str = ""
    attempts: int = 1
    charged: bool = False
    unreadable: str = ""
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a run, with what it is of."""

    name: str
    value: float
    labels: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """A run in numbers.

    Attributes:
        done, failed: examples.
        calls: recorded calls, `calls == asked + hits + joined + errors`.
        asked: answered by the model itself; hits: by the cache; joined: by the flight of an identical call.
        errors: ended without an answer.
        usable: answered, cached or not, with something that whoever asked judged and can use.
        unreadable: answered, cached or not, with something that whoever asked could not use.
        repairs: asked to mend an answer of the wrong shape (turn > 0).
        retries: sends beyond the first.
        tokens_in, tokens_out, tokens_cached: of the calls of which they are known.
        unmetered: calls that were sent and of which nobody counted the tokens.
        cost: US dollars of the calls of which they are known; unpriced: of how many they are not.
    """

    done: int = 0
    failed: int = 0
    calls: int = 0
    asked: int = 0
    hits: int = 0
    joined: int = 0
    errors: int = 0
    usable: int = 0
    unreadable: int = 0
    repairs: int = 0
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    unmetered: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @property
    def sent(self) -> int:
        """Calls that reached a model, answered or not."""
        return self.asked + self.errors
