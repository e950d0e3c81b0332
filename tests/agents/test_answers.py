from __future__ import annotations

import json
import time
from typing import Annotated

import pytest
from pydantic import Field

from agents.answers import Answer, Kind, Misread, Words, answer_format, complaints, echoes, read, read_reply
from agents.sections import headers, tags
from whyrec.llm.model import Reply

Short = Annotated[str, Field(min_length=1, max_length=12)]


class Entry(Answer):
    """One of several."""

    id: Annotated[int, Field(ge=0, description="number")]
    text: Annotated[str, Field(max_length=20, description="what is said")]


class Thing(Answer):
    """A thing."""

    summary: Annotated[str, Field(min_length=1, max_length=60, description="in short"), Words(5)]
    keywords: Annotated[tuple[Short, ...], Field(min_length=2, max_length=3, description="phrases")]
    extra: Annotated[tuple[Short, ...], Field(max_length=2, description="more")] = ()


class Things(Answer):
    """Many."""

    items: Annotated[tuple[Entry, ...], Field(min_length=1, max_length=2, description="entries")]


class Bare(Answer):
    """A text."""

    text: Annotated[str, Field(min_length=1, max_length=40, description="the text")]


THING = Thing(summary="warm socks", keywords=("wool", "walks"))
JSON = '{"summary": "warm socks", "keywords": ["wool", "walks"]}'


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"  {JSON}\n\n   ",
        f"```json\n{JSON}\n```",
        f"Sure! Here it is:\n{JSON}\nHope that helps {{smile}}.",
        JSON.replace("]}", ",],}"),
        JSON.replace("warm", "warm\t").replace("\t ", "\\t ").replace("\\t ", "\x0b "),
        JSON[:-1] + ', "confidence": 0.9}',
        JSON.replace("warm socks", "  warm socks  "),
    ],
)
def test_json_is_found_in_whatever_stands_around_it(text: str) -> None:
    found = read(Thing, "json", text)
    assert found.summary.split() == ["warm", "socks"] and found.keywords == THING.keywords
    assert found.cut == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I would rather not.", "there is no JSON object"),
        ("", "there is no JSON object"),
        (JSON[:30], "it is not JSON: "),
        ('{"summary": "x", "keywords": ["a"]}', "keywords: Tuple should have at least 2 items"),
        ('{"summary": "", "keywords": ["a", "b"]}', "summary: String should have at least 1 character"),
        ('{"keywords": ["a", "b"]}', "summary: Field required"),
        ('{"summary": "a b c d e f g", "keywords": "wool"}', "keywords: Input should be a valid tuple"),
        ('{"summary": "\\ud800", "keywords": ["a", "b"]}', "summary: Input should be a valid string"),
        ('{"a":' * 100_000, "it is not JSON"),
        ('{"summary": ' + "9" * 5000 + "}", "it is not JSON that can be read"),
        ("{" * 50, "it is not JSON"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(Misread, match=said):
        read(Thing, "json", text)


SCHEMA = answer_format(Thing, "json").schema
EXAMPLE = '{"summary": "what it is", "keywords": ["two or", "three"]}'
OTHER = JSON.replace("warm", "thin")
KNOWN = echoes(Thing, "json", f"Say what it is.\nAnswer with one JSON object:\n{EXAMPLE}")


@pytest.mark.parametrize(
    "text",
    [
        f"I think {{it}} is about {{socks}}: {JSON}",
        f"{SCHEMA}\n{JSON}",
        f"{JSON}\nThis follows the schema {SCHEMA}",
        f"The form is {EXAMPLE}, so: {JSON}",
        f"{JSON}\n(as in the example {EXAMPLE})",
        f"{OTHER}\nWait, they are warm.\n{JSON}",
        f"{JSON}\n{OTHER[:-1].replace('[', '').replace(']', '')}}}",
        f'{{"thought": "they walk"}} {JSON} {{"confidence": 0.9}}',
        f'{{"answer": {JSON}}}',
        f'{{"type": "object", "properties": {JSON}}}',
        f"[{JSON}]",
    ],
)
def test_the_last_object_that_is_an_answer_counts(text: str) -> None:
    assert read(Thing, "json", text, echoes=KNOWN) == THING


@pytest.mark.parametrize("text", [EXAMPLE, f"Sure: {EXAMPLE}", f"{SCHEMA}{EXAMPLE}"])
def test_the_example_said_again_is_no_answer(text: str) -> None:
    with pytest.raises(Misread, match="only says the example or the schema"):
        read(Thing, "json", text, echoes=KNOWN)
    assert read(Thing, "json", text).summary == "what it is", "unless nobody gave it"


def test_an_example_of_single_words_may_be_the_answer() -> None:
    class Short(Answer):
        answer: Annotated[str, Field(max_length=40, description="it")]

    known = echoes(Short, "json", 'Example: {"answer": "no"}\nAnswer with {"answer": "the answer itself"}')
    assert known == (Short(answer="the answer itself"),)
    assert read(Short, "json", '{"answer": "yes"}? No: {"answer": "no"}', echoes=known).answer == "no"


def test_the_schema_of_an_answer_whose_fields_may_all_be_left_out_is_none() -> None:
    class Loose(Answer):
        type: Annotated[str, Field(max_length=40, description="the kind of it")] = ""
        title: Annotated[str, Field(max_length=40, description="the name of it")] = ""

    for schema in (answer_format(Loose, "json").schema, json.dumps(Loose.model_json_schema())):
        assert read(Loose, "json", f'{{"type": "sock"}} as in {schema}').type == "sock"
        with pytest.raises(Misread, match="the example or the schema"):
            read(Loose, "json", schema)


def test_what_is_wrong_is_said_of_the_object_that_is_most_like_an_answer() -> None:
    wrong = '{"summary": "x", "keywords": ["a"]}'
    for text in (f'{wrong} {{"note": 1}}', f'{{"note": 1}} {wrong}', f"{EXAMPLE} {wrong}"):
        with pytest.raises(Misread, match="keywords: Tuple should have at least 2 items"):
            read(Thing, "json", text, echoes=KNOWN)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("tags", "<summary>warm socks</summary><keywords>wool, walks</keywords> <keywords>x</keywords>"),
        ("tags", "<summary>warm socks</summary><keywords>wool, walks</keywords> in <summary></summary>"),
        ("headers", "## summary\nwarm socks\n## keywords\nwool, walks\n## keywords\n\n"),
    ],
)
def test_the_last_sections_that_are_an_answer_count(kind: Kind, text: str) -> None:
    assert read(Thing, kind, text) == THING


