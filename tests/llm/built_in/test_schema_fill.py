"""Whatever pydantic writes for an answer type is filled with something that the type accepts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from whyrec.errors import UsageError
from whyrec.llm.built_in.schema_fill import Content, Node, fill


class Mood(StrEnum):
    good = "good"
    bad = "bad"


class Entry(BaseModel):
    id: int
    text: Annotated[str, Field(min_length=5, max_length=9)]
    stance: Annotated[int, Field(ge=-2, le=2)]
    weight: Annotated[float, Field(gt=0, lt=1)]


class Everything(BaseModel):
    name: str
    mood: Mood
    kind: Literal["only"]
    maybe: str | None
    either: int | str
    flag: bool
    entries: Annotated[list[Entry], Field(min_length=2, max_length=3)]
    words: Annotated[tuple[Annotated[str, Field(max_length=4)], ...], Field(min_length=3, max_length=6)]
    pair: tuple[int, str]
    moods: list[Mood]
    least: Annotated[int, Field(ge=10)]
    most: Annotated[int, Field(le=-10)]


class Random(Content):
    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def text(self, path: str, node: Node) -> str:
        return self.data.draw(st.text(max_size=12))

    def texts(self, path: str, node: Node) -> list[str]:
        return self.data.draw(st.lists(st.text(max_size=12), max_size=9))

    def count(self, path: str, node: Node) -> int:
        return self.data.draw(st.integers(0, 9))

    def choose(self, path: str, options: Any) -> Any:
        return self.data.draw(st.sampled_from(list(options)))

    def number(self, path: str, low: float, high: float) -> float:
        return self.data.draw(st.floats(-100, 100))


@given(st.data())
def test_any_content_gives_a_valid_answer(data: st.DataObject) -> None:
    Everything.model_validate(fill(Everything.model_json_schema(), Random(data)))


def test_paths_tell_where_a_field_stands() -> None:
    filled = fill(Entry.model_json_schema() | {"properties": {"a": {"type": "string"}}}, Content())
    assert filled == {"a": "a"}
    nested = {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"t": {"type": "string"}}}}
    assert fill({"type": "object", "properties": {"e": nested}}, Content()) == {"e": [{"t": "e.0.t"}, {"t": "e.1.t"}]}


def test_a_type_nobody_knows_is_named() -> None:
    with pytest.raises(UsageError, match="'x' has the JSON type 'blob'"):
        fill({"type": "object", "properties": {"x": {"type": "blob"}}}, Content())
