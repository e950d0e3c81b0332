"""PULSE's reasoning, one agent per step (paper 4.1 and 4.2; spec 3.a, 10).

Phase I: `rationale` says why a user takes an item that is known to come next. Phase II: `base_reason` says what a user
may want next without knowing it, and three agents refine a reason: `specify`, `support`, `check`. Where the tree is
pruned, `value` judges reasons each on its own and `vote` against each other. `choose` and `choose_with_reason` pick the
next item among lettered candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from agents.agent import Agent
from agents.answers import Answer, Words
from agents.ranker import Chooser
from agents.usable import Asked
from whyrec.llm.model import Unusable


class Rationale(Answer):
    """Why a user takes an item."""

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=900,
            description="why this user takes the item, without its name, at most 120 words",
        ),
        Words(120),
        Asked(masked=6),
    ]
    cues: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=60)], ...],
        Field(max_length=6, description="short phrases from the history that speak for it, strongest first"),
    ] = ()


class Reason(Answer):
    """What a user may want next, and why."""

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=900,
            description="what this user is likely to want next and why, at most 120 words",
        ),
        Words(120),
    ]


class Value(Answer):
    """What one reason is worth."""

    id: Annotated[int, Field(ge=1, le=999, description="the number in square brackets in front of the reasoning")]
    value: Annotated[int, Field(ge=0, le=100, description="how well the history bears it out and it helps, 0 to 100")]


class Values(Answer):
    """What reasons are worth, each on its own."""

    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=20, description="one value for every reason")]


class Ballot(Answer):
    """One vote across reasons."""

    best: Annotated[
        tuple[Annotated[int, Field(ge=1, le=999)], ...],
        Field(min_length=1, max_length=10, description="the numbers of the best reasons, the best first, each once"),
    ]


def _values_cover(answer: Values, blanks: Mapping[str, Any]) -> Unusable | None:
    wanted = sorted(r["id"] for r in blanks["reasons"])
    if sorted(v.id for v in answer.values) == wanted:
        return None
    said = f"values must have exactly one entry for each of the numbers {', '.join(map(str, wanted))}"
    return Unusable("wrong_ids", said)


def _ballot_holds(answer: Ballot, blanks: Mapping[str, Any]) -> Unusable | None:
    shown = {r["id"] for r in blanks["reasons"]}
    if len(set(answer.best)) == len(answer.best) and shown.issuperset(answer.best):
        return None
    said = f"best names numbers of the reasons block, each once: some of {', '.join(map(str, sorted(shown)))}"
    return Unusable("wrong_ids", said)


def _numbers(field: str) -> Callable[[Mapping[str, Any]], dict[str, list[int]]]:
    return lambda blanks: {field: [r["id"] for r in blanks["reasons"]]}


rationale = Agent("pulse/rationale", answer=Rationale)
base_reason = Agent("pulse/base_reason", answer=Reason)
specify = Agent("pulse/specify_reason", answer=Reason)
support = Agent("pulse/support_reason", answer=Reason)
check = Agent("pulse/check_reason", answer=Reason)
value = Agent("pulse/value_reasons", answer=Values, check=_values_cover, among=_numbers("values"))
vote = Agent("pulse/vote_reasons", answer=Ballot, check=_ballot_holds, among=_numbers("best"))
choose = Chooser("pulse/choose")
choose_with_reason = Chooser("pulse/choose_with_reason")

REFINEMENTS = (specify, support, check)
"""What is done at each level of the tree, in turn: more specific, with evidence, without contradictions."""
