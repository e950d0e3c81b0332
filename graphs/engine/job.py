"""What is to be run, how, and how it went: the records the runner takes and gives."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agents.domain import InDomain
from agents.wording import Wording
from graphs.engine.at_langsmith import shown_if_asked
from graphs.engine.models import Opened
from graphs.engine.progress import Progress, Snapshot
from graphs.workflow import Inputs, Source, Workflow
from whyrec.llm import Budget, Limits
from whyrec.llm.model import LanguageModel
from whyrec.runs import Identity
from whyrec.settings import Settings, read_settings

if TYPE_CHECKING:
    from whyrec.data.generated.facts import FactWorld
    from whyrec.data.generated.world import World

Ending: TypeAlias = Literal["done", "interrupted", "budget", "no server", "unfit"]


class Stop:
    """Asks a run to stop: once to finish what is in flight, twice to drop it."""

    def __init__(self) -> None:
        self.asked = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def ask(self) -> None:
        """The first time, nothing new is begun; the second time, what is in flight is cancelled."""
        if self.asked:
            for task in self._tasks:
                task.cancel()
        self.asked = True

    def listen(self, say: Callable[[str], None] = lambda _line: None) -> None:
        """Let Ctrl-C and SIGTERM ask, in the running loop; elsewhere than in the main thread nothing is heard.

        Args:
            say: told what to expect, at the first.
        """
        if threading.current_thread() is not threading.main_thread():
            return

        def heard() -> None:
            if not self.asked:
                say("Finishing what is in flight; interrupt again to drop it.")
            self.ask()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, heard)

    def watch(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Name the tasks that a second `ask` cancels."""
        self._tasks = tuple(tasks)


@dataclass(frozen=True)
class How:
    """How to run, as against what: nothing of this changes an answer.

    Attributes:
        settings: home folder and defaults.
        concurrency: examples in flight; None for the settings' value.
        new: start a run beside the one that is there.
        retry_failed: do failed examples again, asking the model anew.
        cache: whether to use the call cache.
        budget, limits: of the model calls.
        world: what the data was generated from, for models that know its truth.
        command: what was typed, for the record.
        keep_going: go on though most of the first answers are of no use.
        progress: told now and then how far the run is.
        stop: asked to stop by an interrupt.
        say: told a sentence that a person should read now.
        asks: False where models are only counted for (an estimate, a Batch file), so that they need no key.
    """

    settings: Settings = field(default_factory=read_settings)
    concurrency: int | None = None
    new: bool = False
    retry_failed: bool = False
    cache: bool = True
    budget: Budget | None = None
    limits: Limits | None = None
    world: World | FactWorld | None = None
    command: str = ""
    keep_going: bool = False
    progress: Progress | None = None
    stop: Stop = field(default_factory=Stop)
    say: Callable[[str], None] = lambda _line: None
    asks: bool = True


@dataclass(frozen=True)
class RunReport:
    """How a run stands after a start.

    Attributes:
        ending: why it ended.
        now: the last snapshot; its counts are of this start.
        done, failed: all examples asked for, by their recorded status; with `left` they add up to `examples`.
        reason: a sentence where the ending needs one.
        results: the Parquet file.
        unusable: why answers of this start were of no use -> how many, the commonest first.
    """

    ending: Ending
    now: Snapshot
    done: int
    failed: int
    reason: str
    results: Path
    unusable: Mapping[str, int] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.now.run

    @property
    def examples(self) -> int:
        """How many were asked for."""
        return self.now.examples

    @property
    def left(self) -> int:
        """How many are neither done nor failed."""
        return self.examples - self.done - self.failed

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some are not, 2 no server, 130 interrupted."""
        if self.ending in ("interrupted", "no server"):
            return 130 if self.ending == "interrupted" else 2
        return 0 if self.done == self.examples else 1


@dataclass(frozen=True)
class Job:
    """A workflow with its examples and its models, ready to be estimated or run."""

    flow: Workflow[Any, Any]
    source: Source
    inputs: Inputs[Any]
    models: Opened
    identity: Identity
    how: How
    wording: Wording = field(default_factory=Wording)

    @property
    def model(self) -> LanguageModel:
        """The one that plays every role that no other is named for."""
        return self.models.model

    def cast(self, llms: Mapping[int, LanguageModel]) -> dict[str, LanguageModel]:
        """Who is asked in each role, in this job's words and those of its data set.

        Args:
            llms: by `id` of a bare model, what to ask in its place: the same with all its wrappers.
        """
        domain = self.source.data.domain
        spoken = {number: InDomain(self.wording.around(shown_if_asked(llm)), domain) for number, llm in llms.items()}
        return {role: spoken[id(self.models.of(role))] for role in self.flow.roles}

    @cached_property
    def parts(self) -> tuple[object, ...]:
        """What the workflow's nodes reach beside models, made at the first use."""
        return self.flow.equip(self.source, self.inputs.options)
