"""The runner settles every example exactly once, whatever breaks, and its numbers add up."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from graphs.engine.job import How, Stop
from graphs.engine.start import GONE_AFTER
from graphs.run import prepare, run
from graphs.workflow import workflow
from whyrec.errors import LockedError, UsageError
from whyrec.llm import Budget
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.built_in.flaky import Faults, Flaky
from whyrec.llm.model import Disconnected, Refused, ServerFault
from whyrec.runs import Run, open_run
from whyrec.settings import read_settings

NAME = "cot_rec.preference"
FLOW = workflow(NAME)


def adds_up(report) -> None:
    """Every number of a report agrees with every other and with what is stored."""
    calls = report.now.calls
    assert report.done + report.failed + report.left == report.examples
    assert calls.calls == calls.asked + calls.hits + calls.joined + calls.errors
    assert report.now.in_flight == 0
    stored = open_run(read_settings().home, report.run)
    try:
        counts = stored.counts()
        keys = [r.key for r in stored.results()]
    finally:
        stored.close()
    assert (counts.done, counts.failed) == (report.done, report.failed) and len(keys) == len(set(keys))
    assert counts.calls == counts.asked + counts.hits + counts.joined + counts.errors


def digest(report) -> str:
    stored = open_run(read_settings().home, report.run)
    try:
        return stored.digest()
    finally:
        stored.close()


async def test_running_again_asks_nothing_and_more_users_extend_the_run(world, how, counting):
    model = counting()
    first = await run(NAME, corpus=world.corpus, model=model, users=20, how=how())
    asked = len(model.seen)
    again = await run(NAME, corpus=world.corpus, model=model, users=20, how=how())
    assert len(model.seen) == asked and again.run == first.run and again.now.before == 20
    more = await run(NAME, corpus=world.corpus, model=model, how=how(cache=False))
    assert more.run == first.run and (more.done, more.now.before, more.left) == (60, 20, 0)
    assert {r.about.example for r in model.seen[asked:]} == {f"test/u{u}" for u in range(20, 60)}
    adds_up(more)


async def test_new_starts_beside_and_is_served_from_the_cache(world, how, counting):
    model = counting()
    first = await run(NAME, corpus=world.corpus, model=model, users=10, how=how())
    asked = len(model.seen)
    second = await run(NAME, corpus=world.corpus, model=model, users=10, how=how(new=True))
    assert second.run == f"{first.run}-2" and len(model.seen) == asked
    assert second.now.calls.hits == second.now.calls.calls == asked
    assert digest(first) == digest(second)


async def test_what_changes_answers_is_another_run_and_what_does_not_is_not(world, how):
    async def run_of(options=None, **given):
        return (await run(NAME, corpus=world.corpus, model="echo", options=options, users=3, how=how(**given))).run

    first = await run_of()
    assert await run_of(concurrency=3, budget=Budget(calls=100), cache=False) == first
    others = {
        await run_of(FLOW.options(batch=5)),
        await run_of(FLOW.options(split="valid")),
        (await run(NAME, corpus=world.corpus, model="extractive", users=3, how=how())).run,
    }
    assert len(others) == 3 and first not in others


async def test_only_a_window_of_examples_is_held(world, how, counting, monkeypatch):
    """The feed is lazy: a state is built when its worker is free, and settled before the worker's next."""
    from graphs.cot_rec.preference import Folds

    state, built, settled, most = Folds.state, [], [], 0

    def counted(self, index):
        nonlocal most
        built.append(index)
        most = max(most, len(built) - len(settled))
        return state(self, index)

    record = Run.record
    monkeypatch.setattr(Folds, "state", counted)
    monkeypatch.setattr(Run, "record", lambda self, results: (settled.extend(results), record(self, results))[1])
    model = counting(delay=0.002)
    report = await run(NAME, corpus=world.corpus, model=model, how=how(concurrency=5, cache=False))
    assert report.exit_code == 0 and model.most == most == 5
    assert built == list(range(60)), "in order"


