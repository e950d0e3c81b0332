"""The harness finds what it is there to find: foreign exceptions, long and endless work, memory, death."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
from fuzzing.odd import CASES, dumps
from fuzzing.pool import Campaign, Worker, shares
from fuzzing.target import all_targets, target


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(tmp_path_factory.mktemp("harness"), hang_cpu=6.0) as one:
        yield one


def judged(worker: Worker, value: str) -> tuple[str, str]:
    found = worker.judge("broken.place", pickle.dumps(value))
    return found.how, found.said


def test_what_is_ours_is_told_from_what_is_not(worker: Worker) -> None:
    assert judged(worker, "fine")[0] == "accepted"
    assert judged(worker, "usage")[0] == "refused"
    assert judged(worker, "model")[0] == "refused"
    assert judged(worker, "bare") == ("no sentence", "whyrec.errors.UsageError: ")
    assert judged(worker, "foreign")[0] == "foreign"
    assert judged(worker, "panic")[0] == "foreign", "what is no Exception, too"
    assert judged(worker, "outside")[0] == "foreign", "only 127.0.0.1 may be reached"


def test_long_work_and_much_memory_are_faults(worker: Worker) -> None:
    how, said = judged(worker, "slow")
    assert how == "slow" and "4 CPU seconds" in said
    assert judged(worker, "memory")[0] == "memory"
    assert judged(worker, "first is slow")[0] == "accepted", "an import is no fault"


def test_smallest_inputs_are_kept_and_an_end_of_the_process_costs_one_input(worker: Worker) -> None:
    found = worker.explore("broken.drawn", seed=0, count=80)
    assert found.inputs >= 80 and found.accepted and found.refused
    by_how = {fault.how: fault for fault in found.faults.values()}
    assert by_how.keys() == {"foreign", "died"}
    assert pickle.loads(by_how["foreign"].value) == 100, "the smallest number that it fails on"
    assert pickle.loads(by_how["died"].value) == 13 and by_how["died"].times == 1
    again = worker.explore("broken.drawn", seed=0, count=80)
    assert again.numbers() | {"seconds": 0, "slowest": 0, "growth": 0} == found.numbers() | {
        "seconds": 0, "slowest": 0, "growth": 0,
    }  # fmt: skip


def test_endless_work_that_does_not_listen_is_ended_and_named(worker: Worker) -> None:
    found = worker.explore("broken.endless", seed=0, count=3)
    (fault,) = found.faults.values()
    assert fault.how == "hang" and pickle.loads(fault.value) == 1


def test_a_campaign_adds_up_and_gives_each_target_its_share() -> None:
    counts = shares({name: target(name) for name in ("broken.drawn", "config.toml")}, 60)
    assert sum(counts.values()) == 60
    found = Campaign(counts, jobs=2).run()
    assert {name: one.inputs for name, one in found.items()} == counts
    assert not found["config.toml"].faults


def test_every_target_survives_its_own_pickling_and_names_its_room() -> None:
    assert len(all_targets()) > 30
    assert all(name == one.name and name.startswith(f"{one.room}.") for name, one in all_targets().items())


def test_odd_json_is_written_as_no_library_would() -> None:
    written = dumps({"a": "@deep", "b": float("nan"), "c": "\ud83d", "d": "@digits"})
    assert b"[" * 5_000 in written and b"NaN" in written and b"\\ud83d" in written and b"0" * 400 in written
    assert "shared" in CASES.parts
