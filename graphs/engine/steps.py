"""One example through its graph, node by node: what each was given, what it changed, what the state was afterwards.

A run keeps no states: they would be most of it. They are made again when somebody wants to look, by running the example
on the answers that were recorded (`whyrec.workbench.path`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphs.services import Services
from graphs.workflow import Workflow


@dataclass(frozen=True)
class Step:
    """One node's turn.

    Attributes:
        number: the super-step, from 1; nodes that ran side by side share it.
        node: which.
        before: the state it was given.
        update: what it changed, by field.
        after: the state when its super-step was over.
    """

    number: int
    node: str
    before: Any
    update: Mapping[str, Any]
    after: Any


async def steps(flow: Workflow[Any, Any], state: Any, services: Services) -> AsyncIterator[Step]:
    """Run an example and give every step when its super-step is over.

    Raises:
        Whatever a node raises; the steps before it have been given.
    """
    given: dict[str, tuple[str, Any]] = {}
    ended: list[tuple[str, Any, Mapping[str, Any]]] = []
    number = 0
    stream = flow.build().astream(
        state, {"recursion_limit": flow.steps(state)}, context=services, stream_mode=["tasks", "values"]
    )
    async for mode, event in stream:
        if mode == "values":
            after = flow.state(**event)
            number += bool(ended)
            for node, before, update in ended:
                yield Step(number, node, before, update, after)
            ended.clear()
        elif "input" in event:
            given[event["id"]] = event["name"], event["input"]
        elif event["error"] is None:
            node, before = given.pop(event["id"])
            ended.append((node, before, event["result"] or {}))
