"""A check looks at answers: what a server ignores is found, kept, and read by the next client."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from whyrec.cli.llm import app
from whyrec.errors import UsageError
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.capabilities import Capabilities, keep_checked, read_checked
from whyrec.llm.model import Message, Request, Sampling
from whyrec.llm.naming.address import parse
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.registry import open_provider
from whyrec.llm.servers.checking.seam import check_model
from whyrec.llm.servers.checking.server import check_server
from whyrec.settings import read_settings


async def checked(
    server: Any, scheme: str = "openai", *, shown: str = "outcome"
) -> tuple[Capabilities, dict[str, str]]:
    model = open_provider(f"{scheme}:tiny@{server.url}", settings=read_settings())
    assert isinstance(model, OpenAICompatible)
    try:
        found, findings = await check_server(model)
    finally:
        await model.close()
    return found, {finding.what: getattr(finding, shown) for finding in findings}


async def test_everything_a_good_server_can_do_is_found(openai_server: Any) -> None:
    found, outcomes = await checked(openai_server)
    assert outcomes.pop("thinking") == "no" and set(outcomes.values()) == {"yes"}
    assert found.schema == "response_format" and found.n and found.seed and found.choice and found.logprobs == 20
    assert found.prefix == "continue" and found.score == "tokens" and found.slots is None
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
    del outcomes["thinking"]
    assert [name for name, outcome in outcomes.items() if outcome != "yes"] == [what]


async def test_a_refused_field_is_told_from_an_ignored_one(openai_server: Any) -> None:
    openai_server.refuses = frozenset({"response_format", "structured_outputs", "logprobs", "n", "max_tokens"})
    found, outcomes = await checked(openai_server)
    refused = {name for name, outcome in outcomes.items() if outcome == "refused"}
    assert refused == {"JSON schema", "choice", "n", "log-probabilities"} | (refused & {"score given text"})
    assert found.max_tokens == "max_completion_tokens"


@pytest.mark.parametrize(
    ("habits", "way"),
    [
        ({}, "continue"),
        ({"continues": "always"}, "prefill"),
        ({"continues": "never"}, "none"),
        ({"continues": "never", "text": "5, 6, 7, 8, 9"}, "none"),  # a fresh turn that only reads like a continuation
        ({"turn": 1}, "continue"),  # a template that closes a turn by one token: the text decides
        ({"turn": 1, "continues": "always"}, "prefill"),
        ({"turn": 1, "continues": "never"}, "none"),
        ({"counts": False}, "continue"),
        ({"counts": False, "continues": "always"}, "prefill"),
        ({"counts": False, "continues": "never"}, "none"),
    ],
)
async def test_a_continued_answer_is_told_from_a_fresh_turn(
    openai_server: Any, habits: dict[str, Any], way: str
) -> None:
    for attribute, value in habits.items():
        setattr(openai_server, attribute, value)
    found, outcomes = await checked(openai_server)
    assert found.prefix == way
    assert outcomes["prefix"] == ("ignored" if way == "none" else "yes")


@pytest.mark.parametrize(
    ("habits", "way", "words"),
    [
        ({}, "none", "no thought, and no switch"),
        ({"thinks": "template"}, "template", "thinks unless told otherwise.*enable_thinking"),
        ({"thinks": "template", "shows_thoughts": False}, "template", "enable_thinking"),
        ({"thinks": "effort"}, "effort", "reasoning_effort"),
        ({"thinks": "effort", "refuses": frozenset({"chat_template_kwargs"})}, "effort", "reasoning_effort"),
        ({"thinks": "always"}, "always", "no switch that was tried stops that"),
        ({"thinks": "always", "counts": False}, "always", "no switch"),
        ({"thinks": "asked"}, "none", "only where asked for"),
        ({"text": "Three cats have twelve legs</think>16"}, "always", "no switch"),
    ],
)
async def test_what_switches_thoughts_off_is_found(
    openai_server: Any, habits: dict[str, Any], way: str, words: str
) -> None:
    for attribute, value in habits.items():
        setattr(openai_server, attribute, value)
    found, notes = await checked(openai_server, shown="note")
    assert found.thinking == way and re.search(words, notes["thinking"]), notes["thinking"]


async def test_a_prompt_that_is_cut_without_a_word_is_counted(openai_server: Any) -> None:
    openai_server.can -= {"context"}
    openai_server.cuts = 2_048
    found, notes = await checked(openai_server, shown="note")
    assert found.context == 2_048 and "cut without a word, to 2,048" in notes["context length"]


async def test_a_context_that_is_longer_than_told_is_no_lack(openai_server: Any) -> None:
    openai_server.slots = 4
    openai_server.can -= {"context"}  # it says 4,096 at /props and takes more
    found, notes = await checked(openai_server, shown="note")
    assert found.context == 4_096 and "took a prompt of" in notes["context length"]


async def test_slots_bound_the_samples_of_one_request_and_wide_log_probabilities_are_found(openai_server: Any) -> None:
    openai_server.slots, openai_server.most_logprobs = 2, 1 << 20
    openai_server.logits = {f"t{i}": -i / 100 for i in range(3_000)}
    found, _ = await checked(openai_server, "llamacpp")
    assert (found.n, found.slots, found.logprobs) == (True, 2, 1_000)
    model = OpenAICompatible(parse("llamacpp", f"tiny@{openai_server.url}"), capabilities=found)
    openai_server.requests.clear()
    replies = await model.complete(
        Request((Message("user", "Say."),), Sampling(0.8, seed=1), samples=(0, 1, 2, 4, 5, 6, 7))
    )
    await model.close()
    assert [reply.sample for reply in replies] == [0, 1, 2, 4, 5, 6, 7]
    asked = sorted((body["seed"], body.get("n", 1)) for body in openai_server.requests)
    assert asked == [(1, 2), (3, 1), (5, 2), (7, 2)]


async def test_one_slot_means_one_sample_per_request(openai_server: Any) -> None:
    openai_server.slots = 1
    found, outcomes = await checked(openai_server)
    assert (found.n, found.slots, outcomes["n"]) == (False, 1, "no")


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