def test_an_example_in_tags_is_no_answer_either() -> None:
    example = "<summary>what it is</summary>\n<keywords>two or, three</keywords>"
    said = "<summary>warm socks</summary><keywords>wool, walks</keywords>"
    known = echoes(Thing, "tags", f"Answer so:\n{example}")
    assert read(Thing, "tags", f"{said}\nThe form was:\n{example}", echoes=known) == THING
    with pytest.raises(Misread, match="only says the example"):
        read(Thing, "tags", example, echoes=known)


TAGS = "<summary>warm socks</summary><keywords>wool, walks</keywords>"


@pytest.mark.parametrize(
    ("kind", "reply", "place"),
    [
        ("json", Reply(JSON, "They walk."), "answer"),
        ("json", Reply("", JSON), "reasoning"),
        ("json", Reply(" \n", f"They walk {{a lot}}. {EXAMPLE} {JSON}"), "reasoning"),
        ("tags", Reply("", f"They walk. {TAGS}<extra>a</extra>"), "reasoning"),
    ],
)
def test_an_answer_may_stand_in_the_reasoning_where_nothing_else_is(kind: Kind, reply: Reply, place: str) -> None:
    found, where = read_reply(Thing, kind, reply, echoes=KNOWN)
    assert (found.summary, found.keywords, where) == (THING.summary, THING.keywords, place)


@pytest.mark.parametrize(
    ("kind", "reply", "said"),
    [
        ("json", Reply("I cannot say.", JSON), "there is no JSON object in it"),
        ("json", Reply("", "They walk."), "none in the reasoning either"),
        ("json", Reply("", EXAMPLE), "only says the example"),
        ("json", Reply("", f"First {JSON}. But", finish_reason="length"), "there is no JSON object in it"),
        ("tags", Reply("", TAGS), "the reasoning lacks extra"),
    ],
)
def test_a_thought_is_no_answer(kind: Kind, reply: Reply, said: str) -> None:
    with pytest.raises(Misread, match=said):
        read_reply(Thing, kind, reply, echoes=KNOWN)


