"""A recorded call sent again, changed: another model, another prompt, another sentence, other sampling.

The question is put together as it was sent (`whyrec.workbench.asked`), then changed. It goes past the call cache, since
"again" means again, under a budget of its own. What came back is kept beside the run, in `replays.sqlite` of its
folder, and never enters the run's results, counts or cache.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prompts import parse
from whyrec.data import open_again
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget, open_provider, wrap
from whyrec.llm.model import LanguageModel, Message, ModelError, Request, Sampling
from whyrec.redaction import cut, redact
from whyrec.runs import RunReader
from whyrec.settings import Settings
from whyrec.sqlite import Migration, connect, migrate
from whyrec.workbench.asked import Asked, asked

FILE_NAME = "replays.sqlite"
_SAMPLING = {"temperature": float, "top_p": float, "max_tokens": int, "seed": int}
_RANGES = {"temperature": (0, 10), "top_p": (0, 1), "max_tokens": (1, math.inf), "seed": (0, math.inf)}


@dataclass(frozen=True)
class Change:
    """What is to be different.

    Attributes:
        llm: another model; "" for the one that was asked.
        prompt: source text of another prompt, or another version of it, with the same blanks; "" for the one used.
        replaced: (old, new) texts, put in place of one another in the messages.
        sampling: temperature, top_p, max_tokens, seed.
        times: how many samples.
    """

    llm: str = ""
    prompt: str = ""
    replaced: tuple[tuple[str, str], ...] = ()
    sampling: Mapping[str, float] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True)
class Said:
    """One answer of a replay, or why there is none. Seconds on the wire; tokens and US dollars, None where unknown."""

    text: str
    reasoning: str = ""
    finish: str = ""
    tokens_in: int | None = 0
    tokens_out: int | None = 0
    seconds: float = 0.0
    cost: float | None = 0.0
    error: str = ""


@dataclass(frozen=True)
class Replayed:
    """A replay as it is kept.

    Attributes:
        id: its number among the run's replays.
        call: the call it goes back to.
        at: unix seconds.
        model: who answered.
        change: what was different, as JSON-able data.
        messages: as sent.
        said: the answers.
    """

    id: int
    call: int
    at: float
    model: str
    change: Mapping[str, Any]
    messages: tuple[Message, ...]
    said: tuple[Said, ...]


def read_change(pairs: Sequence[str], **rest: Any) -> Change:
    """A change with sampling settings as typed ("temperature=0.2").

    Raises:
        UnknownNameError: no such setting.
        UsageError: not of the form key=value, or not a number.
    """
    sampling: dict[str, float] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} is not of the form key=value, as in temperature=0.2.")
        if key not in _SAMPLING:
            raise UnknownNameError("sampling setting", key, _SAMPLING)
        try:
            sampling[key] = _SAMPLING[key](value)
        except ValueError:
            sampling[key] = math.nan
        low, high = _RANGES[key]
        if not low <= sampling[key] <= high:
            raise UsageError(f"{key} is a number {_told(low, high)}, not {value!r}.")
    return Change(sampling=sampling, **rest)


def _told(low: float, high: float) -> str:
    return f"of at least {low}" if math.isinf(high) else f"from {low} to {high}"


def changed(found: Asked, change: Change) -> Request:
    """The question with the change made.

    Raises:
        UsageError: the prompt cannot be read or has other blanks, a text to replace is nowhere in the messages, or
            the call asked for scores.
    """
    if found.call["kind"] == "score":
        raise UsageError(
            f"Call {found.call['id']} asked for the likelihood of given texts; only answers can be asked again."
        )
    request = found.request
    if change.prompt:
        request = _with_prompt(found, change.prompt)
    for old, new in change.replaced:
        if not old or not any(old in message.content for message in request.messages):
            raise UsageError(
                f"{old!r} is nowhere in the messages, so it cannot be replaced. `whyrec trace show` prints them."
            )
        messages = tuple(Message(m.role, m.content.replace(old, new)) for m in request.messages)
        request = replace(request, messages=messages)
    sampling: Sampling = replace(request.sampling, **change.sampling)  # type: ignore[arg-type]
    return replace(request, sampling=sampling, samples=tuple(range(change.times)))


async def replay(
    run: RunReader, call: int, change: Change, *, settings: Settings, budget: Budget | None = None
) -> Replayed:
    """Send a call again and keep what comes back.

    Raises:
        UsageError: the call, the change or the model is not usable, or the run's folder cannot be written.
        UnknownNameError: nobody knows the model.
    """
    found = asked(run, call)
    request = changed(found, change)
    name = change.llm or str(found.call["model"])
    model = open_model(run, name, settings)
    try:
        said = await _ask(wrap(model, settings=settings, budget=budget, cache=False), request)
    finally:
        await model.close()
    told = {name: value for name, value in asdict(change).items() if value and (name, value) != ("times", 1)}
    told = json.loads(_json(told))
    kept = Replayed(0, call, time.time(), redact(model.name), told, request.messages, said)
    return Store(run).add(kept)


def open_model(run: RunReader, name: str, settings: Settings) -> LanguageModel:
    """A model by name; one that knows the truth of generated data gets that of the run's."""
    info = run.info()
    again = open_again(info["data"], info.get("data_path", ""), settings=settings) if "simulated" in name else None
    world = again.world if again else None
    return open_provider(name, settings=settings, world=world)


