"""What a template may say, and that nothing else is ever computed: neither when it is loaded nor when it is shown."""

from __future__ import annotations

import time
from typing import Any

import pytest

import prompts
from prompts import gate
from whyrec.errors import UsageError

HEAD = """---
name: room/ask
description: A test.
answer: Thing
format: json
sampling: {max_tokens: 64}
variables:
  history: events
  note: a sentence
---
# system
Say it.

# user
<history>
"""
GOOD = "{{ history | events }}{{ note }}"


def refused(template: str) -> str:
    before = time.process_time()
    with pytest.raises(UsageError) as caught:
        prompts.parse(HEAD + template + GOOD, where="a.md")
    assert time.process_time() - before < 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ 9**(9**9) }}", "a power"),
        ("{{ 'a' * 1000000000 }}", "a product"),
        ("{{ note ~ note }}", "a joined text"),
        ("{{ note[0] }}", "a subscript"),
        ("{{ note.upper() }}", "a call"),
        ("{{ range(9) }}", "a call"),
        ("{{ -1 }}", "Neg"),
        ("{{ note | upper }}", "the unknown filter 'upper'"),
        ("{{ history | events | words }}", "a filter elsewhere"),
        ("{{ history | events(about=601) }}", "about is a number from 0 to 600"),
        ("{{ history | events(about=true) }}", "about is a number from 0 to 600"),
        ("{{ history | events(titles=1) }}", "titles is true or false"),
        ("{{ history | events(abut=1) }}", "a wrong argument of the filter events"),
        ("{{ history | events(about=1, about=2) }}", "a wrong argument of the filter events"),
        ("{{ history | events(about=9**9) }}", "a computed argument of the filter events"),
        ("{{ history | events(*note) }}", "a computed argument of the filter events"),
        ("{{ [note, 9**9] | words }}", "a power"),
        ("{{ note.__class__ }}", "the field '__class__'"),
        ("{{ note.a.b }}", "the field 'b'"),
        ("{{ note if note }}", "an inline if"),
        ("{% if note == 'a' * 9 %}{% endif %}", "a comparison"),
        ("{% if note is defined %}{% endif %}", "a test"),
        ("{% if history | events %}{% endif %}", "a filter elsewhere"),
        ("{% for a in history | events %}{% endfor %}", "a filter elsewhere"),
        ("{% for a in [note] %}{% endfor %}", "a list"),
        ("{% for a in history %}{% for b in history %}{% endfor %}{% endfor %}", "a loop inside a loop"),
        ("{% for a in history if a %}{% endfor %}", "a loop with a condition"),
        ("{% for a in history recursive %}{% endfor %}", "a loop with a condition, an else or recursion"),
        ("{% for a, b in history %}{% endfor %}", "a loop over several names"),
        ("{% set x = note %}", "an assignment"),
        ("{% include 'x' %}", "an include"),
        ("{% import 'x' as y %}", "an import"),
        ("{% extends 'x' %}", "an extends"),
        ("{% macro m() %}{% endmacro %}", "a macro"),
        ("{% block b %}{% endblock %}", "a block"),
        ("{% raw %}{{{% endraw %}", "a raw block"),
        ("{% autoescape true %}{% endautoescape %}", "a block of another kind"),
        ("{% if note %}" * 40 + "{% endif %}" * 40, "more blocks inside one another"),
        ("{% if note " + "and note " * 40 + "%}{% endif %}", "a condition of too many parts"),
    ],
)
def test_what_is_not_allowed_is_refused_by_line_and_name(template: str, named: str) -> None:
    said = refused(f"x\n{template}")
    assert (
        said.startswith("a.md is not a usable prompt") and "line 3 of its last section has " in said and named in said
    )
    assert "A template may print blanks and their fields" in said and "line None" not in said


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 20_000,
        "{{ " + "not " * 10_000 + "note }}",
        "{% if note %}" * 1_500,
        "{{ " + "9" * 10_000 + " }}",
        "{{ note }}" * 5_000,
        "{{ note" + ".a" * 10_000 + " }}",
        "{% for loop in history %}{% endfor %}",
        "{{ note",
    ],
)
def test_a_hostile_template_is_a_sentence_and_soon(template: str) -> None:
    refused(template)


def test_what_prompts_need_is_allowed() -> None:
    text = HEAD + (
        "{# why #}{% if note and not history or history %}{{ [note, note] | words }}{% elif note %}{{ 'as it is' }}"
        "{% else %}-{% endif %}{% for event in history %}{{ loop.index }}. {{ event.text }}{% endfor %}"
    )
    (_, said) = prompts.parse(text).render(history=[{"text": "one"}, {"text": "two"}], note="n")
    assert said.content == "<history>\nn, n1. one2. two"


def test_what_a_message_comes_to_is_bounded() -> None:
    prompt = prompts.parse(HEAD + "{% for event in history %}{{ history | numbered }}{% endfor %}{{ note }}")
    before = time.process_time()
    with pytest.raises(UsageError, match=f"more than {gate.MOST_RENDERED:,} characters"):
        prompt.render(history=["x" * 500] * 5_000, note="")
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    "blanks",
    [
        {"history": 3, "note": ""},
        {"history": [{"item": 3}], "note": ""},
        {"history": [{"item": {"index": 1, "id": "a", "title": None}}], "note": ""},
        {"history": [{"item": {"index": 1, "id": "a", "who": 1}}], "note": ""},
        {"history": [{"item": {"index": 1, "id": "a", "title": "t"}, "rating": "good"}], "note": ""},
        {"history": [{}], "note": ""},
        {"history": [], "note": {}},
        {"history": [], "note": "", "self": 1},
        [],
        None,
    ],
)
def test_recorded_blanks_of_another_kind_are_a_sentence(blanks: Any) -> None:
    with pytest.raises(UsageError):
        prompts.render_recorded(HEAD + GOOD, blanks)
