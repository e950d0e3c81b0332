"""A span as OpenTelemetry has it, and as a line of JSON. Names of attributes are OpenInference's, which Phoenix reads.

Ids follow from the run and what the span is of, so a span that is sent twice is the same span twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Attribute: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Span:
    """Something that took time.

    Attributes:
        trace: 16 bytes; all spans of an example have the same.
        id: 8 bytes.
        parent: 8 bytes; b"" for the example itself.
        name: for lists.
        start, end: unix nanoseconds.
        attributes: by name.
        error: what went wrong, (class, sentence); ("", "") for nothing.
    """

    trace: bytes
    id: bytes
    parent: bytes
    name: str
    start: int
    end: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    error: tuple[str, str] = ("", "")

    def json(self) -> str:
        """The span as one line of JSON."""
        kind, message = self.error
        return json.dumps(
            {
                "trace_id": self.trace.hex(),
                "span_id": self.id.hex(),
                "parent_id": self.parent.hex() or None,
                "name": self.name,
                "start_time_unix_nano": self.start,
                "end_time_unix_nano": self.end,
                "attributes": dict(self.attributes),
                "status": {"code": "ERROR", "message": f"{kind}: {message}"} if kind else {"code": "OK"},
            },
            ensure_ascii=False,
        )


def trace_id(*parts: str) -> bytes:
    """The id of a trace, 16 bytes, from what it is of."""
    return _digest(16, parts)


def span_id(*parts: str) -> bytes:
    """The id of a span, 8 bytes, from what it is of."""
    return _digest(8, parts)


def nanoseconds(seconds: float) -> int:
    """Unix seconds as unix nanoseconds."""
    return round(seconds * 1e6) * 1000


def _digest(size: int, parts: tuple[str, ...]) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=size).digest()
