"""What is fuzzed, and what counts as a refusal of ours."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

ROOMS = (
    "data",
    "parquet",
    "names",
    "config",
    "prompt_files",
    "replies",
    "batches",
    "runs",
    "search",
    "archives",
    "answers",
    "shapes",
)


@dataclass(frozen=True)
class Target:
    """One place where something from outside comes in.

    Attributes:
        name: "room.place".
        inputs: makes the strategy; called once per process. Values have to survive a pickle.
        run: takes one value; returns, or raises one of ours.
        share: how many inputs it gets, against the 1.0 of others: less where one input costs much.
        prepare: imports and files that all inputs need; not measured.
        accepts: False where every input is a refusal, so that none can be taken.
        ours: error types of this place that are caught where they belong, beside those of `ours`.
    """

    name: str
    inputs: Callable[[], SearchStrategy[Any]]
    run: Callable[[Any], object]
    share: float = 1.0
    prepare: Callable[[], object] = lambda: None
    accepts: bool = True
    ours: tuple[type[BaseException], ...] = ()

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


def targets(room: str) -> dict[str, Target]:
    """The targets of a room by name."""
    found: tuple[Target, ...] = importlib.import_module(f"fuzzing.rooms.{room}").TARGETS
    assert all(target.room == room for target in found)
    return {target.name: target for target in found}


def target(name: str) -> Target:
    return targets(name.partition(".")[0])[name]


def all_targets() -> dict[str, Target]:
    return {name: found for room in ROOMS for name, found in targets(room).items()}


def ours() -> tuple[type[BaseException], ...]:
    """What the front door prints as a sentence, and what costs one example and never a run."""
    import typer

    from whyrec.errors import LeakageError, LockedError, UnknownNameError, UsageError
    from whyrec.llm.model import ModelError

    # what the command line says of a wrong option; typer has its own copy of click
    options = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    return UsageError, UnknownNameError, LeakageError, LockedError, ModelError, options