async def test_a_failed_example_has_a_reason_and_is_asked_anew(world, how, counting):
    def wrong_for_u3(request, nth):
        return "I would rather not." if request.about.user == "u3" and request.retry < 2 else None

    model = counting(fails=wrong_for_u3)
    first = await run(NAME, corpus=world.corpus, model=model, users=10, how=how())
    assert (first.done, first.failed, first.left, first.exit_code) == (9, 1, 0, 1)
    assert first.now.calls.repairs == 1, "the repair was shown the error once"
    adds_up(first)
    asked = len(model.seen)
    same = await run(NAME, corpus=world.corpus, model=model, users=10, how=how())
    assert len(model.seen) == asked and (same.done, same.failed) == (9, 1), "not retried without being told"
    still = await run(NAME, corpus=world.corpus, model=model, users=10, how=how(retry_failed=True))
    assert still.failed == 1 and {r.retry for r in model.seen[asked:]} == {1}, "asked anew, past the cache"
    asked = len(model.seen)
    mended = await run(NAME, corpus=world.corpus, model=model, users=10, how=how(retry_failed=True))
    assert (mended.done, mended.failed, mended.exit_code) == (10, 0, 0)
    assert {(r.retry, r.about.user) for r in model.seen[asked:]} == {(2, "u3")}
    adds_up(mended)
    stored = open_run(read_settings().home, mended.run)
    result = stored.result("test/u3")
    stored.close()
    assert result is not None and (result.status, result.generation) == ("done", 2)


async def test_the_reason_of_a_failure_is_kept(world, how, counting):
    model = counting(fails=lambda request, nth: Refused("too long") if request.about.user == "u1" else None)
    report = await run(NAME, corpus=world.corpus, model=model, users=5, how=how())
    stored = open_run(read_settings().home, report.run)
    assert [(r.key, r.reason) for r in stored.results("failed")] == [("test/u1", "Refused: too long")]
    stored.close()
    adds_up(report)


async def test_a_budget_is_never_passed_and_the_rest_is_left(world, how, counting):
    model = counting(delay=0.001)
    report = await run(NAME, corpus=world.corpus, model=model, how=how(budget=Budget(calls=30), concurrency=256))
    assert len(model.seen) <= 30 and report.ending == "budget" and report.exit_code == 1
    assert report.left > 0 and report.failed == 0 and "Raise it" in report.reason
    adds_up(report)
    rest = counting()
    done = await run(NAME, corpus=world.corpus, model=rest, how=how())
    assert done.exit_code == 0 and done.left == 0
    all_calls = prepare(NAME, corpus=world.corpus, model=rest, how=how()).inputs.calls()
    assert len(model.seen) + len(rest.seen) <= all_calls, "after a restart only what is missing is asked (spec 8.11)"
    adds_up(done)


async def test_one_stop_finishes_what_is_in_flight(world, how, counting):
    stop = Stop()

    def at_the_twentieth(request, nth):
        if nth >= 20 and not stop.asked:
            stop.ask()

    model = counting(delay=0.005, fails=at_the_twentieth)
    report = await run(NAME, corpus=world.corpus, model=model, how=how(stop=stop, concurrency=8))
    assert report.ending == "interrupted" and report.exit_code == 130
    assert 0 < report.done < 60 and report.failed == 0 and report.left == 60 - report.done
    assert {r.about.example for r in model.seen} == {f"test/u{u}" for u in range(report.done)}, "all begun are done"
    adds_up(report)
    rest = counting()
    whole = await run(NAME, corpus=world.corpus, model=rest, how=how())
    assert whole.exit_code == 0 and whole.now.before == report.done
    fresh = await run(NAME, corpus=world.corpus, model="echo", how=how(new=True, cache=False))
    assert digest(whole) == digest(fresh), "as an unbroken run"


async def test_two_stops_drop_what_is_in_flight(world, how, counting):
    stop = Stop()
    model = counting(delay=0.2)

    async def twice():
        await asyncio.sleep(0.1)
        stop.ask()
        stop.ask()

    asking = asyncio.create_task(twice())
    report = await run(NAME, corpus=world.corpus, model=model, how=how(stop=stop, concurrency=4))
    await asking
    assert (report.ending, report.done, report.left) == ("interrupted", 0, 60)
    adds_up(report)


async def test_a_server_that_goes_away_stops_the_run_and_fails_nothing(world, how, counting):
    model = counting(fails=lambda request, nth: Refused("no such model") if nth > 12 else None)
    report = await run(NAME, corpus=world.corpus, model=model, how=how(concurrency=4))
    assert report.ending == "no server" and report.exit_code == 2 and report.failed == 0
    assert "no such model" in report.reason and f"{GONE_AFTER} examples in a row" in report.reason
    assert report.left == 60 - report.done > 0
    adds_up(report)


async def test_examples_that_were_merely_unlucky_are_recorded_as_failed(world, how, counting):
    model = counting(fails=lambda request, nth: Refused("no") if request.about.user in ("u58", "u59", "u4") else None)
    report = await run(NAME, corpus=world.corpus, model=model, how=how())
    assert (report.done, report.failed, report.left) == (57, 3, 0)
    adds_up(report)


