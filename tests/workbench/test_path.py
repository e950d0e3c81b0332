"""Calls put together again to the byte, and states made again that end in what was stored."""

from __future__ import annotations

import asyncio
import json
import tempfile

import pytest

from graphs.run import How, run
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.built_in.flaky import Faults, Flaky
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.runs import open_run
from whyrec.runs.rows import pack
from whyrec.settings import read_settings
from whyrec.sqlite import connect
from whyrec.workbench.asked import asked
from whyrec.workbench.path import Workplace

DATA = "world:users=12,items=80,seed=3"
OPTIONS = {"pulse.choose": {"selector": "none"}, "pulse.refine": {"rationales": "none"}}


def made(graph: str, model: object = "simulated:1", data: str = DATA):
    from graphs.workflow import workflow

    settings = read_settings()
    opened = open_data(data, settings=settings)
    how = How(settings=settings, world=opened.world)
    flow = workflow(graph)
    report = asyncio.run(
        run(graph, corpus=opened.data, model=model, options=flow.options(**OPTIONS.get(graph, {})), how=how)
    )
    return open_run(settings.home, report.run)


@pytest.mark.parametrize(
    "graph", ["cot_rec.preference", "cot_rec.perception", "pulse.choose", "pulse.refine", "rallrec.predict"]
)
def test_every_call_is_put_together_again_as_it_was_sent(graph):
    reader = made(graph)
    calls = [asked(reader, number) for number in range(1, reader.counts().calls + 1)]
    assert calls and all(call.faithful for call in calls)
    assert all(call.request.messages[-1].role in ("user", "assistant") for call in calls)


@pytest.mark.parametrize("graph", ["cot_rec.preference", "pulse.refine", "scoter.generate"])
def test_states_made_again_end_in_what_was_stored(graph):
    reader = made(graph)
    place = Workplace(reader, read_settings())
    for result in reader.results():
        path = place.path(result.key)
        assert not path.differs and path.stored is not None and not path.ended
        shown = [number for stop in path.stops for number in stop.calls]
        assert sorted(shown) == [call["id"] for call in reader.calls(example=result.key)]
        for stop, following in zip(path.stops, path.stops[1:], strict=False):
            if following.step.number == stop.step.number + 1:
                assert following.step.before == stop.step.after
            for name, value in stop.step.update.items():
                assert getattr(stop.step.after, name) is not None or value is None


@pytest.mark.parametrize("users", [12, 60])  # fewer and more than a rehearsal has
def test_a_graph_with_files_between_its_nodes_is_made_again_whole_and_leaves_none(users, tmp_path, monkeypatch):
    """The files are there until its result has been read."""
    reader = made("scoter.mine", data=f"world:users={users},items=80,seed=3")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(gone))
    (result,) = reader.results()
    path = Workplace(reader, read_settings()).path(result.key)
    assert not path.ended and not path.differs and path.payload["chains"]
    assert sum(len(stop.calls) for stop in path.stops) == reader.counts().calls
    assert not list(gone.iterdir())


def test_repairs_are_calls_of_their_own_and_rendered_with_what_was_wrong():
    settings = read_settings()
    opened = open_data(DATA, settings=settings)
    broken = Flaky(Simulated(opened.world, 1.0), Faults(json=0.5), seed=1)
    reader = made("cot_rec.preference", broken)
    repairs = [asked(reader, call["id"]) for call in reader.calls() if call["turn"]]
    assert repairs and all(call.faithful for call in repairs)
    assert all("This answer cannot be used" in call.request.messages[-1].content for call in repairs)


def test_a_stored_result_that_does_not_follow_from_its_calls_is_said():
    reader = made("cot_rec.preference")
    key = next(iter(reader.results())).key
    writing = connect(reader.path)
    (digest,) = writing.execute("SELECT answer FROM call WHERE example=? ORDER BY id DESC LIMIT 1", (key,)).fetchone()
    answer = json.loads(reader.text(digest))
    lie = pack(json.dumps({**answer, "summary": "Something else entirely."}))
    writing.execute("INSERT INTO text(digest,size,body) VALUES (?,?,?)", lie)
    writing.execute("UPDATE call SET answer=? WHERE answer=?", (lie.digest, digest))
    writing.close()
    path = Workplace(reader, read_settings()).path(key)
    assert path.differs


def test_other_data_and_unknown_users_are_refused():
    reader = made("cot_rec.preference")
    place = Workplace(reader, read_settings())
    assert place.key("u3") == place.key("test/u3") == "test/u3"
    with pytest.raises(UnknownNameError, match="example named 'u333'"):
        place.key("u333")
    writing = connect(reader.path)
    writing.execute("UPDATE run SET data_digest='0000'")
    writing.close()
    with pytest.raises(UsageError, match="is not what it was"):
        Workplace(open_run(read_settings().home, reader.id), read_settings())
