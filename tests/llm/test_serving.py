"""The command that serves a model with vLLM, and what is passed on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UsageError
from whyrec.llm.serving import command, runnable


def printed(*arguments: str) -> list[str]:
    result = CliRunner().invoke(build(), ["llm", "serve", *arguments, "--print"])
    assert result.exit_code == 0, result.output
    return shlex.split(result.output)


def test_the_command_is_printed_with_the_flags_that_matter_and_others_are_passed_on() -> None:
    said = printed("Qwen/Qwen3-8B", "--port", "8001", "--tensor-parallel-size", "2")
    assert said[:2] == ["VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1"]
    assert said[2:5] == ["vllm", "serve", "Qwen/Qwen3-8B"] and said[-2:] == ["--tensor-parallel-size", "2"]
    assert said[said.index("--port") + 1] == "8001" and "--enable-prefix-caching" in said
    assert json.loads(said[said.index("--structured-outputs-config") + 1])["disable_any_whitespace"] is True
    assert said[said.index("--logprobs-mode") + 1] == "processed_logprobs"
    assert said[said.index("--generation-config") + 1] == "vllm"
    assert "--enable-lora" not in said and "--no-enable-chunked-prefill" not in said
    assert "--no-enable-chunked-prefill" in printed("m", "--cpu")


def test_adapters_are_models_of_their_own(tmp_path: Path) -> None:
    said = command("m", adapters=[f"student={tmp_path}", "other=org/adapter"])
    assert said[said.index("--lora-modules") :] == ["--lora-modules", f"student={tmp_path}", "other=org/adapter"]
    for wrong, words in (("student", "NAME=FOLDER"), ("a=/no/such/folder", "no folder /no/such/folder")):
        with pytest.raises(UsageError, match=words):
            command("m", adapters=[wrong])


def test_without_vllm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="--print prints the command"):
        runnable(["vllm-that-is-not-there", "serve", "m"])
