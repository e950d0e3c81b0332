"""Two calls, or the calls of one user in two runs, set side by side: what was said to the model, and what it answered.

Calls of two runs are matched by node, turn and order. What each example came to stands with its last call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Message
from whyrec.runs import Result
from whyrec.runs.amounts import tokens
from whyrec.trace import Calls, Wanted
from whyrec.trace.address import find_call, find_run
from whyrec.trace.words import Piece, compare
from whyrec.workbench.asked import Asked, asked

_MOST = 200  # calls of one example


@dataclass(frozen=True)
class Side:
    """One of the two: a call, where it is, and what its example came to."""

    address: str
    asked: Asked
    result: Result | None


Came: TypeAlias = tuple[Result | None, Result | None]


@dataclass(frozen=True)
class Pair:
    """Two calls that belong together, or one without its like.

    Attributes:
        old, new: the two; None where one side has no such call.
        settings: (name, old, new) of what was asked differently besides the messages.
        prompt: the messages, word by word.
        answer: the answers, word by word.
        came: what the examples of both sides came to, with the last pair.
    """

    old: Side | None
    new: Side | None
    settings: tuple[tuple[str, str, str], ...]
    prompt: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    came: tuple[Came, ...] = ()


def calls_of(home: Path, address: str) -> list[Side]:
    """The call RUN:NUMBER, or all calls of RUN/USER in order.

    Raises:
        UsageError, UnknownNameError: there is no such run, call or user.
    """
    name, slash, user = address.partition("/")
    if not slash:
        run, number = find_call(home, address)
        try:
            return [_side(run.id, asked(run, number), run.result)]
        finally:
            run.close()
    if not user:
        raise UsageError(f"{address!r} names no user. Write a call as RUN:18, the calls of a user as RUN/u17.")
    run = find_run(home, name)
    try:
        with Calls(run) as calls:
            wanted = Wanted(example=user) if "/" in user else Wanted(user=user)
            lines = calls.find(wanted, limit=_MOST)
            if not lines:
                raise UnknownNameError(f"user in the run {run.id}", user, calls.near(wanted)[1])
        return [_side(run.id, asked(run, line.id), run.result) for line in lines]
    finally:
        run.close()


def difference(old: Sequence[Side], new: Sequence[Side]) -> list[Pair]:
    """The calls of both, matched by node, turn and order; what the examples came to stands with the last."""
    if len(old) == len(new) == 1:
        pairs = [_pair(old[0], new[0])]
    else:
        left, right = _by_place(old), _by_place(new)
        pairs = [_pair(left.get(place), right.get(place)) for place in dict.fromkeys((*left, *right))]
    came = tuple(zip_longest(_results(old), _results(new)))
    return [*pairs[:-1], replace(pairs[-1], came=came)]


def _results(sides: Sequence[Side]) -> list[Result]:
    """What the examples of these calls came to, each once, in order."""
    return list({side.result.key: side.result for side in sides if side.result is not None}.values())


def as_text(messages: Sequence[Message], prefix: str = "") -> str:
    """A conversation as one text."""
    begun = f"\n--- assistant, begun\n{prefix}" if prefix else ""
    return "\n".join(f"--- {message.role}\n{message.content}" for message in messages) + begun


def _side(run: str, found: Asked, result_of: Callable[[str], Result | None]) -> Side:
    key = str(found.call["example"])
    return Side(f"{run}:{found.call['id']}", found, result_of(key) if key else None)


def _by_place(sides: Sequence[Side]) -> dict[tuple[object, ...], Side]:
    found: dict[tuple[object, ...], Side] = {}
    for side in sides:
        call = side.asked.call
        place = (call["node"], call["item"], call["turn"], call["sample"])
        found[(*place, sum(known[:-1] == place for known in found))] = side
    return found


def _pair(old: Side | None, new: Side | None) -> Pair:
    before, after = (_told(side) for side in (old, new))
    names = dict.fromkeys((*before, *after))
    changed = tuple((n, before.get(n, ""), after.get(n, "")) for n in names if before.get(n, "") != after.get(n, ""))
    texts = [as_text(side.asked.request.messages, side.asked.request.prefix) if side else "" for side in (old, new)]
    answers = [str(side.asked.call["answer"] or side.asked.call["error"]) if side else "" for side in (old, new)]
    return Pair(old, new, changed, tuple(compare(*texts)), tuple(compare(*answers)))


def _told(side: Side | None) -> dict[str, str]:
    """What was asked besides the messages, and by which version of the prompt."""
    if side is None:
        return {}
    call, request = side.asked.call, side.asked.request
    sampling = request.sampling
    told = {
        "model": call["model"],
        "prompt": f"{call['prompt']} {call['prompt_digest'][:8]}".strip(),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stop": ", ".join(sampling.stop),
        "answer type": request.format.name,
        "tokens": tokens(call["tokens_in"], call["tokens_out"]),
        "unreadable": call["unreadable"],
        "finish": call["finish"],
    }
    return {name: str(value) for name, value in told.items()}
