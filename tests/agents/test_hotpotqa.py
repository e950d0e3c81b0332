from __future__ import annotations

import pytest

from agents import hotpotqa
from agents.agent import AnswerError
from whyrec.llm.built_in.scripted import Scripted

ASKED = {"question": "Who painted the harbour?", "steps": [], "number": 1, "most": 7}


async def test_the_prompt_of_a_step_ends_where_the_model_goes_on() -> None:
    llm = Scripted(["I look for it.\nAction 1: Search[harbour]"] * 2)
    await hotpotqa.think_and_act(llm, **ASKED)
    await hotpotqa.act_only(llm, **ASKED)
    assert [request.messages[-1].content[-10:] for request in llm.seen] == ["Thought 1:", "\nAction 1:"]


async def test_a_title_that_stands_only_in_the_examples_is_no_step() -> None:
    llm = Scripted(["I look for the play.\nAction 1: Search[The Pewter Owl]", "No.\nAction 1: Search[harbour]"])
    found = await hotpotqa.think_and_act(llm, **ASKED)
    assert found.text.endswith("Search[harbour]")
    assert "'The Pewter Owl' stands only in the examples" in llm.seen[1].messages[-1].content


@pytest.mark.parametrize(
    "blanks",
    [
        {**ASKED, "question": "Who wrote the pewter owl?"},
        {
            **ASKED,
            "steps": [{"number": 1, "thinks": False, "call": "", "argument": "", "observation": "The Pewter Owl."}],
        },
    ],
)
async def test_a_title_that_was_asked_for_or_shown_is(blanks: dict[str, object]) -> None:
    llm = Scripted(["Somebody wrote it, and its own paragraph will say who.\nAction 1: Search[The Pewter Owl]"])
    assert (await hotpotqa.think_and_act(llm, **blanks)).text


async def test_the_answer_of_an_example_is_none_but_yes_and_no_may_be() -> None:
    read = {"question": "Is it so?", "paragraphs": [{"title": "A", "text": "It is."}]}
    assert (await hotpotqa.answer_directly(Scripted(['{"answer": "no"}']), **read)).answer == "no"
    with pytest.raises(AnswerError, match="'Tessmark' stands only in the examples"):
        await hotpotqa.answer_directly(Scripted(['{"answer": "Tessmark"}'] * 2), **read)
