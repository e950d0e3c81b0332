"""Checkpoints: the states are those of a run without them; a fork's states differ and the original's stay."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from graphs.engine.debug import Exactly, Session, kinds
from graphs.engine.steps import steps
from graphs.run import How, prepare
from graphs.services import Services
from graphs.workflow import workflow
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

OPTIONS = {"pulse.refine": {"rationales": "none"}}


def prepared(name: str, tmp_path: Path):
    settings = read_settings()
    opened = open_data("world:users=20,items=80", settings=settings)
    flow = workflow(name)
    how = How(settings=settings, world=opened.world)
    job = prepare(name, corpus=opened.data, model="simulated:1", options=flow.options(**OPTIONS.get(name, {})), how=how)
    services = Services(dict.fromkeys(flow.roles, job.model), job.parts)
    return job, services, Session(flow, services, tmp_path / "states.sqlite")


@pytest.mark.parametrize("name", ["cot_rec.preference", "pulse.refine", "rallrec.predict", "scoter.generate"])
async def test_states_under_checkpoints_are_those_without(name, tmp_path):
    job, services, session = prepared(name, tmp_path)
    index = int(job.inputs.indices[3])
    await session.start(job.inputs.state(index))
    moments = await session.moments()
    without = {step.number: step.after async for step in steps(job.flow, job.inputs.state(index), services)}
    assert [moment.state for moment in moments] == [job.inputs.state(index), *without.values()]
    assert moments[0].node == "start" and moments[-1].following == ()


async def test_a_fork_goes_its_own_way_and_the_original_stays(tmp_path):
    job, _, session = prepared("cot_rec.preference", tmp_path)
    many = max(job.inputs.indices, key=lambda i: len(job.inputs.state(int(i)).task.batches))
    await session.start(job.inputs.state(int(many)), before=["merge"])
    stopped = await session.moments()
    assert stopped[-1].following == ("merge",)
    at = stopped[-1].number
    await session.go(at)
    before = await session.moments()
    assert before[-1].following == () and before[-1].state.merges >= 1
    await session.go(at, change={"long": {"summary": "Only sonnets.", "keywords": ["sonnets"]}})
    after = await session.moments()
    assert after[: len(before)] == before
    edited, last = after[len(before)], after[-1]
    assert edited.node == "edit" and edited.parent == at and edited.state.long.summary == "Only sonnets."
    assert last.following == () and last.state.long != before[-1].state.long
    assert after[at].state == stopped[at].state


async def test_typos_are_sentences(tmp_path):
    job, _, session = prepared("cot_rec.preference", tmp_path)
    state = job.inputs.state(int(job.inputs.indices[0]))
    with pytest.raises(UnknownNameError, match=r"node in cot_rec\.preference named 'merg'"):
        await session.start(state, before=["merg"])
    await session.start(state)
    with pytest.raises(UnknownNameError, match="state named '99'"):
        await session.go(99)
    with pytest.raises(UnknownNameError, match=r"field of the state.*'kk'"):
        await session.go(0, change={"kk": 1})
    with pytest.raises(UsageError, match="valid integer"):
        await session.go(0, change={"k": "abc"})
    with pytest.raises(UsageError, match="is the last of its way"):
        await session.go(len(await session.moments()) - 1)


def test_a_session_from_elsewhere_brings_no_code():
    reader = Exactly(kinds(workflow("cot_rec.preference").state))
    with pytest.raises(UsageError, match=r"holds posix.system"):
        reader.loads_typed(("pickle", pickle.dumps(_Evil())))


class _Evil:
    def __reduce__(self):
        import os

        return os.system, ("true",)
