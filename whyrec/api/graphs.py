"""Reasoning graphs to look at before they are run: what they do, in what order, by which prompts and options."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any

import polars as pl

from graphs.engine.draw import without_ours
from graphs.engine.drawing import of_workflow
from graphs.workflow import Workflow, names, option_help, workflow
from whyrec.api.drawn import svg
from whyrec.api.shown import cells, text


@dataclass(frozen=True)
class Graph:
    """A reasoning graph. A notebook draws it.

    Attributes:
        flow: what is run.
    """

    flow: Workflow[Any, Any]

    @property
    def name(self) -> str:
        """What `whyrec.run` calls it."""
        return self.flow.name

    @property
    def about(self) -> str:
        """One line on what it does."""
        return self.flow.about

    @property
    def explained(self) -> str:
        """What it does and what is unusual about it."""
        return without_ours(inspect.getdoc(sys.modules[self.flow.build.__module__]) or self.about)

    @property
    def nodes(self) -> list[str]:
        """Its steps, start and end left out."""
        return [box.name for box in of_workflow(self.name).boxes if not box.name.startswith("__")]

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the models it asks, for `llm={role: name}`."""
        return self.flow.roles

    @property
    def options(self) -> pl.DataFrame:
        """A row per option: name, the values it takes, and its default, for `options={name: value}`."""
        return pl.DataFrame(option_help(self.flow), schema=["option", "takes", "default"], orient="row")

    @property
    def prompts(self) -> tuple[str, ...]:
        """Names of the prompts that it uses with its default options, for `open_prompt`."""
        return self.flow.prompts(self.flow.options())

    def mermaid(self) -> str:
        """The drawing in Mermaid's language."""
        return str(self.flow.build().get_graph().draw_mermaid())

    def __repr__(self) -> str:
        return f"<{self.name}: {self.about}>"

    def _repr_html_(self) -> str:
        options = cells(("option", "takes", "default"), self.options.iter_rows())
        folded = f"<details><summary>{self.options.height} options</summary>{options}</details>"
        head = f"<div><b>{text(self.name)}</b> · {text(self.about)}</div>"
        return f"{head}{svg(of_workflow(self.name), self.name)}{folded if self.options.height else ''}"


class Graphs(list[Graph]):
    """A list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return cells(("graph", "what it does"), [(one.name, one.about) for one in self])


def open_graph(name: str) -> Graph:
    """A reasoning graph by its name.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    return Graph(workflow(name))


def list_graphs() -> Graphs:
    """All reasoning graphs, by name."""
    return Graphs(map(open_graph, names()))
