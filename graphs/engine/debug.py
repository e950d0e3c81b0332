"""One example under LangGraph's checkpoints: every state is kept, can be edited, and the graph goes on from there.

Runs over data sets keep no checkpoints (they cost more than the graph); this is for one example that somebody wants to
understand. A session is one SQLite file; its states are numbered in the order in which they came to be, and a fork's
states stand beside those of its origin, which stay as they are.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import pickle
import typing
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import BaseModel

from graphs.services import Services
from graphs.workflow import Workflow
from whyrec.errors import UnknownNameError, UsageError

_THREAD = "example"


@dataclass(frozen=True)
class Moment:
    """A state that was.

    Attributes:
        number: in the order of their coming to be, from 0 (what the example starts from).
        parent: the moment it came from, None for the first.
        node: what made it: a node, "start", "edit" where somebody changed it, "again" where somebody went on from it.
        following: the nodes that come next; () at the end.
        state: the state.
    """

    number: int
    parent: int | None
    node: str
    following: tuple[str, ...]
    state: Any


class Session:
    """An example of a workflow, state by state.

    Args:
        flow: the workflow.
        services: what its nodes reach.
        file: where the checkpoints are kept.
    """

    def __init__(self, flow: Workflow[Any, Any], services: Services, file: Path) -> None:
        self._flow, self._services, self._file = flow, services, file

    async def start(self, state: Any, *, before: Sequence[str] = ()) -> None:
        """Run the example from this state until it is over, or a node of `before` comes next.

        Raises:
            UnknownNameError: the graph has no such node.
        """
        await self._run(state, {"configurable": {"thread_id": _THREAD}}, before)

    async def moments(self) -> list[Moment]:
        """All states, the oldest first."""
        async with self._graph() as graph:
            return [moment for moment, _ in await self._history(graph)]

    async def go(self, number: int, *, change: Mapping[str, Any] | None = None, before: Sequence[str] = ()) -> None:
        """Go on from a state, after changing fields of it; what came after it before stays.

        Raises:
            UnknownNameError: there is no such state, field or node.
            UsageError: a value is not of the field's type; or the state is the last one and nothing is changed.
        """
        async with self._graph() as graph:
            history = await self._history(graph)
            if number not in range(len(history)):
                raise UnknownNameError("state", str(number), map(str, range(len(history))))
            moment, config = history[number]
            if change:
                values = {name: self._value(name, value) for name, value in change.items()}
                config = await graph.aupdate_state(config, values)
            elif moment.following and number == len(history) - 1:
                config = {"configurable": {"thread_id": _THREAD}}
            elif not moment.following:
                raise UsageError(
                    f"State {number} is the last of its way. Change something in it, or go on from another."
                )
        await self._run(None, config, before)

    async def _run(self, state: Any, config: Any, before: Sequence[str]) -> None:
        async with self._graph() as graph:
            nodes = [node for node in graph.nodes if not node.startswith("__")]
            for name in before:
                if name not in nodes:
                    raise UnknownNameError(f"node in {self._flow.name}", name, nodes)
            first = state if state is not None else (await graph.aget_state(config)).values
            steps = self._flow.steps(first if state is not None else self._flow.state(**first))
            await graph.ainvoke(
                state,
                {**config, "recursion_limit": steps},
                context=self._services,
                interrupt_before=list(before),
                durability="sync",
            )

    async def _history(self, graph: Any) -> list[tuple[Moment, Any]]:
        found = [one async for one in graph.aget_state_history({"configurable": {"thread_id": _THREAD}})]
        found = [one for one in reversed(found) if one.metadata.get("step", 0) >= 0]
        numbers = {one.config["configurable"]["checkpoint_id"]: number for number, one in enumerate(found)}
        moments = []
        for number, one in enumerate(found):
            above = (one.parent_config or {}).get("configurable", {}).get("checkpoint_id", "")
            parent = numbers.get(above)
            before = found[parent].next if parent is not None else ()
            made = {"update": "edit", "fork": "again"}.get(one.metadata.get("source", ""), "")
            node = made or ", ".join(before) or "start"
            moments.append((Moment(number, parent, node, tuple(one.next), self._flow.state(**one.values)), one.config))
        return moments

    def _value(self, name: str, value: Any) -> Any:
        """A value typed by a person as the field's type: JSON becomes the dataclass or answer that stands there."""
        from pydantic import TypeAdapter, ValidationError

        hints = typing.get_type_hints(self._flow.state)
        if name not in hints:
            raise UnknownNameError(f"field of the state of {self._flow.name}", name, hints)
        try:
            return TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (name, *first["loc"])))
            raise UsageError(f"{where}: {first['msg']}, but {value!r} was given.") from None

    @asynccontextmanager
    async def _graph(self) -> typing.AsyncIterator[Any]:
        """The compiled graph with the session's checkpoints."""
        serde = Exactly(kinds(self._flow.state))
        connection = await aiosqlite.connect(self._file)
        try:
            graph = self._flow.build()
            graph.checkpointer = AsyncSqliteSaver(connection, serde=serde)
            yield graph
        finally:
            await connection.close()


class Exactly:
    """Writes states so that what is read equals what was written, tuples included (LangGraph's own returns lists).

    Reading makes nothing but the classes a state may hold, LangGraph's own, and arrays: a file from elsewhere can
    bring no other code to run.
    """

    _OTHERS = (
        ("langgraph.types", "Send"),
        ("langgraph.types", "Interrupt"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
    )

    def __init__(self, allowed: Sequence[type]) -> None:
        self._allowed = {(kind.__module__, kind.__qualname__) for kind in allowed} | set(self._OTHERS)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Write."""
        return "pickle", pickle.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Read.

        Raises:
            UsageError: the file holds something a state of this graph cannot hold.
        """
        allowed = self._allowed

        class Reader(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if (module, name) not in allowed:
                    raise UsageError(
                        f"The session holds {module}.{name}, which no state of this graph holds. Start it again."
                    )
                return super().find_class(module, name)

        return Reader(io.BytesIO(data[1])).load()


def kinds(state: type) -> list[type]:
    """Every class a state may hold, found by its fields' types: what a checkpoint is allowed to bring back."""
    found: list[type] = []

    def look(hint: Any) -> None:
        for part in typing.get_args(hint):
            look(part)
        if not inspect.isclass(hint) or hint in found:
            return
        if dataclasses.is_dataclass(hint) or issubclass(hint, BaseModel):
            found.append(hint)
            for inner in typing.get_type_hints(hint).values():
                look(inner)

    look(state)
    return found
