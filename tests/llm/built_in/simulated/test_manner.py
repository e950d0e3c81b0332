"""The option of the simulated model: partial reasons in words of their own."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from agents import cot_rec
from whyrec.data.generated import facts, world
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.built_in.blocks import tokens
from whyrec.llm.built_in.simulated.facts import open_either
from whyrec.llm.built_in.simulated.manner import OWN_WORDS, Manner, read_name
from whyrec.llm.built_in.simulated.model import Simulated, open_
from whyrec.llm.model import About
from whyrec.settings import Settings

W = world.make("easy", users=300, items=200)
TEST = SplitView(W.corpus, "test")
OWN = {word: t for t, words in enumerate(OWN_WORDS) for word in words}


async def topics_said(model: Simulated, user: int) -> Counter[int]:
    """Topics of the own words in what is said of a user's whole history."""
    about = About(user=W.corpus.user_ids[user], split="test")
    told = await cot_rec.summarise_batch(model, about=about, history=TEST.example(user).history)
    return Counter(OWN[w] for w in tokens(told.model_dump_json()) if w in OWN)


def test_the_words_are_nobody_elses() -> None:
    """One topic each, and in no text of a world: what a text tells is told by them alone."""
    assert len(OWN_WORDS) == len(W.truth.topic_words)
    assert len(OWN) == sum(map(len, OWN_WORDS))
    messy = world.make("hard", users=400, items=400, seed=3).corpus
    spoken = set(tokens(messy.catalogue.write_json()))
    assert messy.reviews is not None
    spoken |= set(tokens(" ".join(messy.reviews.to_list())))
    assert not spoken & OWN.keys()


async def test_a_partial_reason_is_about_one_of_the_interests_shown() -> None:
    """Which one is drawn from what the prompt shows, not from what the user is."""
    model, share = Simulated(W, 1.0, Manner(partial=True)), []
    for user in range(120):
        told = await topics_said(model, user)
        (main, count), *rest = told.most_common()
        assert sum(n for _, n in rest) <= count
        share.append(np.mean([W.truth.item_topics[e.item.index] for e in TEST.example(user).history], axis=0)[main])
    assert np.mean(share) > 0.3, "by lot it would be an eighth"


async def test_a_whole_reason_uses_the_titles_words_and_the_default_is_as_it_was() -> None:
    assert not await topics_said(Simulated(W, 1.0), 5)
    assert Simulated(W, 1.0).name == "simulated:1"


def test_own_words_are_read_as_what_they_tell() -> None:
    """A model that chooses understands a reason in those words."""
    model = Simulated(W, 1.0, Manner(partial=True))
    for topic, words in enumerate(OWN_WORDS):
        assert {model._facts.topic_of[word] for word in words} == {topic}
    assert not OWN.keys() & Simulated(W, 1.0)._facts.topic_of.keys()


def test_names() -> None:
    assert read_name("0.5") == (0.5, Manner())
    assert read_name("1?reasons=partial") == (1.0, Manner(partial=True))
    opened = open_("0.5?reasons=partial", settings=Settings(), world=W)
    assert opened.name == "simulated:0.5?reasons=partial" and read_name(opened.name.partition(":")[2])[1].partial
    with pytest.raises(UnknownNameError, match="reason"):
        read_name("1?reason=partial")
    with pytest.raises(UnknownNameError, match="paths"):
        read_name("1?paths=plain")
    with pytest.raises(UnknownNameError, match="partial"):
        read_name("1?reasons=partly")
    with pytest.raises(UsageError, match="from 0 to 1"):
        read_name("2?reasons=partial")
    with pytest.raises(UsageError, match="on facts write simulated"):
        open_either("0.5?reasons=partial", settings=Settings(), world=facts.load("facts:questions=10"))
