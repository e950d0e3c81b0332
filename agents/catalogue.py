"""Describing items: shared by the papers that turn a title into text (CoT-Rec 4.1.2, RALLRec+)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.agent import Agent
from agents.answers import Answer, Words
from agents.usable import Asked


class ItemDescription(Answer):
    """What an item is, objectively (spec 2.a G1). `text` goes into embeddings and later prompts."""

    text: Annotated[
        str,
        Field(min_length=1, max_length=640, description="objective description of the item, at most 80 words"),
        Words(80),
        Asked(least=6),
    ]
    type: Annotated[str, Field(min_length=1, max_length=80, description="what kind of item it is")]
    topics: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=60)], ...],
        Field(min_length=1, max_length=6, description="features, offerings or topics of the item, most telling first"),
    ]
    audience: Annotated[str, Field(min_length=1, max_length=160, description="who it is for and when they use it")]


describe_item = Agent("shared/describe_item", answer=ItemDescription)
