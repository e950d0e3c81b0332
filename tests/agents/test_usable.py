"""What is an answer and what only looks like one, on what real small models said."""

from __future__ import annotations

import json

import pytest

from agents import rallrec, usable
from agents.answers import read
from agents.catalogue import ItemDescription, describe_item
from agents.cot_rec import LongTermPreference, Perceptions, ShortTermInterest, write_reviews
from agents.narrowed import narrowed
from agents.pulse import Rationale, Reason, vote
from agents.scoter import MinedTemplate, chain_type
from whyrec.llm.model import About, Reply
from whyrec.records import Item

SUMMARY = "Buys sandpaper and glue for repairs at home, lately in finer grades."
TEXT = "Fine sandpaper of aluminium oxide for wood and metal, in sheets for a hand sander."
GOOD = {"type": "sandpaper", "topics": ["fine grade", "for wood"], "audience": "people who repair", "text": TEXT}


def why(answer, shown=usable.NOTHING, mask=None) -> str | None:
    found = usable.flaw(answer, shown, mask)
    return found and found.reason


def described(**changed) -> ItemDescription:
    return read(ItemDescription, "json", json.dumps({**GOOD, **changed}))


PROMPT = (
    'Answer with one JSON object: {"type": "what kind of item it is, in a few words", "topics": ["one to six features, '
    'most telling first"], "audience": "who it is for, in a few words", "text": "the entry itself, at most 80 words"}'
)
FILLED = {
    "type": "garden hose reel",
    "topics": ["wall mount", "brass fittings"],
    "audience": "people with a large garden",
    "text": "A reel of steel that holds thirty metres of hose on a wall and turns by a crank.",
}


def test_an_answer_is_usable():
    assert why(described()) is None
    assert why(described(), usable.shown(ItemDescription, "json", PROMPT)) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"type": "What kind of item it is, in a few words."}, "placeholder"),
        ({"topics": ["one to six features, most telling first"]}, "placeholder"),
        ({"text": "the entry itself at most 80 words"}, "placeholder"),
        ({"text": "good paper for wood, good paper for wood, good paper for wood, good paper for wood"}, "loops"),
        ({"audience": "what kind of item it is in a few words"}, "placeholder"),
        ({"audience": "Who it is for and when they use it"}, "placeholder"),
        ({"text": "A tool."}, "too_short"),
        ({"topics": ["Fine grade", "fine  grade!", "wood"]}, "repeats"),
        ({"text": f"{TEXT} {TEXT}"}, "loops"),
        ({"text": "It is very very very very good for all wood and metal"}, "loops"),
    ],
)
def test_what_is_none_has_its_reason(changed, reason):
    found = usable.flaw(described(**changed), usable.shown(ItemDescription, "json", PROMPT))
    assert found is not None and found.reason == reason


def test_a_filled_example_may_agree_in_a_few_words_and_not_in_a_text():
    shown = usable.shown(ItemDescription, "json", f"Such as {json.dumps(FILLED)}")
    assert shown.examples and set(shown.placeholders["type"]) == {"what kind of item it is"}, "its description"
    assert why(described(type="garden hose reel"), shown) is None, "another hose reel"
    assert why(described(text=FILLED["text"].upper()), shown) == "example"
    assert why(described(topics=FILLED["topics"]), shown) == "example", "all of a list"
    assert why(described(topics=[*FILLED["topics"], "oak"]), shown) is None


def test_other_numbers_make_no_other_answer():
    prompt = '{"items": [{"id": 12, "phrase": "the impression of the item numbered 12"}]}'
    shown = usable.shown(Perceptions, "json", prompt)
    said = Perceptions.model_validate({"items": [{"id": 7, "phrase": "the impression of the item numbered 7"}]})
    assert why(said, shown) == "placeholder"


def test_entries_of_single_words_are_nobodys_example():
    shown = usable.shown(
        ShortTermInterest, "json", json.dumps({"summary": SUMMARY, "keywords": ["wool", "silk", "tea"]})
    )
    other = ShortTermInterest(
        summary="Reads about tea and wears wool on long walks.", keywords=("wool", "tea", "walks")
    )
    assert why(other, shown) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The user takes the item", "too_short"),
        ("Yes, or No.", "too_short"),
        ("Wood, glue. Nails, oak. Pine, ash. Sand, paper. Drill, bits. Saw, hammer.", "no_sentence"),
    ],
)
def test_reasons_are_sentences_of_some_length(text, reason):
    assert why(Reason(text=text)) == reason and why(Rationale(text=text)) == reason


def test_eight_equal_keywords():
    said = LongTermPreference(summary=SUMMARY, keywords=("glue",) * 8)
    assert why(said) == "repeats"


def test_a_thought_is_more_than_its_answer():
    short = rallrec._wrong(Reply("Yes, or No."))
    assert short is not None and short.reason == "too_short"
    said = "Yes. No. " * 10 + "Answer: Yes"
    assert (found := rallrec._wrong(Reply(said))) is not None and found.reason in ("no_sentence", "loops")
    assert rallrec._wrong(Reply("The user liked Alien, and this is near it in all that counts.\nAnswer: Yes")) is None


def test_a_name_that_is_hidden_leaves_reasons():
    def mask(text: str) -> str:
        return text.replace("Deluxe Sanding Sheets for all Orbital Power Sanders of the Workshop", "")

    named = "Deluxe Sanding Sheets for all Orbital Power Sanders of the Workshop, so yes."
    assert why(Rationale(text=named), mask=mask) == "masked_away" and why(Rationale(text=named)) is None
    assert why(Rationale(text=f"{SUMMARY} So {named}"), mask=mask) is None


def test_sections_that_all_say_the_same():
    kind = chain_type(("Look back", "Weigh what counts"))
    fields = dict.fromkeys(kind.model_fields, "The user has bought sandpaper again and again so far.")
    assert why(kind(**fields)) == "repeats"
    assert why(kind(overall_analysis=SUMMARY)) is None, "sections that are missing are for the agent's own check"


def test_the_last_step_of_the_format_line_may_come_back():
    parts = {name: f"the {name}" for name in MinedTemplate.model_fields}
    line = json.dumps({**parts, "steps": ["first step", "item recommendation"]})
    long = "It looks at what came last before it looks at the rest."
    made = MinedTemplate(
        core_logic=long, strengths=long, limits="It knows little of people with only a few events.",
        steps=("Look back", "item recommendation"), rationale="It asks for the latest events first of all.",
    )  # fmt: skip
    assert why(made, usable.shown(MinedTemplate, "json", line)) is None


def test_the_examples_and_placeholders_of_the_house_s_prompts_are_no_answers():
    shown = usable.shown(ItemDescription, "json", describe_item.prompt.instructions)
    told = [{**GOOD, "text": text} for text in (shown.examples or shown.placeholders)["text"]]
    assert told and all(why(described(**one), shown) in ("placeholder", "example") for one in told)


def test_ids_are_those_asked_about():
    request = write_reviews.request(
        1,
        about=About(),
        blanks={"preference": {"summary": "x", "keywords": []}, "candidates": [Item(7, "a"), Item(3, "b")]},
    )
    items = json.loads(request.format.schema)["properties"]["items"]
    assert items["items"]["properties"]["id"]["enum"] == [3, 7] and (items["minItems"], items["maxItems"]) == (2, 2)
    best = json.loads(narrowed(vote.format, {"best": [1, 2, 3]}).schema)["properties"]["best"]
    assert best["items"]["enum"] == [1, 2, 3] and best["maxItems"] == 3 and best["minItems"] == 1
    assert write_reviews.format.schema != request.format.schema and "enum" not in write_reviews.format.schema
