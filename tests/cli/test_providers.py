"""Issue 4, Show 6: one setting swaps the provider. The same run, by `whyrec run … --llm`, on each kind of model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import prompts
from whyrec.cli import build
from whyrec.runs import list_runs, open_run
from whyrec.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
RUN = ["run", "rallrec.predict", "--data", "world:users=12,items=60", "--users", "2", "--yes", "--quiet"]
# free text, so that even a model of random weights can answer; votes, so that no log-probabilities are needed
OPTIONS = ["-o", "samples=2", "-o", "readout=vote", "-o", "expert=none", "-o", "hint=none"]


@pytest.mark.parametrize("provider", ["extractive", "simulated", "openai", "vllm", "langchain", "transformers"])
def test_one_setting_swaps_the_provider(
    provider: str, openai_thread: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        "extractive": "extractive",
        "simulated": "simulated:0.8",
        "openai": f"openai:tiny@{openai_thread.url}",
        "vllm": f"vllm:tiny@{openai_thread.url}",
        "langchain": f"langchain:openai:tiny?base_url={openai_thread.url}",
        "transformers": f"transformers:{tmp_path / 'model'}",
    }
    short = tmp_path / "short.md"  # random weights never end by themselves
    short.write_text(prompts.load("rallrec/reason").text.replace("max_tokens: 2048", "max_tokens: 150"))
    openai_thread.text = "The last lines are much like what is asked about, and were rated well. Answer: Yes"
    command = [*RUN, *OPTIONS, "--prompt", str(short), "--llm", names[provider]]
    if provider == "transformers":
        pytest.importorskip("transformers")
        subprocess.run([sys.executable, ROOT / "tests/servers/tiny_qwen2.py", tmp_path / "model"], check=True)
    if provider == "langchain":  # its connections stay open until the process ends
        monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
        ran = subprocess.run([sys.executable, "-m", "whyrec", *command], cwd=ROOT, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    else:
        done = CliRunner().invoke(build(), command)
        assert done.exit_code == 0, (done.output, done.exception)
    (info,) = list_runs(read_settings().home)
    run = open_run(read_settings().home, info.id)
    assert info.counts.done == 2 and all(len(result.payload["p"]) == 2 for result in run.results("done"))
    calls = list(run.calls())
    assert {call["model"] for call in calls} == {names[provider]} and all(call["answer"] for call in calls)
    assert bool(openai_thread.requests) == (provider in ("openai", "vllm", "langchain"))
