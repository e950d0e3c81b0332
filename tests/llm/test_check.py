"""A check looks at answers: what a server ignores is found, kept, and read by the next client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from whyrec.cli.llm import app
from whyrec.errors import UsageError
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.capabilities import Capabilities, keep_checked, read_checked
from whyrec.llm.check import check_model, check_server
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings


async def checked(server: Any, scheme: str = "openai") -> tuple[Capabilities, dict[str, str]]:
    model = open_provider(f"{scheme}:tiny@{server.url}", settings=read_settings())
    assert isinstance(model, OpenAICompatible)
    try:
        found, findings = await check_server(model)
    finally:
        await model.close()
    return found, {finding.what: finding.outcome for finding in findings}


async def test_everything_a_good_server_can_do_is_found(openai_server: Any) -> None:
    found, outcomes = await checked(openai_server)
    assert set(outcomes.values()) == {"yes"}
    assert found.schema == "response_format" and found.n and found.seed and found.choice and found.logprobs == 20
    assert found.prefix == "continue" and found.score == "tokens"
    assert (found.embeddings, found.context) == (16, 4096) and found.checked


async def test_what_a_poor_server_ignores_is_found_although_it_says_200(openai_server: Any) -> None:
    openai_server.can = frozenset()
    found, outcomes = await checked(openai_server, "vllm")
    assert outcomes.pop("chat") == "yes" and "yes" not in outcomes.values()
    assert outcomes["JSON schema"] == outcomes["n"] == outcomes["log-probabilities"] == "ignored"
    assert found.schema == "none" and not found.n and not found.choice and found.logprobs == 0
    assert found.prefix == "none" and found.score == "none" and found.embeddings == 0 and found.context is None


@pytest.mark.parametrize(
    ("lacks", "what"),
    [
        ("system", "system role"),
        ("schema", "JSON schema"),
        ("n", "n"),
        ("seed", "seed"),
        ("logprobs", "log-probabilities"),
        ("choice", "choice"),
        ("prefix", "prefix"),
        ("score", "score given text"),
        ("embeddings", "embeddings"),
    ],
)
async def test_one_lack_is_one_finding(openai_server: Any, lacks: str, what: str) -> None:
    openai_server.can -= {lacks}
    _, outcomes = await checked(openai_server)
    assert [name for name, outcome in outcomes.items() if outcome != "yes"] == [what]


async def test_a_refused_field_is_told_from_an_ignored_one(openai_server: Any) -> None:
    openai_server.refuses = frozenset({"response_format", "structured_outputs", "logprobs", "n", "max_tokens"})
    found, outcomes = await checked(openai_server)
    refused = {name for name, outcome in outcomes.items() if outcome == "refused"}
    assert refused == {"JSON schema", "choice", "n", "log-probabilities"} | (refused & {"score given text"})
    assert found.max_tokens == "max_completion_tokens"


async def test_other_models_are_probed_through_the_seam() -> None:
    outcomes = {finding.what: finding.outcome for finding in await check_model(Echo())}
    assert outcomes["chat"] == outcomes["JSON schema"] == outcomes["n"] == outcomes["seed"] == "yes"
    assert outcomes["log-probabilities"] == "ignored" and outcomes["score given text"] == "no"


def test_checks_of_several_servers_are_kept_apart(tmp_path: Path) -> None:
    keep_checked(tmp_path, "http://a/v1", "m", Capabilities(n=False))
    path = keep_checked(tmp_path, "http://b/v1", "m", Capabilities(logprobs=5))
    assert read_checked(tmp_path, "http://a/v1", "m") == Capabilities(n=False)
    assert read_checked(tmp_path, "http://b/v1", "m") == Capabilities(logprobs=5)
    assert read_checked(tmp_path, "http://b/v1", "other") is None
    later = json.loads(path.read_text())
    later["http://a/v1 m"]["of_a_later_version"] = 1
    path.write_text(json.dumps(later))
    assert read_checked(tmp_path, "http://a/v1", "m") == Capabilities(n=False)
    path.write_text("[]")
    with pytest.raises(UsageError, match="delete it"):
        read_checked(tmp_path, "http://a/v1", "m")


def test_the_command_prints_a_table_and_keeps_what_it_found(openai_thread: Any) -> None:
    openai_thread.can -= {"n"}
    done = CliRunner().invoke(app, ["check", f"openai:tiny@{openai_thread.url}"])
    assert done.exit_code == 0, done.output
    assert "continue_final_message" in done.output and "ignored" in done.output and "servers.json" in done.output
    kept = read_checked(read_settings().home, openai_thread.url, "tiny")
    assert kept is not None and not kept.n and kept.prefix == "continue"


def test_a_dead_server_is_one_sentence(unused_tcp_port: int) -> None:
    done = CliRunner().invoke(app, ["check", f"vllm:tiny@http://127.0.0.1:{unused_tcp_port}/v1"])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("Nothing answers at") and str(done.exception).count("\n") == 0


def test_a_server_without_a_system_role_is_sent_none_once_checked(openai_thread: Any) -> None:
    openai_thread.refuses = frozenset({"system"})
    name = f"openai:tiny@{openai_thread.url}"
    done = CliRunner().invoke(app, ["check", name])
    assert done.exit_code == 0 and "system role" in done.output, done.output
    model = open_provider(name, settings=read_settings())
    assert isinstance(model, OpenAICompatible) and model.can.system == "user" and model.system_way == "system=user"


def test_ls_names_every_scheme() -> None:
    from whyrec.llm.registry import openers

    done = CliRunner().invoke(app, ["ls"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert all(name in done.output for name in openers())
