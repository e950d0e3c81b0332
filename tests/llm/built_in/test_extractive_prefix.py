"""What the assistant's turn already holds weighs in a choice of the extractive model, and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.rallrec import Trace, read_out
from graphs.run import How, prepare
from graphs.workflow import workflow
from whyrec.data.generated import world
from whyrec.llm import open_provider, wrap
from whyrec.llm.built_in.extractive import PREFIX_REVISION, Extractive
from whyrec.llm.labels import choice_format, label_probabilities
from whyrec.llm.model import About, AnswerFormat, Message, Request, Sampling
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.records import Event, Item
from whyrec.settings import read_settings

PROMPT = """<history>
1. Trail Boots | categories: Outdoor, Hiking, Boots
2. Wool Socks | categories: Outdoor, Hiking, Socks
</history>
<options>
A. Espresso Grinder | categories: Kitchen, Coffee
B. Hiking Backpack | categories: Outdoor, Hiking, Backpacks
C. Guitar Strings | categories: Music, Strings
</options>"""
ASK = Request((Message("system", "Choose."), Message("user", PROMPT)), Sampling(max_tokens=1))
LABELS = ("A", "B", "C")
COFFEE = "<think>\nThis user has begun to make coffee, and needs a grinder for espresso in the kitchen.\n</think>\n\n"
model = Extractive()


@pytest.mark.parametrize("way", ["logprobs", "score"])
async def test_reasoning_moves_the_choice_to_what_it_speaks_of(way):
    plain = await label_probabilities(model, ASK, LABELS, ways=(way,))
    told = await label_probabilities(model, replace(ASK, prefix=COFFEE), LABELS, ways=(way,))
    assert max(plain, key=plain.get) == "B" and told["A"] > plain["A"] and told["B"] < plain["B"]
    guitar = COFFEE.replace("coffee", "music").replace(
        "a grinder for espresso in the kitchen", "strings for the guitar"
    )
    other = await label_probabilities(model, replace(ASK, prefix=guitar), LABELS, ways=(way,))
    assert other["C"] > told["C"] and other["A"] < told["A"]


@pytest.mark.parametrize("empty", ["", "<think>\n\n</think>\n\n", "\n"])
async def test_a_prefix_that_says_nothing_changes_nothing(empty):
    for request in (ASK, replace(ASK, format=choice_format(LABELS), top_logprobs=5)):
        assert await model.complete(replace(request, prefix=empty)) == await model.complete(request)
    assert await model.score(replace(ASK, prefix=empty), LABELS) == await model.score(ASK, LABELS)


async def test_texts_are_written_as_without_one():
    schema = '{"type":"object","properties":{"text":{"type":"string","maxLength":200}}}'
    for shape in (AnswerFormat("json", "Text", schema), AnswerFormat("text", "Text")):
        asked = replace(ASK, format=shape, sampling=Sampling(max_tokens=80), samples=(0, 1))
        assert await model.complete(replace(asked, prefix=COFFEE)) == await model.complete(asked)


async def test_a_read_out_weighs_words_of_the_trace_as_its_users_turn_does():
    history = [Event(Item(n, str(n), title), 5.0) for n, title in enumerate(("Trail Boots", "Wool Socks"), 1)]
    blanks = {"profile": "", "history": history, "above": "3", "opinion": "", "item": Item(9, "9", "Espresso Grinder")}

    async def asked(text, way):
        return (await read_out(model, Trace(text, "", 9, "stop"), way=way, about=About(), **blanks)).probability

    for way in ("continue", "user_turn"):
        near, far = [await asked(text, way) for text in ("An espresso grinder fits.", "Only boots and socks fit.")]
        assert near > far


async def test_old_answers_of_a_prefix_are_not_taken_from_the_cache(tmp_path):
    class Old(Wrapper):
        """The model as it was, which did not look at a prefix."""

        def __init__(self):
            super().__init__(Extractive())
            self.prefix_revision = ""

        async def complete(self, request):
            return await self.inner.complete(replace(request, prefix=""))

    asked = replace(ASK, format=choice_format(LABELS), top_logprobs=3, prefix=COFFEE)
    settings = read_settings(home=tmp_path)
    found = []
    for inner in (Old(), open_provider("extractive", settings=settings)):
        llm = wrap(inner, settings=settings)
        found.append([(await llm.complete(replace(asked, prefix=p)))[0] for p in (COFFEE, "")])
        await llm.close()
    (old, old_plain), (new, new_plain) = found
    assert (old.cache, new.cache) == ("miss", "miss") and new.logprobs != old.logprobs
    assert new_plain.cache == "hit" and new_plain.logprobs == old_plain.logprobs, "the others are still there"


def test_only_runs_that_continue_a_turn_are_new_runs():
    corpus = world.make(users=120, items=50).corpus
    flow = workflow("rallrec.predict")
    for readout, revision in (("continue", f"{Extractive.revision}/{PREFIX_REVISION}"), ("vote", Extractive.revision)):
        job = prepare(flow.name, corpus=corpus, model="extractive", options=flow.options(readout=readout), how=How())
        assert job.identity.model_revision == revision
