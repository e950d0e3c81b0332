"""What bounds the answers to a request as it is really sent: options of a model's name change what a server is asked.

A budget reserves the worst that a request can cost. `Sampling.max_tokens` says it only where that is what is sent:
`?extra={"max_tokens":50000}` sends another limit, `?drop=max_tokens` none, `?extra={"n":8}` asks for eight answers and
pays for eight. A provider whose names have such options says so with `as_sent`; every other model keeps to the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from whyrec.llm.model import Request

CAPS = ("max_tokens", "max_completion_tokens")  # fields that every server takes for the limit on an answer
_COPIES = ("n", "best_of")
_ABOUT_LENGTH = ("token", "predict", "length")
INSTEAD = "limit the calls instead (--budget-calls)"


@dataclass(frozen=True, slots=True)
class Sent:
    """What bounds the answers to one request.

    Attributes:
        cap: the most tokens of one answer; None where nothing in the request caps it.
        answers: how many answers the server may make, and charge, for each sample asked for.
        added: bytes that options put into the request beside its messages.
        advice: where nothing caps an answer, why, and what to do: sentences.
    """

    cap: int | None
    answers: int = 1
    added: int = 0
    advice: str = ""


@runtime_checkable
class Bounded(Protocol):
    """A model that says what bounds its answers."""

    def as_sent(self, request: Request) -> Sent:
        """What bounds the answers to this request."""
        ...


def as_asked(request: Request) -> Sent:
    """The bounds of a model that keeps to what it is asked."""
    return Sent(request.sampling.max_tokens)


def as_sent(model: object, request: Request) -> Sent:
    """What bounds a model's answers to a request."""
    return model.as_sent(request) if isinstance(model, Bounded) else as_asked(request)


def whole(value: object) -> int | None:
    """A field's value as the whole number a server may take it for; None where it is none."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 16:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def longest(fields: Mapping[str, Any]) -> int:
    """The largest number, at any depth, in a field whose name is about length; 0 where there is none.

    Servers have many names for limits (`budget_tokens`, `n_predict`, `max_length`): a large one may raise what an
    answer can cost, so the worst case takes the largest.
    """
    return max((whole(value) or 0 for name, value in _leaves(fields) if _about_length(name)), default=0)


def copies(fields: Mapping[str, Any]) -> int:
    """How many answers these fields ask for."""
    return max(1, *(whole(fields.get(name)) or 1 for name in _COPIES))


def _about_length(name: str) -> bool:
    return any(part in name.lower() for part in _ABOUT_LENGTH)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(name, value) of everything that is not a list or an object; an entry of a list has the list's name."""
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in value]
        else:
            yield name, value
