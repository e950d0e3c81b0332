"""`whyrec.tune` and `whyrec tune`, from data to a model that a graph asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import whyrec
from whyrec.cli import build
from whyrec.errors import LeakageError, UnknownNameError, UsageError

pytest.importorskip("peft")
WORLD = "world:users=120,items=60"
QUICK = {"epochs": 1, "rows_per_step": 16}


def test_from_data_to_a_model_that_ranks(tmp_path: Path) -> None:
    told: list[object] = []
    how = {"base": "tiny", "change": QUICK, "rows": tmp_path / "rows.jsonl"}
    made = whyrec.tune("cot_rec.ranker", WORLD, progress=told.append, **how)
    assert made.new and [type(one).__name__ for one in told[:2]] == ["Plan", "TuneRow"]
    rows = made.manifest["rows"]
    assert rows["train"] + rows["dev"] == len((tmp_path / "rows.jsonl").read_text().splitlines()) - 1
    assert [row["epoch"] for row in made.curve] == [0, 1] and made.curve[0]["dev"]["n"] == rows["dev"]
    run = whyrec.run("cot_rec.recommend", WORLD, llm=made.llm, users=3, options={"mode": "titles"}, progress=False)
    found = [result.payload for result in run.results]
    assert len(found) == 3 and all(abs(sum(one["probabilities"][0]) - 1) < 1e-6 for one in found)
    again = whyrec.tune("cot_rec.ranker", WORLD, progress=False, **how)
    assert not again.new and again.manifest == made.manifest
    other = whyrec.tune(tmp_path / "rows.jsonl", base="tiny", change=QUICK, progress=False)
    assert other.manifest["identity"] == made.manifest["identity"]
    with pytest.raises(UsageError, match="is there already"):
        whyrec.tune("cot_rec.ranker", WORLD, base="tiny", change={**QUICK, "lr": 1e-3}, name=made.name, progress=False)
    assert [one.name for one in whyrec.list_tuned()] == sorted({made.name, other.name})


def test_conversations_are_learnt_from_the_command_line(tmp_path: Path) -> None:
    file, cli = tmp_path / "calls.jsonl", CliRunner()
    turns = [
        [{"role": "user", "content": f"Say {n}."}, {"role": "assistant", "content": f"It is {n}."}] for n in range(20)
    ]
    file.write_text("\n".join(json.dumps({"messages": one}) for one in turns))
    empty = cli.invoke(build(), ["tune", "ls"])
    assert empty.exit_code == 0 and "No model was tuned" in empty.output
    args = ["tune", str(file), "--base", "tiny", "--epochs", "1", "--precision", "float32", "--name", "sayer"]
    done = cli.invoke(build(), args)
    assert done.exit_code == 0, done.output
    assert "completion, all, at most 1 epochs" in done.output and "18 rows to learn from, 2 held out" in done.output
    assert "Kept as tuned:sayer" in done.output and "random weights" in done.output
    assert "tuned:sayer" in cli.invoke(build(), ["tune", "ls"]).output
    shown = cli.invoke(build(), ["tune", "show", "say"]).output
    assert "as it came; 2 held-out rows" in shown and "epoch 1" in shown
    merged = cli.invoke(build(), ["tune", "merge", "sayer", str(tmp_path / "plain")])
    assert merged.exit_code == 0 and (tmp_path / "plain" / "model.safetensors").is_file()


def test_what_cannot_be_tuned_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="task or file of rows"):
        whyrec.tune("cot_rec.rankr", WORLD, base="tiny")
    with pytest.raises(UnknownNameError, match="argument of whyrec"):
        whyrec.tune("cot_rec.ranker", WORLD, base="tiny", epoch=3)  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match="setting of a tuning"):
        whyrec.tune("cot_rec.ranker", WORLD, base="tiny", change={"epoch": 3})
    with pytest.raises(UsageError, match="item_vf"):
        whyrec.tune("cot_rec.ranker", WORLD, base="tiny", retriever="item_vf")
    with pytest.raises(LeakageError, match="split=valid"):
        whyrec.tune("cot_rec.ranker", WORLD, base="tiny", options={"split": "test"})
    with pytest.raises(UsageError, match="give --data"):
        whyrec.tune("cot_rec.ranker", base="tiny")
