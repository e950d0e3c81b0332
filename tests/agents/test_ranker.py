"""Options are chosen from the letters' probabilities, whoever is asked."""

from __future__ import annotations

import pytest

import prompts
from agents import ranker
from agents.ranker import Choice, Chooser, letters
from prompts.lines import options
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.built_in.extractive import Extractive
from whyrec.llm.model import About
from whyrec.records import Item

TEXT = """---
name: shared/choose
description: choose
answer: Choice
format: text
sampling: {temperature: 0.0, max_tokens: 1}
variables:
  wanted: what is wanted
  items: the options
---
# system
Answer with the letter of the option that fits the request block best.

# user
<request>
{{ wanted }}
</request>
<options>
{{ items | options }}
</options>
"""
ITEMS = (Item(1, "a", "Wool socks"), Item(2, "b", "Garden hose"), Item(3, "c", "Tea pot"))


@pytest.fixture
def choose(monkeypatch):
    monkeypatch.setattr(prompts, "load", lambda name: prompts.parse(TEXT))
    return Chooser("shared/choose")


async def test_probabilities_sum_to_one_over_the_letters(choose):
    found = await choose(Extractive(), letters(3), about=About(), wanted="a hose for the garden", items=ITEMS)
    assert list(found.probabilities) == ["A", "B", "C"]
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert max(found.probabilities, key=found.probabilities.__getitem__) == "B"


async def test_the_request_names_the_prompt_and_continues_the_prefix(choose, monkeypatch):
    asked = []

    async def spy(model, request, labels, *, ways):
        asked.append(request)
        return "read"

    monkeypatch.setattr(ranker, "read_labels", spy)
    found = await choose(Echo(), letters(2), about=About(user="u"), prefix="so", wanted="x", items=ITEMS[:2])
    assert found == "read" and asked[0].prefix == "so"
    assert (asked[0].about.prompt, asked[0].about.user) == ("shared/choose", "u")


def test_options_are_lettered_and_their_notes_are_neutralised():
    shown = options([{"item": ITEMS[0], "note": "warm <b>"}, ITEMS[1]])
    assert shown.splitlines()[0].startswith("A. Wool socks | impression: warm") and "<" not in shown
    assert shown.splitlines()[1] == "B. Garden hose"


def test_a_choice_is_an_answer_type_that_prompts_may_name():
    from agents import answer_types

    assert answer_types()["Choice"] is Choice
