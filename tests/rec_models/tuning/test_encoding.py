"""Tokens of rows: those of inference, never cut in the middle, and the loss on the answer alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from rec_models.tuning.base import Learner, find_base, open_learner
from rec_models.tuning.encoding import Encoder, batch_of, micro_batches
from rec_models.tuning.objectives import objective
from rec_models.tuning.rows import Row
from rec_models.tuning.settings import TINY
from whyrec.errors import UsageError
from whyrec.llm.model import Message, Request


@pytest.fixture
def learner(topic_rows, settings) -> Learner:
    base = find_base("tiny", rows=topic_rows(40, events=12), settings=settings)
    return open_learner(base, TINY, kind="float32", seed=0, quiet=True)


def encoder(learner: Learner, longest: int = 512, *, ended: bool = False) -> Encoder:
    return Encoder(learner.rendering, learner.end, longest, ended)


def test_tokens_are_those_that_inference_sends(learner: Learner, topic_rows) -> None:
    row = topic_rows(3).train[0]
    found = encoder(learner, ended=True).row(row)
    ids, text = learner.rendering.prompt(Request(row.messages))
    assert list(found.prompt) == ids and text.endswith("<|im_start|>assistant\n")
    assert learner.tokenizer.decode(found.answer) == f"{row.answer}<|im_end|>"
    assert [learner.tokenizer.decode([label]) for label in found.labels] == list(row.labels)


def test_what_is_too_long_loses_its_oldest_events_and_nothing_else(learner: Learner, topic_rows) -> None:
    row = topic_rows(3, events=12).train[0]
    whole = encoder(learner).row(row)
    longest = len(whole.prompt) - 10
    cut = encoder(learner, longest).row(row)
    assert len(cut.prompt) + len(cut.answer) <= longest < len(cut.prompt) + 12  # no more is lost than must be
    text = learner.tokenizer.decode(cut.prompt)
    assert 0 < cut.events < 12 and "thing 11" in text and "thing 0\n" not in text
    assert all(
        f"{letter}. {option['title']}" in text for letter, option in zip("ABCD", row.blanks["options"], strict=True)
    )
    assert "reason: " + row.blanks["reason"] in text and (cut.answer, cut.labels) == (whole.answer, whole.labels)


@pytest.mark.parametrize("events", [0, 1, 12])
def test_a_row_that_does_not_fit_is_refused_and_not_cut(learner: Learner, topic_rows, events: int) -> None:
    row = topic_rows(3, events=events).train[0]
    least = encoder(learner).row(row if events < 2 else row.latest(1))
    room = len(least.prompt) + len(least.answer)
    encoder(learner, room).row(row)
    with pytest.raises(UsageError, match=f"takes {room} tokens .* never cut.*--longest {room}"):
        encoder(learner, room - 1).row(row)


def test_a_label_of_several_tokens_and_an_objective_without_labels_are_refused(learner: Learner) -> None:
    row = Row("r", (Message("user", "?"),), "Zyxwv", ("Zyxwv", "No"))
    with pytest.raises(UsageError, match="Labels are read from one token"):
        encoder(learner).row(row)
    with pytest.raises(UsageError, match="--objective completion"):
        objective("letters").check([replace(row, labels=())])
    with pytest.raises(UsageError, match="needs 2 labels"):
        objective("pointwise").check([replace(row, answer="A", labels=("A", "B", "C"))])


def plain_logits(learner: Learner, ids: list[int]) -> Any:
    """Of the model itself, one row without padding: [T, V]."""
    return learner.model(input_ids=torch.tensor([ids])).logits[0]


@pytest.mark.parametrize("name", ["letters", "vocabulary", "completion"])
def test_the_loss_is_that_of_the_answer_alone(learner: Learner, topic_rows, name: str) -> None:
    """Rows of different lengths side by side, against a sum written by hand over rows one by one."""
    aim = objective(name)
    rows = [encoder(learner, ended=aim.ended).row(topic_rows(9, events=n, seed=n).train[0]) for n in (1, 4, 9)]
    with torch.no_grad():
        batch = batch_of(rows, learner.pad, "cpu")
        found = float(aim.loss(learner.logits(batch), batch))
        expected = 0.0
        for row in rows:
            logits_TV = plain_logits(learner, [*row.prompt, *row.answer])
            for place, token in enumerate(row.answer, len(row.prompt) - 1):
                allowed = list(row.labels) if name == "letters" else list(range(logits_TV.shape[1]))
                expected -= float(logits_TV[place][allowed].log_softmax(-1)[allowed.index(token)])
    assert found == pytest.approx(expected, rel=1e-4)
    assert sum(aim.weight(row) for row in rows) == sum(len(row.answer) for row in rows)


def test_no_gradient_comes_from_what_is_asked(learner: Learner, topic_rows) -> None:
    """Another prompt's tokens are never wanted: the loss looks at the answer's columns alone."""
    aim = objective("completion")
    batch = batch_of(
        [encoder(learner, ended=True).row(row) for row in topic_rows(4, events=3).train], learner.pad, "cpu"
    )
    logits_BTV = (
        learner.model(input_ids=batch.ids_BT, attention_mask=batch.mask_BT, position_ids=batch.places_BT)
        .logits.detach()
        .requires_grad_()
    )
    aim.loss(logits_BTV[:, -batch.answers_BK.shape[1] :], batch).backward()
    touched_T = logits_BTV.grad.abs().sum((0, 2)) > 0
    assert touched_T.tolist() == [False] * (len(touched_T) - 2) + [True, True]


def test_a_step_in_pieces_has_every_row_once_and_little_padding(learner: Learner, topic_rows) -> None:
    rows = [encoder(learner).row(row) for n in (1, 5, 9) for row in topic_rows(12, events=n, seed=n).train]
    pieces = micro_batches(rows, 800)
    assert sorted(id(row) for piece in pieces for row in piece) == sorted(map(id, rows))
    assert all(len(piece) * max(row.length for row in piece) <= 800 for piece in pieces) and len(pieces) < len(rows)
    padded = sum(len(piece) * max(row.length for row in piece) for piece in pieces)
    assert padded <= 1.25 * sum(row.length for row in rows)
