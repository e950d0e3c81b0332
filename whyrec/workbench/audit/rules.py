"""What may stand where, looked up beside the graphs: blanks, results, earlier runs, and switches that leak.

Which artefact may read what is said per blank of every prompt and per field of every result, by each graph for itself
(`Workflow(audit=Rules(...))`), so that an audit looks up what it finds instead of guessing. What nobody declares is
held to the strictest rule: nothing later than the history shown may stand there. A test holds that every prompt and
workflow of the house is declared, and that graphs say the same of a prompt that they share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphs.workflow import every, find, ours, workflow
from whyrec.plugins.rules import Builds, Rule, Rules, Switch


def rules_of(prompt: str, graph: str) -> Rules | None:
    """The rules that declare a prompt's blanks, for a call of this graph; None where nobody does."""
    return next((rules for rules in _declared(graph) if prompt in rules.blanks), None)


def results_of(graph: str) -> Mapping[str, Rule] | None:
    """The rules of a graph's results; None where nobody declares any."""
    return _own(graph).results or None


def order_of(graph: str) -> str:
    """The field of a graph's results that says in which order items were shown; "" where none does."""
    return _own(graph).order


def earlier_of(graph: str) -> Mapping[str, Builds]:
    """What options of a graph may name; an option that a plug-in does not declare is what it is in the house."""
    own = _own(graph).earlier
    if graph in ours():
        return own
    house = {option: builds for name in ours() for option, builds in workflow(name).audit.earlier.items()}
    return {**house, **own}


def switch_of(graph: str, option: str) -> Switch | None:
    """What an option of a graph leaks on purpose, and lifts."""
    return _own(graph).switches.get(option)


def _own(graph: str) -> Rules:
    flow = find(graph)
    return Rules() if flow is None else flow.audit


def _declared(graph: str) -> Iterator[Rules]:
    """The rules of all graphs, the house's before those of plug-ins; first the graph's own, if it is the house's."""
    if graph in ours():
        yield workflow(graph).audit
    yield from (flow.audit for flow in every())
