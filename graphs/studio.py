"""Every workflow as LangGraph Studio and its API can run it: `langgraph dev`, then a user and a model's name.

    {"user": "u0"} -> the workflow's graph, on that user's example -> {"example": "test/u0", "result": {...}}

A workflow's graph starts from a state that its `inputs` make and reaches models through `Services`; nobody can type
either into Studio. So each is served within an outer graph of one node, which makes both from names: what Studio calls
the context holds a model, a data set and options as text, and the default of each is enough. The graph itself runs
below that node, and Studio shows its nodes and states.

`langgraph.json` names a variable of this module for each workflow, those of plug-ins too; `python -m graphs.studio`
writes it into the folder it is started in, and a test says when the checkout's is stale. Unusual: imported by that
server, this module changes what the server reads afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Annotated, Any

import langsmith
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from typing_extensions import TypedDict

from agents.agent import AnswerError
from graphs.engine.models import Models
from graphs.run import How, Job, prepare, probe
from graphs.services import Services
from graphs.workflow import MissingInput, Workflow, find_example, names, read_options, workflow
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import wrap
from whyrec.llm.model import ModelError
from whyrec.redaction.telemetry import langsmith_asked
from whyrec.runs import Run
from whyrec.settings import read_settings

FILE = "langgraph.json"
_TRACING = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2")  # the server reads the one first, the traces' client the other
_KEPT = 2  # parts of so many contexts are kept: a trained model or an index each


@dataclass(frozen=True)
class Asked:
    """Which example."""

    user: Annotated[str, Field(description="A user, an item, or an example's key; empty for the first example.")] = ""


@dataclass(frozen=True)
class State(Asked):
    """Which example, and what came of it.

    Attributes:
        example: its key.
        result: what a run keeps of it.
    """

    example: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


class Update(TypedDict, total=False):
    """What the node may change."""

    example: str
    result: Mapping[str, Any]


class Served:
    """A workflow for `langgraph dev`: calling it gives the graph.

    Args:
        name: the workflow's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: dict[tuple[str, Any], tuple[object, ...]] = {}
        self._making = Lock()

    def __call__(self) -> Any:
        """The compiled outer graph."""
        return self._graph

    @cached_property
    def context(self) -> type[BaseModel]:
        """What may be said beside the example, with defaults under which the graph runs."""
        return context_of(self._flow)

    @cached_property
    def _flow(self) -> Workflow[Any, Any]:
        return workflow(self.name)

    @cached_property
    def _graph(self) -> Any:
        inner, name = self._flow.build(), self.name.rpartition(".")[2]

        async def run_example(state: State, runtime: Runtime[Any]) -> Update:
            """Run the workflow's graph on one example. That it closes over `inner` is how LangGraph finds that one."""
            try:
                job = await asyncio.to_thread(self._job, runtime.context or self.context())
                with TemporaryDirectory(prefix="whyrec-studio-") as gone:  # stages write files beside their run
                    run = await asyncio.to_thread(Run.open, Path(gone), job.identity)
                    try:
                        return await self._run(inner, job, run, state.user)
                    finally:
                        run.close()
            except (UnknownNameError, AnswerError, MissingInput, ModelError) as error:
                raise UsageError(str(error)) from error  # the server shows the message of a ValueError alone

        outer = StateGraph(State, context_schema=self.context, input_schema=Asked)
        outer.add_node(name, run_example)
        outer.add_edge(START, name)
        outer.add_edge(name, END)
        return outer.compile()

    async def _run(self, inner: Any, job: Job, run: Run, user: str) -> Update:
        """One example, with models of its own: they belong to the event loop it runs in."""
        llms = {id(model): wrap(model, settings=job.how.settings) for model in job.models.all}
        try:
            for model in job.models.all:
                await probe(model)
            index = await asyncio.to_thread(find_example, job.inputs, user)
            first = await asyncio.to_thread(job.inputs.state, index)
            services = Services(job.cast(llms), await asyncio.to_thread(self._parts_of, job), run)
            config = {"recursion_limit": self._flow.steps(first), "run_name": self.name}
            final = await inner.ainvoke(first, config, context=services)
            return {"example": job.inputs.key(index), "result": self._flow.result(self._flow.state(**final))}
        finally:
            for llm in llms.values():
                await llm.close()

    def _job(self, context: Any) -> Job:
        """The workflow over the data set and with the models that a context names."""
        settings = read_settings()
        opened = open_data(context.data, settings=settings)
        told = {**self._flow.sample.options, **{name: str(value) for name, value in context.options.items()}}
        return prepare(
            self.name,
            corpus=opened.data,
            model=Models(context.llm, context.roles),
            options=read_options(self._flow, told),
            how=How(settings=settings, world=opened.world, command="langgraph dev"),
        )

    def _parts_of(self, job: Job) -> tuple[object, ...]:
        """What nodes reach beside models. It follows from data and options, so it is made once for these."""
        key = (job.source.data.digest, job.inputs.options)
        with self._making:
            if key not in self._parts:
                while len(self._parts) >= _KEPT:
                    del self._parts[next(iter(self._parts))]
                self._parts[key] = job.parts
            return self._parts[key]


def context_of(flow: Workflow[Any, Any]) -> type[BaseModel]:
    """A workflow's context: names of models, of data and of options. Studio makes a form of its JSON schema."""
    options = TypeAdapter(flow.options).json_schema()
    for name, value in flow.sample.options.items():
        options["properties"][name]["default"] = value
    roles = ", ".join(flow.roles)
    return create_model(
        "Context",
        __config__=ConfigDict(extra="forbid", frozen=True),
        llm=(str, Field("extractive", description="The model, as --llm names it.")),
        roles=(dict[str, str], Field({}, description=f"Other models for single roles of {roles}.")),
        data=(str, Field(flow.sample.data, description="The data set, as --data names it.")),
        options=(
            dict[str, Any],
            Field({}, description=f"Options of {flow.name}.", json_schema_extra={"properties": options["properties"]}),
        ),
    )


def variable(name: str) -> str:
    """What a workflow is called in this module."""
    return name.replace(".", "_")


def settings_file() -> str:
    """langgraph.json, whole."""
    graphs = {n: {"path": f"graphs.studio:{variable(n)}", "description": workflow(n).about} for n in names()}
    told = {
        "dependencies": ["."],
        "graphs": graphs,
        "env": {
            "LANGGRAPH_NO_VERSION_CHECK": "true",
            **dict.fromkeys(_TRACING, "false"),  # until somebody asks for it: _in_the_server
            "LANGSMITH_CONTROL_PLANE_API_KEY": "",  # else a key for traces also sends how often graphs ran
        },
    }
    return json.dumps(told, indent=2) + "\n"


def _in_the_server() -> None:
    """What `langgraph dev` takes from the environment after it has imported this.

    Traces go to LangSmith where WHYREC_LANGSMITH asks for it, as in runs, not wherever there is a key. And short reads
    of files in nodes are allowed: each takes less than handing it to a thread would (the call cache: 0.02 ms).
    """
    langsmith.configure(enabled=langsmith_asked())
    os.environ["LANGGRAPH_ALLOW_BLOCKING"] = "true"


if "langgraph_api" in sys.modules:
    _in_the_server()
# the server looks variables up in the module's dictionary
globals().update({variable(name): Served(name) for name in names()})


if __name__ == "__main__":
    Path(FILE).write_text(settings_file(), encoding="utf-8")
