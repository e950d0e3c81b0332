"""Options of the simulated model: partial reasons in words of their own, and plain names of steps."""

from __future__ import annotations

import random
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
from whyrec.llm.built_in.simulated.steps import kind_of, own_path
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


def interests(user: int) -> tuple[int, int]:
    """The first topic of the first taste and that of the last."""
    n = len(TEST.history(user))
    return int(W.truth.taste(user, 0).argmax()), int(W.truth.taste(user, n).argmax())


def test_the_words_are_nobody_elses() -> None:
    """One topic each, and in no text of a world: what a text tells is told by them alone."""
    assert len(OWN_WORDS) == len(W.truth.topic_words)
    assert len(OWN) == sum(map(len, OWN_WORDS))
    messy = world.make("hard", users=400, items=400, seed=3).corpus
    spoken = set(tokens(messy.catalogue.write_json()))
    assert messy.reviews is not None
    spoken |= set(tokens(" ".join(messy.reviews.to_list())))
    assert not spoken & OWN.keys()


async def test_a_partial_reason_is_about_one_of_the_interests() -> None:
    model = Simulated(W, 1.0, Manner(partial=True))
    old, new = 0, 0
    for user in range(120):
        first, last = interests(user)
        if first == last:
            continue
        told = await topics_said(model, user)
        (main, count), *rest = told.most_common()
        assert sum(n for _, n in rest) <= count
        old, new = old + (main == first), new + (main == last)
    assert old > 10 and new > 10, "drifted users are spoken of by the old interest and by the new"
    assert old + new > 60


async def test_a_whole_reason_uses_the_titles_words_and_the_default_is_as_it_was() -> None:
    assert not await topics_said(Simulated(W, 1.0), 5)
    assert Simulated(W, 1.0).name == "simulated:1"
    about = About(user=W.corpus.user_ids[5], split="test")
    history = TEST.example(5).history
    one, two = [
        await cot_rec.summarise_batch(Simulated(W, 1.0, m), about=about, history=history)
        for m in (Manner(), Manner(plain=True))
    ]
    assert one == two, "names of steps are no matter where no steps are asked for"


def test_own_words_are_read_as_what_they_tell() -> None:
    """A model that chooses understands a reason in those words."""
    model = Simulated(W, 1.0, Manner(partial=True))
    for topic, words in enumerate(OWN_WORDS):
        said = model._facts.words(" ".join(words))
        assert said is not None and int(np.argmax(said)) == topic
    assert Simulated(W, 1.0)._facts.words(" ".join(OWN)) is None


def test_plain_steps_go_by_one_name() -> None:
    def names(*, plain: bool) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for seed in range(200):
            for step in own_path(random.Random(seed), plain=plain):
                found.setdefault(kind_of(step), set()).add(step)
        return found

    assert all(len(steps) == 1 for steps in names(plain=True).values())
    assert sum(map(len, names(plain=False).values())) > 10
    assert names(plain=True).keys() == names(plain=False).keys()


def test_names() -> None:
    assert read_name("0.5") == (0.5, Manner())
    assert read_name("1?paths=plain&reasons=partial") == (1.0, Manner(partial=True, plain=True))
    opened = open_("0.5?reasons=partial", settings=Settings(), world=W)
    assert opened.name == "simulated:0.5?reasons=partial" and read_name(opened.name.partition(":")[2])[1].partial
    with pytest.raises(UnknownNameError, match="reason"):
        read_name("1?reason=partial")
    with pytest.raises(UnknownNameError, match="partial"):
        read_name("1?reasons=partly")
    with pytest.raises(UsageError, match="from 0 to 1"):
        read_name("2?reasons=partial")
    with pytest.raises(UsageError, match="on facts write simulated"):
        open_either("0.5?paths=plain", settings=Settings(), world=facts.load("facts:questions=10"))
