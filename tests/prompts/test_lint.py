from __future__ import annotations

import pytest

import agents
import prompts
from agents import examples
from prompts.lint import lint

TEXT = prompts.load("cot_rec/write_review").text
EXAMPLE = next(line for line in TEXT.splitlines() if line.startswith('{"text"'))
HEAD, LAST = TEXT[: TEXT.rindex("# user")], TEXT[TEXT.rindex("# user") :]


def test_the_house_is_clean() -> None:
    assert [said for name in prompts.names() for said in lint(prompts.load(name).text, where=name)] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</item>", "</item>\n{{ item | item }}", "blank outside a block"),
        ("</item>", "</items>", "closes the block 'items', which is not open"),
        ("</item>\n", "", "the block 'item' is never closed"),
        ("</long_term_preference>\n", "", "opens the block 'item' inside 'long_term_preference'"),
        ("<item>\n", "The <item> is:\n<item>\n", "does not stand on a line of its own"),
        ("<item>\n", "Think. " * 60 + "\n<item>\n", "static text follow the first blank"),
        ("Write the review", "Think. " * 90 + "Write the review", "its instruction at the end has"),
        (LAST[LAST.index("Write the review") :], "", "nothing stands after its last block"),
        ("this {{ domain.item }}:", "this product:", "it says 'this product' of whatever data set it is"),
        ("Write the review", "A partial match is likely. Write the review", "pushes the model to hedge"),
    ],
)
def test_each_bad_habit_of_the_last_section_is_found(old: str, new: str, said: str) -> None:
    assert old in LAST
    complaints = lint(HEAD + LAST.replace(old, new), where="here.md")
    assert any(said in c and c.startswith("here.md") for c in complaints), complaints


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("answer: Review", "answers: Review", "key 'answers' is unknown"),
        ("thinking: off\n", "", "does not say thinking: off, on or either"),
        ("thinking: off", "thinking: sometimes", "thinking must be one of off, on, either, not 'sometimes'"),
        ("off\nsampling: {", "either\nsampling: {thinking_tokens: 64, ", "a thought gets 64 tokens"),
        ("The item block", "The <item> block", "say 'the item block'"),
        ("You play", "You play " * 1000, "characters of static text"),
        ("You play one person", "Play the user, as in the next message,", "speaks of 'next message'"),
        ("what the person likes.", "what the person likes, most of which may be wrong.", "pushes the model to hedge"),
        ("-2 clearly not.\n", "-2 clearly not\n", "does not end as a sentence"),
        ("A {{ domain.user }} here", "The user here", "it says 'The user'"),
        ("You play one", "{{ item | item }} You play one", "a blank stands in its system section"),
    ],
)
def test_each_bad_habit_before_it_is_found(old: str, new: str, said: str) -> None:
    assert old in HEAD
    complaints = lint(HEAD.replace(old, new) + LAST, where="here.md")
    assert any(said.lower() in c.lower() and c.startswith("here.md") for c in complaints), complaints


def test_a_prompt_about_items_needs_words_for_them() -> None:
    bare = "\n".join(line for line in TEXT.splitlines() if not line.startswith("  domain:"))
    for word in ("item", "items", "user", "did", "do"):
        bare = bare.replace(f"{{{{ domain.{word} }}}}", "thing")
    assert any("without its words" in said for said in lint(bare))


def test_numbers_may_stand_in_the_instruction() -> None:
    text = prompts.load("cot_rec/write_reviews").text
    assert "{{ candidates | ids }}" in text[text.rindex("</candidates>") :]


@pytest.mark.parametrize("name", prompts.names())
def test_the_answers_that_are_shown_can_be_taken(name: str) -> None:
    prompt = prompts.load(name)
    assert examples.complaints(prompt, agents.answer_types()[prompt.answer]) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"stance": 2}', '"stance": 5}', "is no answer: stance"),
        (EXAMPLE, '{"text": "Fine.", "stance": 2}', "would be refused as an answer"),
        ("Firing my own pots", "Watching this film", "speaks of a film"),
        ("max_tokens: 300", "max_tokens: 60", "max_tokens should be at least"),
        ("is just what I hoped", "is, " + "and so on " * 40 + "what I hoped", "is too long in text"),
    ],
)
def test_an_example_that_could_not_be_taken_is_told(old: str, new: str, said: str) -> None:
    assert old in TEXT
    prompt = prompts.parse(TEXT.replace(old, new))
    complaints = examples.complaints(prompt, agents.answer_types()["Review"])
    assert any(said in c for c in complaints), complaints


def test_a_format_has_to_be_shown() -> None:
    prompt = prompts.parse(TEXT[: TEXT.index("# user")] + LAST)
    (said,) = examples.complaints(prompt, agents.answer_types()["Review"])
    assert said.startswith("it shows no filled answer")