async def test_a_dead_server_is_found_before_the_first_example(world, how, counting):
    model = counting()

    async def ping():
        raise Disconnected("Nothing listens at 127.0.0.1:1. Start the server.")

    model.ping = ping
    with pytest.raises(UsageError, match="Start the server"):
        await run(NAME, corpus=world.corpus, model=model, how=how())
    assert not model.seen and not (read_settings().home / "runs").exists()


async def test_a_bug_stops_the_run_and_keeps_what_is_done(world, how, counting, monkeypatch):
    from graphs.cot_rec.preference import Folds

    state = Folds.state

    def broken(self, index):
        if index == 30:
            raise ZeroDivisionError("a bug")
        return state(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Folds, "state", broken)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await run(NAME, corpus=world.corpus, model="echo", how=how(concurrency=1))
    report = await run(NAME, corpus=world.corpus, model="echo", how=how())
    assert report.now.before == 30 and report.exit_code == 0


async def test_two_writers_of_one_run_are_refused(world, how):
    job = prepare(NAME, corpus=world.corpus, model="echo", how=how())
    held = Run.open(read_settings().home, job.identity)
    try:
        with pytest.raises(LockedError):
            await run(NAME, corpus=world.corpus, model="echo", how=how())
    finally:
        held.close()


async def test_progress_is_told_and_ends_complete(world, how):
    told = []
    report = await run(NAME, corpus=world.corpus, model="echo", how=how(progress=told.append))
    assert told[-1] == report.now and told[-1].left == 0 and told[-1].done == 60
    assert told[-1].rate > 0 and told[-1].eta_s == 0.0
    assert told[0].eta_s is None and told[0].examples == 60


async def test_on_a_bad_day_the_numbers_still_add_up(world, how, counting, monkeypatch):
    """Show 7 in small: malformed answers, timeouts, 429, 500, cut answers, resets; retries without their waits."""
    from whyrec.llm.wrappers import retrying

    monkeypatch.setattr(retrying, "wait_random_exponential", lambda **_: lambda state: 0.0)
    inner = counting()
    model = Flaky(inner, Faults(json=0.2, timeout=0.05, overloaded=0.05, error=0.05, truncated=0.02, reset=0.02))
    report = await run(NAME, corpus=world.corpus, model=model, how=how(concurrency=256))
    calls = report.now.calls
    assert report.left == 0 and report.done + report.failed == 60 and report.done > 50
    assert {"json", "timeout", "overloaded", "error"} <= set(model.met)
    assert calls.repairs > 0 and calls.retries > 0
    adds_up(report)
    sent = len(inner.seen) + sum(model.met[k] for k in ("timeout", "overloaded", "error", "reset"))
    assert sent == calls.asked + calls.retries + calls.errors, "every send is accounted for"
    again = await run(NAME, corpus=world.corpus, model=Flaky(counting(), Faults(), seed=0), how=how())
    assert again.run != report.run, "another model is another run"


async def test_a_budget_holds_on_a_bad_day_with_256_in_flight(world, how, counting, monkeypatch):
    from whyrec.llm.wrappers import retrying

    monkeypatch.setattr(retrying, "wait_random_exponential", lambda **_: lambda state: 0.0)
    inner = counting(delay=0.001)
    model = Flaky(inner, Faults(json=0.2, timeout=0.05, overloaded=0.05, error=0.05, truncated=0.02))
    report = await run(NAME, corpus=world.corpus, model=model, how=how(concurrency=256, budget=Budget(calls=40)))
    sent = len(inner.seen) + sum(model.met[k] for k in ("timeout", "overloaded", "error"))
    assert sent <= 40 and report.ending == "budget"
    adds_up(report)


async def test_errors_of_the_server_are_failures_once_retries_are_spent(world, how, counting, monkeypatch):
    from whyrec.llm.wrappers import retrying

    monkeypatch.setattr(retrying, "wait_random_exponential", lambda **_: lambda state: 0.0)
    model = counting(fails=lambda request, nth: ServerFault("500") if request.about.user == "u0" else None)
    report = await run(NAME, corpus=world.corpus, model=model, users=4, how=how())
    assert (report.done, report.failed) == (3, 1) and report.now.calls.errors == 1
    assert sum(r.about.user == "u0" for r in model.seen) == 6
    adds_up(report)


def test_how_is_no_part_of_the_identity(world):
    """A field added to How must not change answers; options must be JSON-able."""
    assert {f.name for f in dataclasses.fields(How)} == {
        "settings", "concurrency", "new", "retry_failed", "cache", "budget", "limits", "world", "command", "progress",
        "stop", "say", "asks", "keep_going",
    }  # fmt: skip
    job = prepare(NAME, corpus=world.corpus, model=Echo(), how=How())
    assert job.identity.options["batch"] == 10 and job.identity.digest
