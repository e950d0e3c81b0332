"""What a tuning leaves behind answers as the tuner itself found it answers, and is called by what is in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from rec_models.tuning.adapter import merge, save, settings_told
from rec_models.tuning.base import find_base
from rec_models.tuning.judging import judge
from rec_models.tuning.rows import Row
from rec_models.tuning.tune import Loop, tune
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.labels import read_labels
from whyrec.llm.model import Request, Sampling
from whyrec.llm.naming.same import same_answers
from whyrec.llm.registry import open_provider
from whyrec.llm.weights.adapters import adapters, adapters_folder, find_adapter
from whyrec.precision import Choice


@pytest.fixture
def tuned(topic_rows, quick, settings) -> Any:
    """Makes tuned models by name; returns what the tuner itself finds on the held-out rows."""
    rows = topic_rows(30, events=2, dev=0.3)

    def make(name: str, **change: Any) -> tuple[tuple[Row, ...], dict[str, Any]]:
        how = replace(quick, **{"epochs": 2, "lr": 2e-2, **change})
        base = find_base("tiny", rows=rows, settings=settings)
        learner, report = tune(rows, base, how)
        folder = adapters_folder(settings) / name
        save(folder, learner, report, rows=rows, base=base, told={"identity": name, "settings": settings_told(how)})
        loop = Loop(learner, rows, how, seed=0, precision=Choice("float32", "asked for"))
        found = judge(learner, loop.dev, loop.objective, tokens=400, kind="float32", device="cpu")[1]
        return rows.dev, found

    return make


async def letters(model: Any, rows: tuple[Row, ...]) -> dict[str, Any]:
    """Key -> probabilities of the letters, as agents read them."""
    found = {}
    for row in rows:
        reading = await read_labels(model, Request(row.messages, Sampling(max_tokens=4)), row.labels)
        found[row.key] = np.array([reading.probabilities[label] for label in row.labels])
    return found


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[key] - other[key]).max()) for key in one)


@pytest.mark.parametrize("method", ["lora", "all"])
async def test_letters_in_use_are_those_of_the_tuners_own_evaluation(tuned, settings, tmp_path, method: str) -> None:
    rows, ours = tuned("one", method=method)
    model = open_provider("tuned:one", settings=settings)
    assert apart(await letters(model, rows), ours) < 1e-4
    base = open_provider(find_adapter("one", settings=settings).manifest["base"]["name"], settings=settings)
    assert apart(await letters(base, rows), ours) > 1e-2  # the base itself answers otherwise
    merge(find_adapter("one", settings=settings), tmp_path / "plain", quiet=True)
    plain = open_provider(f"transformers:{tmp_path / 'plain'}", settings=settings)
    assert apart(await letters(plain, rows), ours) < 1e-3
    for opened in (model, base, plain):
        await opened.close()
    with pytest.raises(UsageError, match="is there already"):
        merge(find_adapter("one", settings=settings), tmp_path / "plain", quiet=True)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of PEFT itself
def test_the_adapter_is_one_that_peft_opens(tuned, settings) -> None:
    tuned("one")
    found = find_adapter("one", settings=settings)
    model = transformers.AutoModelForCausalLM.from_pretrained(found.base, dtype=torch.float32)
    opened = peft.PeftModel.from_pretrained(model, str(found.folder))
    assert any(float(w.abs().sum()) > 0 for name, w in opened.named_parameters() if "lora_B" in name)


async def test_its_identity_is_what_is_in_it_and_not_its_name(tuned, settings) -> None:
    tuned("one")
    tuned("two")
    tuned("three", lr=1e-2)
    models = {name: open_provider(f"tuned:{name}", settings=settings) for name in ("one", "two", "three")}
    known = {name: same_answers(model.name, model.revision) + model.revision for name, model in models.items()}
    assert known["one"] == known["two"] != known["three"]
    for model in models.values():
        await model.close()
    config = find_adapter("one", settings=settings).folder / "adapter_config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps({**told, "lora_alpha": 1}))
    changed = open_provider("tuned:one", settings=settings)
    assert changed.revision != models["one"].revision
    await changed.close()


def test_a_base_that_changed_or_went_is_refused(tuned, settings) -> None:
    tuned("one")
    base = Path(find_adapter("one", settings=settings).manifest["base"]["folder"])
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    with pytest.raises(UsageError, match="is not what was tuned"):
        open_provider("tuned:one", settings=settings)
    (base / "config.json").unlink()
    with pytest.raises(UsageError, match="Bring it back"):
        open_provider("tuned:one", settings=settings)
    with pytest.raises(UnknownNameError, match=r"tuned model named 'nobody'.*Known: one"):
        open_provider("tuned:nobody", settings=settings)


def test_the_manifest_says_what_it_is(tuned, settings) -> None:
    tuned("one")
    (folder := adapters_folder(settings) / "half").mkdir()
    (folder / "adapter_config.json").write_text("{}")
    assert list(adapters(settings)) == ["one"]  # what has no manifest is not finished
    told = find_adapter("on", settings=settings).manifest
    assert told["rows"]["train"] + told["rows"]["dev"] == 30 and told["base"]["licence"] == "Apache-2.0"
    assert "random weights" in told["base"]["about"] and told["settings"]["lr"] == 2e-2
    assert [row["epoch"] for row in told["report"]["rows"]] == [0, 1, 2]
    assert told["rows"]["prompts"].keys() == {"test/pick"} and told["rows"]["made"]["split"] == "valid"
