"""Echo says every title it saw, and nothing else, in an answer that its schema accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyrec.errors import UsageError
from whyrec.llm.built_in.echo import echo
from whyrec.llm.model import AnswerFormat, Message, Request
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings


def ask(block: str, schema: dict[str, Any] | None = None, kind: Any = "json") -> Request:
    messages = (Message("system", "Mind <b>this</b>.\n<rules>\nRULE\n</rules>"), Message("user", block))
    return Request(messages, format=AnswerFormat(kind, "X", json.dumps(schema)) if schema else AnswerFormat())


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TEXT = {"type": "string", "maxLength": 200}
HISTORY = "<history>\n1. Alpha socks | brand: B\n2. Beta shoes\n3. Alpha socks\n</history>"


def test_every_title_once_in_order_and_nothing_of_the_instructions() -> None:
    assert json.loads(echo(ask(HISTORY, obj(summary=TEXT)))) == {"summary": "Alpha socks; Beta shoes"}
    assert echo(ask(HISTORY)) == "Alpha socks; Beta shoes"


def test_lists_hold_a_title_each_and_several_where_they_are_short() -> None:
    titles = "<history>\n" + "\n".join(f"{i}. T{i}" for i in range(1, 8)) + "\n</history>"
    schema = obj(words={"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 3, "minItems": 1})
    assert json.loads(echo(ask(titles, schema)))["words"] == ["T1; T2; T3", "T4; T5; T6", "T7"]


def test_an_entry_per_marked_candidate_with_its_number() -> None:
    block = "<candidates>\n[12] Alpha\n[7] Beta\n</candidates>"
    entry = obj(id={"type": "integer"}, text=TEXT, stance={"type": "integer", "minimum": -2, "maximum": 2})
    answer = json.loads(echo(ask(block, obj(items={"type": "array", "items": entry, "maxItems": 20}))))
    assert [e["id"] for e in answer["items"]] == [12, 7]
    assert [e["text"] for e in answer["items"]] == ["12; Alpha; Beta", "7; Alpha; Beta"]
    assert all(e["stance"] == 0 for e in answer["items"])


def test_what_an_earlier_echo_said_is_taken_apart_again() -> None:
    block = "<long_term_preference>\nAlpha; Beta\nkeywords: Alpha, Beta\n</long_term_preference>\n<x>\n1. Gamma\n</x>"
    assert json.loads(echo(ask(block, obj(s=TEXT))))["s"] == "Alpha; Beta; Alpha, Beta; Gamma"


def test_tags_and_headers() -> None:
    schema = obj(summary=TEXT, words={"type": "array", "items": TEXT})
    assert echo(ask(HISTORY, schema, "tags")) == (
        "<summary>Alpha socks; Beta shoes</summary>\n<words>Alpha socks\nBeta shoes</words>"
    )
    assert echo(ask(HISTORY, schema, "headers")).startswith("## summary\nAlpha socks; Beta shoes\n## words\n")


@given(
    titles=st.lists(st.text("abc XYZ\u00e9\u4e2d", min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=12),
    limit=st.integers(1, 300),
    most=st.integers(1, 5),
)
def test_bounds_hold_and_a_marker_in_front_survives_where_there_is_room(
    titles: list[str], limit: int, most: int
) -> None:
    lines = [f"{i}. POISON{i} {title}" for i, title in enumerate(titles, 1)]
    schema = obj(
        s={"type": "string", "maxLength": limit, "minLength": min(3, limit)},
        l={"type": "array", "items": {"type": "string", "maxLength": limit}, "maxItems": most},
    )
    answer = json.loads(echo(ask("<h>\n" + "\n".join(lines) + "\n</h>", schema)))
    assert min(3, limit) <= len(answer["s"]) <= limit
    assert len(answer["l"]) <= most and all(len(entry) <= limit for entry in answer["l"])
    if limit >= 12 * len(titles):
        assert all(f"POISON{i}" in answer["s"] for i in range(1, len(titles) + 1))


def test_a_prompt_without_blocks_says_nothing() -> None:
    assert json.loads(echo(ask("no blocks", obj(s=TEXT)))) == {"s": "nothing"}


def test_the_name_takes_nothing_more() -> None:
    with pytest.raises(UsageError, match="takes no options"):
        open_provider("echo:loud", settings=read_settings())
