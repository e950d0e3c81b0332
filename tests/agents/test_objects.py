"""Every object in a text, and no text takes longer than its length allows."""

from __future__ import annotations

import json
import random
import time

import pytest

from agents.objects import objects

GOOD = '{"summary": "a", "keywords": ["x", {"y": "}"}]}'
READ = json.loads(GOOD)
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD, [READ]),
        (f"Use braces {{like this}} or {{a: 1}}. {GOOD} {{smile}}", [READ]),
        (f"{GOOD}\nNo, better:\n```json\n{GOOD.replace('a', 'b')}\n```", [READ, json.loads(GOOD.replace("a", "b"))]),
        (f'It begins with {{"summary" and goes on. {GOOD}', [READ]),
        (f'The quote " is open. {GOOD} And " closed.', [READ]),
        (f"[{GOOD}, {GOOD}]", [READ, READ]),
        ('{"a": "\\"}{\\\\"}', [{"a": '"}{\\'}]),
        ('{"a": [1, 2,], "b": "x,]",}', [{"a": [1, 2], "b": "x,]"}]),
        ('{"a": "line\nbreak\x00"}', [{"a": "line\nbreak\x00"}]),
        ('{"a": {"b": 1} oops} {"c": 2}', [{"b": 1}, {"c": 2}]),
        ("{} {1: 2} [3] 4", []),
        ("{" * 60 + GOOD, [READ]),
        ('{"a":' * 60 + GOOD, [READ]),
        ('{"a": ' + "9" * 5_000 + "}" + GOOD, [READ]),
        ('{"a": "' + "b" * 3_000 + '"}', [{"a": "b" * 3_000}]),
        (GOOD + " " * MEGABYTE, [READ]),
        ("", []),
    ],
)
def test_objects_are_found_in_whatever_stands_around_them(text: str, found: list[object]) -> None:
    assert objects(text) == found


def test_what_an_unfinished_object_holds_is_part_of_it() -> None:
    text = '{"a": 1} {"items": [{"a": 2}, {"a": 3}, {"a'
    assert objects(text) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert objects(text, cut=True) == [{"a": 1}]


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        '{"a":',
        '{"',
        '"{',
        '{"\\"',
        '\\"',
        "\\",
        '{"a":[',
        "[",
        "}",
        "{}",
        '{"a":1}',
        '{"a" b}',
        '{"a":1,',
        ",",
        " ",
    ],
)
def test_a_megabyte_of_anything_takes_less_than_a_second_or_two(piece: str) -> None:
    text = '{"' + piece * (MEGABYTE // len(piece)) + '"}'
    before = time.process_time()
    objects(text)
    assert time.process_time() - before < 2


def test_nothing_that_python_would_find_is_missed() -> None:
    """Against the plain way: try each brace, and go on behind what could be read."""
    dice = random.Random(5)
    pieces = ['{"a": ', "{", "}", '"', "\\", "[", "]", ",", ": ", "1", "x", '{"b": "c"}', '{"d": {}}', " ", "\n"]
    plain = json.JSONDecoder(strict=False)
    several = 0
    for _ in range(20_000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 14)))
        found, at = [], 0
        while (at := text.find("{", at)) >= 0:
            try:
                data, at = plain.raw_decode(text, at)
            except json.JSONDecodeError:
                at += 1
            else:
                found.append(data)
        found = [data for data in found if data]
        assert objects(text) == found or "," in text, text
        several += len(found) > 1
    assert several > 500