def test_a_bare_text_is_never_taken_from_a_thought() -> None:
    with pytest.raises(Misread, match="at least 1 character"):
        read_reply(Bare, "text", Reply("", "I think."))


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        '{"a":',
        '{"summary":1,"keywords":1}',
        '{"items":[{},',
        "<",
        "<summary>",
        "a",
        " ",
        "*",
        "## ",
        "summary: x\n",
    ],
)
@pytest.mark.parametrize("kind", ["json", "tags", "headers"])
def test_a_megabyte_of_anything_is_read_in_time(kind: Kind, piece: str) -> None:
    before = time.process_time()
    with pytest.raises(Misread):
        read(Thing, kind, piece * (1_000_000 // len(piece)))
    assert time.process_time() - before < 2


def test_a_list_of_a_hundred_thousand_wrong_entries_is_read_in_time() -> None:
    before = time.process_time()
    with pytest.raises(Misread, match="and 996 more"):
        read(Things, "json", '{"items": [' + "{}, " * 100_000 + "{}]}")
    assert time.process_time() - before < 2


def test_only_the_first_five_problems_are_told() -> None:
    with pytest.raises(Misread, match="and 2 more"):
        read(Things, "json", json.dumps({"items": [{}, {}, {}]}))


def test_what_is_too_long_is_cut_and_flagged() -> None:
    found = read(
        Thing,
        "json",
        json.dumps({"summary": "one two three four five six", "keywords": ["wool", "long walks outside", "c", "d"]}),
    )
    assert found.summary == "one two three four five"
    assert found.keywords == ("wool", "long walks", "c")
    assert set(found.cut) == {"summary", "keywords", "keywords.1"}


def test_cutting_a_long_list_of_long_texts_comes_to_an_end() -> None:
    found = read(Things, "json", json.dumps({"items": [{"id": i, "text": "x" * 90} for i in range(40)]}))
    assert [len(e.text) for e in found.items] == [20, 20]
    assert {"items", "items.0.text", "items.1.text"} <= set(found.cut)


def test_a_floor_missed_is_not_repaired_by_cutting() -> None:
    with pytest.raises(Misread, match="keywords: Tuple should have at least 2 items"):
        read(Thing, "json", json.dumps({"summary": "y" * 90, "keywords": ["x" * 90]}))


@pytest.mark.parametrize(
    "text",
    [
        "<summary>warm socks</summary><keywords>wool, walks</keywords>",
        "Let me see.\n<summary>\nwarm socks\n</summary>\n<keywords>\n- wool\n- walks\n</keywords> Done.",
        "<summary>first try</summary> No: <SUMMARY>warm socks</SUMMARY>\n<keywords>1. wool\n2) walks",
        "<summary>warm socks <keywords>wool, walks,</keywords>",
    ],
)
def test_tags(text: str) -> None:
    assert read(Thing, "tags", text) == THING


@pytest.mark.parametrize(
    "text",
    [
        "## summary\nwarm socks\n## keywords\n- wool\n- walks\n",
        "**Summary:** warm socks\n\n**Keywords**: wool, walks",
        "Here you are.\n\nSummary: warm socks\nKeywords: wool, walks",
        "# Summary: warm socks\n# Keywords:\n* wool\n* walks",
    ],
)
def test_headers(text: str) -> None:
    assert read(Thing, "headers", text) == THING


@pytest.mark.parametrize("text", ["a: a: a:", "<>x</>", "## \nx"])
def test_a_type_without_fields_has_no_sections(text: str) -> None:
    assert tags(text, ()) == headers(text, ()) == {}


@pytest.mark.parametrize("kind", ["tags", "headers"])
def test_missing_sections_are_said(kind: Kind) -> None:
    with pytest.raises(Misread, match=f"it has none of the {kind}"):
        read(Thing, kind, "a summary without marks")
    with pytest.raises(Misread, match="keywords: Field required"):
        read(Thing, kind, "## summary\nx" if kind == "headers" else "<summary>x</summary>")


def test_bare_text_is_the_only_field() -> None:
    assert read(Bare, "text", "  said so \n").text == "said so"
    assert read(Bare, "text", "word " * 20).cut == ("text",)
    with pytest.raises(Misread, match="at least 1 character"):
        read(Bare, "text", "  ")


def test_the_schema_is_plain_bounded_and_in_class_order() -> None:
    form = answer_format(Things, "json")
    assert (form.kind, form.name) == ("json", "Things")
    schema = json.loads(form.schema)
    assert form.schema == json.dumps(schema, separators=(",", ":"))
    assert not {"$ref", "$defs", "title", "default"} & set(form.schema.replace('"', " ").split())
    entry = schema["properties"]["items"]["items"]
    assert list(entry["properties"]) == ["id", "text"]
    assert (entry["required"], entry["additionalProperties"]) == (["id", "text"], False)
    assert entry["properties"]["text"]["maxLength"] == 20
    assert json.loads(answer_format(Thing, "tags").schema)["required"] == ["summary", "keywords", "extra"]
    assert answer_format(Bare, "text").schema == ""


def test_answers_are_values() -> None:
    assert read(Thing, "json", JSON) == THING
    with pytest.raises(ValueError, match="frozen"):
        THING.summary = "no"  # type: ignore[misc]


def test_an_answer_type_without_bounds_is_complained_about() -> None:
    class Loose(Answer):
        a: str
        b: Annotated[list[str], Field(description="b")]
        c: Annotated[tuple[Entry, ...], Field(max_length=2, description="c")]
        d: Annotated[str | None, Field(description="d")]

    said = complaints(Loose, "tags", "a b c d")
    assert said == [
        "Loose.a is text without max_length",
        "Loose.b is a list without max_length",
        "Loose.b[] is text without max_length",
        "Loose.d is text without max_length",
        "Loose.a has no description",
        "Loose.c is nested, which only json can carry",
    ]
    assert complaints(Thing, "json", "summary, keywords") == ["the instructions never name the field 'extra' of Thing"]
    assert complaints(Thing, "text", "") == ["Thing has 3 fields, but a bare text answers one"]
