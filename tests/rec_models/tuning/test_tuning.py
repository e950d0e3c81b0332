"""How a tuning goes: the same whether it was killed or not, by dev rows and never by test rows."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rec_models.tuning.adapter import save, settings_told
from rec_models.tuning.base import Base, find_base, open_learner
from rec_models.tuning.rows import Row, Rows
from rec_models.tuning.settings import TuneSettings
from rec_models.tuning.tune import Loop, identity_of, rate, tune
from whyrec.errors import LeakageError, UnknownNameError, UsageError
from whyrec.llm.model import Message
from whyrec.precision import Choice


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(folder: Path, rows: Rows, base: Base, how: TuneSettings, *, pause: float = 0.0) -> None:
    learner, report = tune(rows, base, how, seed=3, folder=folder / "checkpoints", on_step=lambda _: time.sleep(pause))
    told = {"identity": identity_of(rows, base, how, 3), "settings": settings_told(how)}
    save(folder, learner, report, rows=rows, base=base, told=told)


def killed(folder: Path, rows: Rows, base: Base, how: TuneSettings, *, steps: int) -> None:
    """Tune in a process of its own, and kill it with -9 once a checkpoint has so many steps."""
    state, child = folder / "checkpoints" / "state.json", os.fork()
    if not child:
        try:
            made(folder, rows, base, how, pause=0.2)
        finally:
            os._exit(0)
    until = time.monotonic() + 120
    while not (state.exists() and json.loads(state.read_text())["step"] >= steps):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_with_9_again_and_again_it_ends_with_the_same_bytes(topic_rows, quick, settings, tmp_path: Path) -> None:
    rows = topic_rows(36)
    base = find_base("tiny", rows=rows, settings=settings)
    made(tmp_path / "whole", rows, base, quick)
    for steps in (1, 3, 5, 8, 10):  # four steps an epoch: within one, at an end, in the last
        killed(tmp_path / "broken", rows, base, quick, steps=steps)
        assert not (tmp_path / "broken" / "manifest.json").exists()
    made(tmp_path / "broken", rows, base, quick)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    curves = [json.loads((tmp_path / f / "manifest.json").read_text())["report"]["rows"] for f in ("whole", "broken")]
    for row in (*curves[0], *curves[1]):
        row.pop("seconds")
    assert curves[0] == curves[1] and len(curves[0]) == 4
    made(tmp_path / "other", rows, base, replace(quick, lr=2e-3))
    other = (tmp_path / "other" / "adapter_model.safetensors").read_bytes()
    assert other != (tmp_path / "whole" / "adapter_model.safetensors").read_bytes()


def test_a_folder_with_another_tuning_is_refused(topic_rows, quick, settings, tmp_path: Path) -> None:
    rows = topic_rows(12)
    base = find_base("tiny", rows=rows, settings=settings)
    tune(rows, base, replace(quick, epochs=1), folder=tmp_path / "f")
    with pytest.raises(UsageError, match="other data, settings, seed"):
        tune(rows, base, replace(quick, epochs=1), seed=1, folder=tmp_path / "f")


def test_rows_of_a_test_split_are_out_of_reach(topic_rows, quick, settings) -> None:
    rows = topic_rows(12)
    base = find_base("tiny", rows=rows, settings=settings)
    with pytest.raises(LeakageError, match="test split"):
        tune(replace(rows, made={"split": "test"}), base, quick)


def test_held_out_rows_decide_what_is_kept_and_change_nothing_else(topic_rows, quick, settings) -> None:
    rows = topic_rows(36, dev=0.2)
    base = find_base("tiny", rows=rows, settings=settings)
    how = replace(quick, epochs=6, stop_on="loss", patience=2, lr=3e-2, schedule="constant", warmup=0.0)
    learner, report = tune(rows, base, how)
    losses = [row.dev.loss for row in report.rows[1:] if row.dev]
    assert report.best_epoch == 1 + losses.index(min(losses))
    assert len(losses) == min(report.best_epoch + 2, 6)
    alone, _ = tune(replace(rows, dev=()), base, replace(how, epochs=report.best_epoch))
    assert all(torch.equal(weight, alone.weights[name]) for name, weight in learner.weights.items())


def loop_of(rows: Rows, settings, how: TuneSettings) -> Loop:
    base = find_base("tiny", rows=rows, settings=settings)
    learner = open_learner(base, how, kind="float32", seed=0, quiet=True)
    return Loop(learner, rows, how, seed=0, precision=Choice("float32", "asked for"))


def test_options_are_dealt_anew_every_epoch_and_stay_where_they_are_for_evaluation(topic_rows, quick, settings) -> None:
    rows = topic_rows(20, events=2)
    loop = loop_of(rows, settings, quick)
    shown = [{row.key: row.prompt for step in loop.epoch(n) for row in step} for n in (1, 2, 2)]
    assert shown[1] == shown[2] and sum(shown[0][k] != shown[1][k] for k in shown[0]) > len(rows.train) / 2
    assert [row.prompt for row in loop.dev] == [loop.encoder.row(row).prompt for row in rows.dev]
    still = loop_of(rows, settings, replace(quick, reshuffle=False))
    shown = [{row.key: row.prompt for step in still.epoch(n) for row in step} for n in (1, 2)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("objective", ["letters", "vocabulary"])
def test_a_step_in_pieces_is_the_step_in_one(topic_rows, quick, settings, objective: str) -> None:
    rows = topic_rows(16, events=2)
    how = replace(quick, method="all", objective=objective, rows_per_step=16, dropout=0.0, clip=0.0, reshuffle=False)
    grads = []
    for tokens in (60, 100_000):
        loop = loop_of(rows, settings, replace(how, tokens_at_once=tokens))
        loop.take(next(loop.epoch(1)))
        grads.append(torch.cat([w.grad.flatten() for w in loop.weights.values()]))
    assert float((grads[0] - grads[1]).abs().max()) < 1e-5 * float(grads[0].abs().max())


def test_the_rate_rises_and_falls_as_the_schedule_says() -> None:
    how = TuneSettings(warmup=0.1, schedule="linear")
    assert [round(rate(n, 100, how), 3) for n in (1, 5, 10, 11, 100)] == [0.1, 0.5, 1.0, 0.989, 0.011]
    how = replace(how, schedule="cosine")
    assert (
        rate(10, 100, how) == 1.0
        and rate(55, 100, how) == pytest.approx(0.51, abs=0.02)
        and rate(100, 100, how) < 0.001
    )
    assert rate(99, 100, replace(how, schedule="constant")) == 1.0


def test_recomputing_activations_changes_no_gradient(topic_rows, quick, settings) -> None:
    rows = topic_rows(12)
    grads = []
    for recompute in (False, True):
        loop = loop_of(rows, settings, replace(quick, recompute=recompute))
        loop.take(next(loop.epoch(1)))
        grads.append(torch.cat([w.grad.flatten() for w in loop.weights.values()]))
        assert getattr(loop.learner.model, "is_activation_checkpointing", False) is recompute
    assert torch.allclose(grads[0], grads[1], atol=1e-6) and float(grads[0].abs().sum()) > 0


def test_what_learns_and_the_head_are_float32_in_bfloat16_too(topic_rows, quick, settings) -> None:
    rows = topic_rows(12)
    base = find_base("tiny", rows=rows, settings=settings)
    learner, report = tune(rows, base, replace(quick, precision="bfloat16", epochs=1))
    assert {w.dtype for w in learner.weights.values()} == {torch.float32} and "bfloat16" in report.precision
    frozen = {w.dtype for w in learner.model.parameters() if not w.requires_grad}
    assert frozen == {torch.bfloat16}


def test_free_answers_are_learnt_word_by_word(settings, tiny_settings) -> None:
    """Supervised fine-tuning on answers: five questions, five answers, by heart."""
    told = [
        ("sky", "blue and wide"),
        ("sea", "deep and green"),
        ("sun", "warm"),
        ("sand", "dry as dust"),
        ("sock", "wool"),
    ]
    rows = Rows(tuple(Row(q, (Message("user", f"How is the {q}?"),), a) for q, a in told))
    base = find_base("tiny", rows=rows, settings=settings)
    how = replace(tiny_settings, objective="completion", stop_on="loss", epochs=40, rows_per_step=5, lr=1e-2)
    learner, report = tune(rows, base, how)
    assert report.rows[-1].loss < 0.05 < 1 < report.rows[1].loss
    ids = torch.tensor([learner.rendering.prompt(_request("sand"))[0]])
    out = learner.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert learner.tokenizer.decode(out[0, ids.shape[1] :]) == "dry as dust<|im_end|>"


def _request(word: str):
    from whyrec.llm.model import Request

    return Request((Message("user", f"How is the {word}?"),))


def test_wrong_settings_are_sentences(topic_rows, quick, settings) -> None:
    rows = topic_rows(12)
    base = find_base("tiny", rows=rows, settings=settings)
    with pytest.raises(UnknownNameError, match="objective"):
        tune(rows, base, replace(quick, objective="lettres"))
    with pytest.raises(UsageError, match="cannot be adapted"):
        tune(rows, base, replace(quick, modules=("no_such_proj",)))
    with pytest.raises(UsageError, match="at least 1"):
        replace(quick, rank=0)
    with pytest.raises(UsageError, match="no folder with a language model"):
        find_base("/nowhere", rows=rows, settings=settings)
