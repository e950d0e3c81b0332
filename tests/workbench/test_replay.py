"""A call sent again, changed: what was changed is what is sent, and the run stays as it was."""

from __future__ import annotations

import asyncio

import pytest

import prompts
from graphs.run import How, run
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget
from whyrec.llm.built_in.scripted import Scripted
from whyrec.runs import RunReader, open_run
from whyrec.settings import read_settings
from whyrec.workbench import replay as bench
from whyrec.workbench.asked import asked

DATA = "world:users=6,items=80,seed=3"


@pytest.fixture
def made() -> RunReader:
    settings = read_settings()
    opened = open_data(DATA, settings=settings)
    how = How(settings=settings, world=opened.world)
    report = asyncio.run(run("cot_rec.preference", corpus=opened.data, model="simulated:1", how=how))
    return open_run(settings.home, report.run)


def again(run: RunReader, change: bench.Change, call: int = 1) -> bench.Replayed:
    return asyncio.run(bench.replay(run, call, change, settings=read_settings()))


def test_the_same_question_to_the_same_model_gets_the_same_answer_and_leaves_the_run_alone(made):
    before = made.path.read_bytes(), made.counts(), made.digest()
    one = again(made, bench.Change())
    assert one.said[0].text == made.call(1)["answer"] and one.messages == asked(made, 1).request.messages
    assert (made.path.read_bytes(), made.counts(), made.digest()) == before


def test_what_is_changed_is_what_is_sent(made, monkeypatch):
    sent = []

    class Listening(Scripted):
        async def complete(self, request):
            sent.append(request)
            return await super().complete(request)

    monkeypatch.setattr(bench, "open_provider", lambda name, **_: Listening(["A", "B", "C"]))
    change = bench.read_change(
        ["temperature=0.5", "max_tokens=9"],
        llm="scripted:x",
        replaced=(("name nothing that may come next", "in one word"),),
        times=3,
    )
    one = again(made, change)
    assert [said.text for said in one.said] == ["A", "B", "C"]
    assert sent[0].samples == (0, 1, 2) and sent[0].sampling.temperature == 0.5 and sent[0].sampling.max_tokens == 9
    assert (
        "in one word" in sent[0].messages[0].content
        and "name nothing that may come next" not in sent[0].messages[0].content
    )
    assert sent[0].messages[-1] == asked(made, 1).request.messages[-1]
    kept = bench.Store(made).all(call=1)
    assert kept == [one] and kept[0].change["times"] == 3 and bench.Store(made).all(call=2) == []


def test_an_edited_prompt_is_filled_with_the_same_blanks(made):
    text = prompts.load("cot_rec/summarise_batch").text
    edited = text.replace(
        "You say what one person was interested in during a stretch of time.", "Say what this user wants."
    )
    one = again(made, bench.Change(prompt=edited))
    assert one.messages[0].content.startswith("Say what this user wants. A ")
    assert one.messages[-1] == asked(made, 1).request.messages[-1]
    with pytest.raises(UsageError, match="cannot be rendered"):
        again(made, bench.Change(prompt=prompts.load("cot_rec/merge_preference").text))
    with pytest.raises(UsageError, match="not a usable prompt"):
        again(made, bench.Change(prompt="nothing"))


def test_a_model_that_does_not_answer_is_kept_with_its_reason(made):
    one = again(made, bench.Change(llm="openai:nobody@http://127.0.0.1:9/v1"))
    assert one.said[0].error and not one.said[0].text


def test_budgets_and_typos_refuse(made):
    spent = asyncio.run(bench.replay(made, 1, bench.Change(), settings=read_settings(), budget=Budget(calls=0)))
    assert "BudgetSpent" in spent.said[0].error
    with pytest.raises(UsageError, match="is nowhere in the messages"):
        again(made, bench.Change(replaced=(("no such sentence", "x"),)))
    for wrong in ("temperature=nan", "temperature=-3", "top_p=7", "max_tokens=-1", "max_tokens=0", "seed=-1"):
        with pytest.raises(UsageError, match="is a number"):
            bench.read_change([wrong])
    with pytest.raises(UnknownNameError, match="Did you mean 'temperature'"):
        bench.read_change(["temprature=1"])
    with pytest.raises(UsageError, match="is a number"):
        bench.read_change(["seed=one"])
    with pytest.raises(UsageError, match="key=value"):
        bench.read_change(["seed"])
    with pytest.raises(UsageError, match="no call 999"):
        again(made, bench.Change(), call=999)
