"""YAML that is something else than it looks like is told to its author by file, field and line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import prompts
from whyrec.errors import UsageError

TEXT = """---
name: room/ask
description: A test.
answer: Thing
format: json
sampling: {temperature: 0.5, max_tokens: 64, stop: ["END"], seed: 7}
variables:
  note: a sentence
---
# user
{{ note }}
"""


def said_of(text: str) -> str:
    before = time.process_time()
    with pytest.raises(UsageError) as caught:
        prompts.parse(text, where="a.md")
    assert time.process_time() - before < 1
    said = str(caught.value)
    assert said.startswith("a.md is not a usable prompt: ") and len(said) < 3_000
    return said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("A test.", "2001-13-45", "'description' must be text, not '2001-13-45', which YAML reads as a date"),
        ("A test.", "2001-12-31", "'description' must be text, not '2001-12-31', which YAML reads as a date"),
        ("A test.", "no", "'description' must be text, not 'no', which YAML reads as a yes or no"),
        ("A test.", "3", "'description' must be text, not the number 3"),
        ("A test.", "", "'description' must be text, not empty"),
        ("A test.", "[a]", "'description' must be text, not a list"),
        ("A test.", "!!python/name:os.system x", "YAML reads as tag:yaml.org,2002:python/name"),
        ("A test.", "!!binary eA==", "YAML reads as bytes"),
        ("A test.", "a\x00b", "not YAML (unacceptable character #x0000"),
        ("A test.", '"\\U99999999"', "not YAML"),
        ("A test.", "a: b", "not YAML (mapping values are not allowed here"),
        ("A test.", "A test.\nd: 2001-13-45", "the front matter key 'd' is unknown"),
        ("A test.", "A test.\nname: b", "has the key 'name' a second time in line 4"),
        ("A test.", "A test.\n? [a]\n: b", "a key that is a list or a mapping"),
        ("A test.", "A test.\nx: {a: {b: {c: {d: {e: f}}}}}", "x.a.b.c.d (line 4) is nested too deeply"),
        ("Thing", "&a Thing\nx: *a", "repeats a part by an alias"),
        ("format: json", "format: 2001-12-31", "'format' must be text"),
        ("format: json", "format: [json]", "'format' must be text, not a list"),
        ("max_tokens: 64", "max_tokens: true", "max_tokens must be a whole number from 1 to 131072, not 'true', which"),
        ("max_tokens: 64", "max_tokens: 6.5", "max_tokens must be a whole number from 1 to 131072, not the number 6.5"),
        ("max_tokens: 64", "max_tokens: " + "9" * 5_000, "max_tokens must be a whole number"),
        ("max_tokens: 64", "max_tokens: 1:30", "not '1:30', which YAML reads as a number"),
        ("temperature: 0.5", "temperature: .nan", "temperature must be a number from 0 to 2, not '.nan'"),
        ("seed: 7", "seed: -1", "seed must be a whole number from 0"),
        ("seed: 7", "seed: x", "seed must be a whole number from 0"),
        ('stop: ["END"]', "stop: END", "stop must be a list of texts, not 'END'"),
        ('stop: ["END"]', "stop: [yes]", "an entry of sampling stop must be text, not 'yes', which YAML"),
        ("sampling: {", "sampling: [{", "not YAML"),
        ("variables:\n  note: a sentence", "variables: [[1]]", "variables must map every blank to a sentence"),
        ("note: a sentence", "note: 2001-13-45", "'note' must be given a sentence on what it is, not '2001-13-45'"),
        ("note: a sentence", "note: yes", "the variable 'note' must be given a sentence"),
        ("note: a sentence", "note: a sentence\n  on: a light", "the variable 'on' is declared but never used"),
        ("name: room/ask", "[" * 8_000, "its front matter"),
        ("name: room/ask", "- " * 4_000, "its front matter"),
        ("name: room/ask", "x: y # " + "z" * 17_000, "of which 16,384 are the most"),
        ("{{ note }}", "{{ note }}" + " " * 40_000 + "x", "of which 32,768 are the most"),
        ("A test.", "half \ud83d", "half a character"),
    ],
)  # fmt: skip
def test_every_fault_of_the_head_names_its_field(old: str, new: str, said: str) -> None:
    assert old in TEXT
    assert said in said_of(TEXT.replace(old, new))


def test_keys_are_words_whatever_yaml_makes_of_them() -> None:
    prompt = prompts.parse(TEXT.replace("note", "on").replace("seed: 7", "seed: null"))
    assert dict(prompt.variables) == {"on": "a sentence"} and prompt.sampling.seed is None


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter() -> None:
    assert prompts.parse("\ufeff" + TEXT.replace("\n", "\r\n")).body == "{{ note }}"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"---\nname: \xff", "not UTF-8 text"),
        (b" " * 1_048_577, "more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_a_sentence(raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=said):
        prompts.read_file(path)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.md", tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(UsageError, match="cannot be read"):
            prompts.read_file(path)
