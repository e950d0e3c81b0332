"""The tuner learns what tells of rows it has not seen, and nothing where answers do not hang on questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rec_models.tuning.base import find_base
from rec_models.tuning.rows import Row, Rows, held_out
from rec_models.tuning.tune import tune
from whyrec.data.generated.world_text import TOPICS
from whyrec.llm.model import Message


def outdoors(*, true: bool) -> Rows:
    """Does a person want things of the first four topics? Two words of one topic tell, or an answer drawn by lot."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(300):
        topic = int(rng.integers(len(TOPICS)))
        words = rng.choice(TOPICS[topic].kinds, 2, replace=False)
        yes = topic < 4 if true else bool(rng.integers(2))
        ask = (Message("user", f"Somebody bought {words[0]} and {words[1]}. One of ours?"),)
        rows.append(Row(f"r{number}", ask, "Yes" if yes else "No", ("Yes", "No")))
    return Rows(*held_out(rows, 0.3))


@pytest.mark.parametrize("true", [True, False])
def test_held_out_questions_are_answered_where_there_is_something_to_learn(tiny_settings, settings, true: bool) -> None:
    rows = outdoors(true=true)
    how = replace(tiny_settings, objective="pointwise", epochs=6, rows_per_step=16, stop_on="loss")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _, report = tune(rows, find_base("tiny", rows=rows, settings=settings), how)
    finally:
        torch.set_num_threads(threads)
    found = report.rows[-1].dev
    assert found is not None and found.n == 90 and found.chance == 0.5
    assert found.hr1 > 0.9 if true else 0.3 < found.hr1 < 0.7


@pytest.mark.slow
def test_a_tiny_model_learns_to_choose_by_the_topic_that_a_reason_names(topic_rows, tiny_settings, settings) -> None:
    """Random weights first find how to match words: hundreds of steps. The settings were searched on such rows."""
    rows = topic_rows(1000, events=0, dev=0.15, options=3)
    base = find_base("tiny", rows=rows, settings=settings)
    how = replace(tiny_settings, epochs=24, rows_per_step=24, lr=4e-3, stop_on="hr1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _, report = tune(rows, base, how)
    finally:
        torch.set_num_threads(threads)
    first, last = report.rows[0].dev, report.rows[-1].dev  # the last epoch: nothing was chosen on these rows
    assert first is not None and last is not None and last.n == 150
    assert first.hr1 < 0.5 and last.chance == pytest.approx(1 / 3)
    assert last.hr1 > 0.8 and last.ndcg > 0.9
