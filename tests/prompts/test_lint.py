from __future__ import annotations

import pytest

import prompts
from prompts.lint import lint

TEXT = prompts.load("cot_rec/write_review").text


def test_the_house_is_clean() -> None:
    assert [said for name in prompts.names() for said in lint(prompts.load(name).text, where=name)] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("answer: Review", "answers: Review", "key 'answers' is unknown"),
        ("</item>", "</item>\n{{ item | item }}", "blank outside a block"),
        ("</item>", "</items>", "closes the block 'items', which is not open"),
        ("</item>\n", "", "the block 'item' is never closed"),
        ("</long_term_preference>\n", "", "opens the block 'item' inside 'long_term_preference'"),
        ("<item>\n", "The <item> is:\n<item>\n", "does not stand on a line of its own"),
        ("</item>", "</item>\n" + "Think. " * 60, "static text follow the first blank"),
        ("The item block", "The <item> block", "say 'the item block'"),
        ("You take", "You take " * 1000, "characters of static text"),
    ],
)
def test_each_bad_habit_is_found(old: str, new: str, said: str) -> None:
    assert old in TEXT
    complaints = lint(TEXT.replace(old, new), where="here.md")
    assert any(said in c and c.startswith("here.md") for c in complaints), complaints
