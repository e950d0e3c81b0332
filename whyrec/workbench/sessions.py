"""Debugging sessions: one example of a workflow under checkpoints, kept in a folder of its own, gone on with by number.

`$WHYREC_HOME/debug/<n>/` holds what the session is of (`session.json`) and its states (`states.sqlite`). Answers come
from the call cache where they were given before, so going over the same ground again costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from agents.wording import Wording
from graphs.engine.debug import Moment, Session
from graphs.engine.models import Models
from graphs.run import How, prepare
from graphs.services import Scratch, Services
from graphs.workflow import find_example, recorded_options, workflow
from prompts import parse
from whyrec.data import open_data
from whyrec.errors import UnknownNameError
from whyrec.llm import Budget, wrap
from whyrec.redaction import cut
from whyrec.settings import Settings
from whyrec.sqlite import make_folder

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """What a session is of.

    Attributes:
        graph, data, example, options: workflow, data set, example, the workflow's options.
        llm: the model of all roles but those of `roles`.
        roles: models of single roles.
        prompts: whole texts of edited prompts, by name.
        seed: of the samples.
    """

    graph: str
    data: str
    example: str
    llm: str
    options: Mapping[str, Any]
    roles: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def models(self) -> Models:
        """Who is asked, in whose words."""
        edited = {name: parse(text, where=f"the session's {name}") for name, text in self.prompts.items()}
        return Models(self.llm, self.roles, Wording(edited, self.seed))


class Debugging:
    """A session, new or taken up again.

    Args:
        number: the session's.
        subject: what it is of.
        settings: home and data folders.
        budget: of its model calls.
    """

    def __init__(self, number: int, subject: Subject, settings: Settings, budget: Budget | None = None) -> None:
        self.number, self.subject, self._settings, self._budget = number, subject, settings, budget
        self._file = folder(settings.home) / str(number) / "states.sqlite"
        opened = open_data(subject.data, settings=settings)
        flow = workflow(subject.graph)
        options = recorded_options(flow, subject.options)
        how = How(settings=settings, world=opened.world)
        self._job = prepare(flow.name, corpus=opened.data, model=subject.models, options=options, how=how)

    @classmethod
    def new(cls, subject: Subject, settings: Settings, budget: Budget | None = None) -> Debugging:
        """Start a session of this example, named by its key, or by the user or item it is of.

        Raises:
            UnknownNameError: no such data set, graph, model or example.
        """
        number = max(numbers(settings.home), default=0) + 1
        found = cls(number, subject, settings, budget)
        index = find_example(found._job.inputs, subject.example)
        place = make_place(settings.home, number)
        found.subject = replace(subject, example=found._job.inputs.key(index))
        (place / "session.json").write_text(
            cut(json.dumps(asdict(found.subject), indent=1, ensure_ascii=False)) + "\n", encoding="utf-8"
        )
        return found

    @classmethod
    def open(cls, number: int, settings: Settings, budget: Budget | None = None) -> Debugging:
        """Take up a session.

        Raises:
            UnknownNameError: there is none of this number.
        """
        known = numbers(settings.home)
        if number not in known:
            hint = "Start one with `whyrec debug GRAPH --data DATA --user USER`."
            raise UnknownNameError("debugging session", str(number), map(str, known), hint=hint)
        told = json.loads((folder(settings.home) / str(number) / "session.json").read_text(encoding="utf-8"))
        return cls(number, Subject(**told), settings, budget)

    def start(self, *, before: Sequence[str] = ()) -> list[Moment]:
        """Run the example up to the first node of `before`, or its end."""
        inputs = self._job.inputs
        state = inputs.state(find_example(inputs, self.subject.example))
        return self._do(lambda session: session.start(state, before=before))

    def drop(self) -> None:
        """Forget the session and all its states."""
        shutil.rmtree(self._file.parent)

    def go(self, number: int, *, change: Mapping[str, Any] | None = None, before: Sequence[str] = ()) -> list[Moment]:
        """Go on from a state, changed or not; errors as `graphs.engine.debug.Session.go`."""
        return self._do(lambda session: session.go(number, change=change, before=before))

    def moments(self) -> list[Moment]:
        """All states so far."""
        return asyncio.run(Session(self._job.flow, Services({}), self._file).moments())

    def _do(self, what: Any) -> list[Moment]:
        async def doing() -> list[Moment]:
            models = self._job.models
            llms = {id(model): wrap(model, settings=self._settings, budget=self._budget) for model in models.all}
            try:
                parts = await asyncio.to_thread(lambda: self._job.parts)
                services = Services(self._job.cast(llms), parts, scratch=Scratch(self._file.parent))
                session = Session(self._job.flow, services, self._file)
                await what(session)
                return await session.moments()
            finally:
                for llm in llms.values():
                    await llm.close()

        return _run(doing())


def folder(home: Path) -> Path:
    """Where the sessions lie."""
    return home / "debug"


def numbers(home: Path) -> list[int]:
    """The sessions there are."""
    return sorted(int(path.parent.name) for path in folder(home).glob("*/session.json") if path.parent.name.isdecimal())


def make_place(home: Path, number: int) -> Path:
    """The folder of a session, made."""
    place = folder(home) / str(number)
    make_folder(place)
    return place


def _run(doing: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(doing)
