"""PULSE's reasoning, one agent per step (paper 4.1 and 4.2; spec 3.a, 10).

Phase I: `rationale` says why a user takes an item that is known to come next. Phase II: `base_reason` says what a user
may want next without knowing it, and three agents refine a reason: `specify`, `support`, `check`. `choose` and
`choose_with_reason` pick the next item among lettered candidates.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.agent import Agent
from agents.answers import Answer, Words
from agents.ranker import Chooser


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


rationale = Agent("pulse/rationale", answer=Rationale)
base_reason = Agent("pulse/base_reason", answer=Reason)
specify = Agent("pulse/specify_reason", answer=Reason)
support = Agent("pulse/support_reason", answer=Reason)
check = Agent("pulse/check_reason", answer=Reason)
choose = Chooser("pulse/choose")
choose_with_reason = Chooser("pulse/choose_with_reason")

REFINEMENTS = (specify, support, check)
"""What is done at each level of the tree, in turn: more specific, with evidence, without contradictions."""
