from __future__ import annotations

import json

from agents.catalogue import describe_item
from agents.cot_rec import rank_titles
from agents.domain import InDomain, domain_of
from agents.wording import Wording
from whyrec.llm.built_in.scripted import Scripted
from whyrec.llm.model import About
from whyrec.records import Domain, Event, Item

FILMS = Domain("film", "films", "viewer", "watched", "watch")
ITEM = Item(1, "a", "Socks")
GOOD = json.dumps(
    {
        "text": "Warm socks of wool for walks in winter, made to last for years and years.",
        "type": "socks",
        "topics": ["wool"],
        "audience": "walkers",
    }
)


def test_a_bare_model_has_the_general_words() -> None:
    llm = Scripted([])
    assert domain_of(llm) == Domain()
    assert domain_of(Wording(seed=3).around(InDomain(llm, FILMS))) == FILMS


async def test_every_prompt_says_the_words_of_the_data_set_and_its_call_records_them() -> None:
    llm = Scripted([GOOD, GOOD])
    await describe_item(InDomain(llm, FILMS), item=ITEM)
    await describe_item(llm, item=ITEM)
    told, bare = llm.seen
    assert "Write the catalogue entry for this film:" in told.messages[-1].content
    assert "Write the catalogue entry for this item:" in bare.messages[-1].content
    assert told.about.blanks is not None and told.about.blanks["domain"]["did"] == "watched"


async def test_a_choice_says_them_too_in_the_opening_and_at_the_end() -> None:
    llm = Scripted(["A", "A"])
    history = (Event(ITEM),)
    await rank_titles(InDomain(llm, FILMS), ("A", "B"), about=About(), history=history, options=(ITEM, ITEM))
    (request,) = llm.seen[-1:]
    assert "A viewer here is a person who watched some of the films." in request.messages[0].content
    assert "will this viewer watch next?" in request.messages[-1].content
