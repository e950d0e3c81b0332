"""Every prompt of the house has an agent, and prompt, answer type and agent agree."""

from __future__ import annotations

import importlib
import json
import pkgutil

import pytest

import agents
import prompts
from agents import scoter
from agents.agent import Agent
from agents.answers import complaints
from agents.cot_rec import LongTermPreference, OfficialJson, Perception, official_preference_perception
from agents.examples import shown_answers
from agents.ranker import Chooser
from whyrec.llm.model import Unusable
from whyrec.records import Item

MODULES = [importlib.import_module(f"agents.{m.name}") for m in pkgutil.iter_modules(agents.__path__)]
HELD = [v for m in MODULES for v in vars(m).values()]
AGENTS = {v.prompt_name: v for v in HELD if isinstance(v, Agent)}
AGENTS |= {v.prompt_name: v._agent for v in HELD if isinstance(v, Chooser)}
MADE_FOR_A_TEMPLATE = [scoter.teach(("User profile", "Item recommendation")).prompt_name]


def test_every_prompt_has_an_agent() -> None:
    assert sorted([*AGENTS, *MADE_FOR_A_TEMPLATE]) == prompts.names()


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_prompt_and_answer_type_agree(name: str) -> None:
    agent = AGENTS[name]
    assert agents.answer_types()[agent.prompt.answer] is agent.answer
    static = "\n".join((*(m.content for m in agent.prompt.opening), agent.prompt.body))
    assert complaints(agent.answer, agent.prompt.format, static) == []


@pytest.mark.parametrize("name", [n for n in prompts.names() if prompts.load(n).format == "json"])
def test_the_shape_shown_by_the_example_has_the_fields_of_the_schema(name: str) -> None:
    agent = AGENTS[name]
    for text in shown_answers(agent.prompt):
        shown = json.loads(text)
        assert list(shown) == list(agent.answer.model_fields)
        for field in ("items", "candidate_perception"):
            if field in shown:
                schema = json.loads(agent.format.schema)["properties"][field]["items"]
                assert list(shown[field][0]) == list(schema["properties"])


def test_the_example_of_the_official_prompt_is_a_valid_answer() -> None:
    answer = OfficialJson.model_validate_json(shown_answers(official_preference_perception.prompt)[0])
    assert official_preference_perception.check is not None
    assert official_preference_perception.check(answer, {"candidates": [Item(31, "x"), Item(7, "y")]}) is None
    said = official_preference_perception.check(answer, {"candidates": [Item(8, "x")]})
    assert (
        isinstance(said, Unusable)
        and said.reason == "wrong_ids"
        and said.said.startswith("candidate_temp_perception must have exactly one entry")
    )


def test_what_changed_may_be_left_out_of_a_merge() -> None:
    merged = LongTermPreference.model_validate({"summary": "x", "keywords": list("abcde")})
    assert (merged.kept, merged.dropped, merged.added) == ((), (), ())


def test_a_perception_has_at_most_eight_words() -> None:
    with pytest.raises(ValueError, match="at most 8 words"):
        Perception(phrase="one two three four five six seven eight nine")
