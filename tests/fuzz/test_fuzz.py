"""A few odd inputs for every place where something from outside comes in; `make fuzz` draws many.

The same inputs every time. A failure names the smallest input that Hypothesis found for each fault.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fuzzing.pool import Worker
from fuzzing.target import ROOMS, targets

INPUTS = 40  # per share of a target: about a minute for all of them


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(tmp_path_factory.mktemp("fuzz")) as one:
        yield one


@pytest.mark.parametrize("room", ROOMS)
def test_whatever_comes_in_is_taken_or_refused_with_a_sentence(room: str, worker: Worker) -> None:
    faults: list[str] = []
    for name, target in targets(room).items():
        found = worker.explore(name, seed=0, count=max(5, round(INPUTS * target.share)))
        assert found.accepted or not target.accepts, f"{name} accepts nothing, so little of it is tried"
        faults += [f"{name}: {f.how}: {f.said}\n{f.trace}input: {f.shown}" for f in found.faults.values()]
    assert not faults, "\n\n".join([f"{len(faults)} faults:", *faults])