class Store:
    """The replays of a run.

    Args:
        run: the run.
    """

    def __init__(self, run: RunReader) -> None:
        self._run, self._path = run, run.folder / FILE_NAME

    def add(self, one: Replayed) -> Replayed:
        """Keep one; returns it with its number."""
        connection = connect(self._path)
        try:
            migrate(connection, self._path, _MIGRATIONS)
            messages = [[m.role, m.content] for m in one.messages]
            told = [cut(_json(part)) for part in (one.change, messages, [asdict(s) for s in one.said])]
            values = (one.call, one.at, cut(one.model), *told)
            cursor = connection.execute(
                "INSERT INTO replay(call, at, model, change, messages, said) VALUES (?,?,?,?,?,?)", values
            )
            assert cursor.lastrowid is not None
            return replace(one, id=cursor.lastrowid)
        finally:
            connection.close()

    def all(self, *, call: int | None = None) -> list[Replayed]:
        """Every replay, or those of one call, in the order they were made."""
        if not self._path.exists():
            return []
        connection = connect(self._path, read_only=True)
        try:
            where, values = ("WHERE call=?", (call,)) if call is not None else ("", ())
            rows = connection.execute(
                f"SELECT id, call, at, model, change, messages, said FROM replay {where} ORDER BY id", values
            ).fetchall()
        finally:
            connection.close()
        return [_replayed(row) for row in rows]


def _replayed(row: tuple[Any, ...]) -> Replayed:
    number, call, at, model, change, messages, said = row
    sent = tuple(Message(*message) for message in json.loads(messages))
    return Replayed(number, call, at, model, json.loads(change), sent, tuple(Said(**one) for one in json.loads(said)))


async def _ask(llm: LanguageModel, request: Request) -> tuple[Said, ...]:
    try:
        replies = await llm.complete(request)
    except ModelError as error:
        return (Said("", error=f"{type(error).__name__}: {redact(str(error))}"),)
    return tuple(
        Said(
            r.text,
            r.reasoning,
            r.finish_reason,
            r.usage.prompt or 0,
            r.usage.completion or 0,
            round(r.service_s, 3),
            r.cost,
        )
        for r in replies
    )


def _with_prompt(found: Asked, text: str) -> Request:
    """The question in the words of another prompt; a repair keeps the turns that came after."""
    if not found.blanks:
        raise UsageError(f"Call {found.call['id']} was made without a prompt of ours, so there are no blanks to fill.")
    prompt = parse(text, where="the prompt given")
    request = found.request
    messages = (*prompt.render(**found.blanks), *request.messages[request.about.rendered :])
    about = replace(request.about, prompt=prompt.name, prompt_digest=prompt.digest, prompt_text=text)
    return replace(request, messages=messages, sampling=prompt.sampling, about=about)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _create(connection: Any) -> None:
    """Version 1: one row per replay."""
    connection.execute(
        "CREATE TABLE replay (id INTEGER PRIMARY KEY, call INTEGER NOT NULL, at REAL NOT NULL, model TEXT NOT NULL,"
        " change TEXT NOT NULL, messages TEXT NOT NULL, said TEXT NOT NULL)"
    )


_MIGRATIONS: Sequence[Migration] = (_create,)
