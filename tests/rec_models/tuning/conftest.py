"""A small prompt, rows over it whose reason names the topic of the right option, and what they are tuned with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import prompts
from rec_models.tuning.rows import Row, Rows, held_out
from rec_models.tuning.settings import TINY, TuneSettings
from whyrec.data.generated.world_text import TOPICS
from whyrec.records import Event, Item
from whyrec.settings import Settings, read_settings

PROMPT = """---
name: test/pick
description: Which option a reason speaks of.
answer: Choice
format: text
thinking: off
sampling: {temperature: 0.0, max_tokens: 4, seed: 0}
variables:
  history: latest events
  reason: free text
  options: items in the order of their letters
---
# system
Pick.

# user
reason: {{ reason }}
{{ history | events(titles=true) }}
{{ options | options(titles=true) }}
"""
LETTERS = ("A", "B", "C", "D")
collect_ignore_glob = [] if find_spec("transformers") and find_spec("peft") else ["test_*.py"]  # extra [hf]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Folders of a test's own, and products in float32."""
    return read_settings(precision="float32", quiet=True)


@pytest.fixture
def topic_rows(settings: Settings) -> Callable[..., Rows]:
    """Makes rows of four options of different topics; the reason names the topic of the right one."""
    file = settings.prompt_folder / "test" / "pick.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PROMPT, encoding="utf-8")
    prompt = prompts.load("test/pick")

    def make(n: int, *, events: int = 1, seed: int = 0, dev: float = 0.1, options: int = 4) -> Rows:
        letters = LETTERS[:options]
        rng = np.random.default_rng(seed)
        rows = []
        for number in range(n):
            topics = rng.choice(len(TOPICS), len(letters), replace=False)
            right = int(rng.integers(len(letters)))
            shown = [Item(i + 1, f"i{i}", TOPICS[t].name) for i, t in enumerate(topics)]
            history = tuple(Event(Item(50 + i, f"h{i}", f"thing {i}")) for i in range(events))
            blanks = {"history": history, "options": shown, "reason": f"wants {TOPICS[topics[right]].name}"}
            recorded = prompts.blanks_json(blanks)
            messages = prompt.render(**recorded)
            told = {"prompt": prompt.name, "digest": prompt.digest, "blanks": recorded, "group": f"u{number}"}
            rows.append(Row(f"valid/u{number}", messages, letters[right], letters, **told))
        train, out = held_out(rows, dev)
        return Rows(train, out, {"data": "topics", "split": "valid"})

    return make


@pytest.fixture
def quick() -> TuneSettings:
    """A few steps of everything, for tests of how and not of how well."""
    return TuneSettings(
        "letters",
        rank=4,
        alpha=8,
        dropout=0.2,
        epochs=3,
        rows_per_step=8,
        tokens_at_once=400,
        lr=3e-3,
        checkpoint_steps=1,
        precision="float32",
    )


@pytest.fixture
def tiny_settings() -> TuneSettings:
    """Of the tiny base, in float32."""
    return replace(TINY, precision="float32")
