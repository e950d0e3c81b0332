"""The commands that serve a model with vLLM or llama.cpp, and what is passed on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UsageError
from whyrec.llm.servers.starting import llama_command, llama_server
from whyrec.llm.servers.starting.vllm_command import command, runnable


def printed(*arguments: str) -> list[str]:
    result = CliRunner().invoke(build(), ["llm", "serve", "--print", *arguments])
    assert result.exit_code == 0, result.output
    return shlex.split(result.stdout)


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


def test_a_gguf_file_is_served_by_llama_cpp_and_the_context_is_each_slots(tmp_path: Path) -> None:
    said = printed("models/some-model.Q4.gguf", "--slots", "3", "--context", "2000", "--", "--threads", "2")
    assert said[:5] == ["llama-server", "--model", "models/some-model.Q4.gguf", "--alias", "some-model.Q4"]
    assert said[said.index("--ctx-size") + 1] == "6000" and said[said.index("--parallel") + 1] == "3"
    assert [said[said.index(flag) + 1] for flag in ("--top-k", "--top-p", "--min-p", "--host")] == [
        *("0", "1", "0", "127.0.0.1")
    ]
    assert {"--jinja", "--no-context-shift"} < set(said) and said[-2:] == ["--threads", "2"]
    assert said[said.index("--port") + 1] == "8080"
    assert printed("models/some-model.Q4.gguf", "--with", "vllm")[2:4] == ["vllm", "serve"]


def test_it_says_how_the_served_model_is_named() -> None:
    result = CliRunner().invoke(build(), ["llm", "serve", "a/b.gguf", "--port", "81", "--print"])
    assert "Then: whyrec llm check llamacpp:b@http://127.0.0.1:81/v1" in result.stderr


def test_the_wheels_command_understands_every_flag_of_ours() -> None:
    said = printed("b.gguf", "--with", "xllamacpp", "--slots", "2", "--", "--threads", "1")
    at = said.index("-P")
    assert Path(said[at + 1]).resolve() == Path(llama_server.__file__).resolve()
    given = llama_server.parser().parse_args(said[at + 2 :])
    assert (given.model, given.alias, given.port, given.ctx_size, given.parallel) == ("b.gguf", "b", 8080, 16_384, 2)
    assert (given.top_k, given.top_p, given.min_p, given.threads) == (0, 1.0, 0.0, 1)


def test_the_wheel_is_told_what_the_flags_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_API_KEY", "sk-own")
    flags = ["--model", "x/b.gguf", "--port", "81", "--ctx-size", "512", "--parallel", "2", "--threads", "1"]
    flags += ["--reasoning-format", "none", "--chat-template-kwargs", '{"enable_thinking": false}']

    class Params(SimpleNamespace):
        def __init__(self) -> None:
            names = ("model", "sampling", "cpuparams", "cpuparams_batch")
            super().__init__(**{name: SimpleNamespace() for name in names})

    library = SimpleNamespace(
        CommonParams=Params, common_reasoning_format=SimpleNamespace(COMMON_REASONING_FORMAT_NONE="none there")
    )
    made = llama_server.settings(library, llama_server.parser().parse_args(flags))
    assert (made.model.path, made.model_alias, made.hostnames, made.port) == ("x/b.gguf", {"b"}, ["127.0.0.1"], 81)
    assert (made.n_ctx, made.n_parallel, made.cpuparams.n_threads, made.ctx_shift) == (512, 2, 1, False)
    assert (made.sampling.top_k, made.sampling.top_p, made.sampling.min_p) == (0, 1.0, 0.0)
    assert made.reasoning_format == "none there" and made.default_template_kwargs == {"enable_thinking": "false"}
    assert made.api_keys == ["sk-own"] and made.cors_origins == "localhost"


def test_what_llama_cpp_cannot_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"no file .*missing\.gguf"):
        llama_command.runnable(llama_command.command(str(tmp_path / "missing.gguf")))
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(UsageError, match="llama-server on the PATH"):
        llama_command.runnable(llama_command.command(str(tmp_path / "a.gguf")), by="llama-server")
    for flags in (["--lora", "a=b"], ["--cpu"]):
        done = CliRunner().invoke(build(), ["llm", "serve", "b.gguf", "--print", *flags])
        assert isinstance(done.exception, UsageError) and "is for vLLM" in str(done.exception)
