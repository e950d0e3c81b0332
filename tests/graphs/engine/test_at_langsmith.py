"""LangSmith is told of graphs, nodes and model calls where WHYREC_LANGSMITH asks for it, and never of a key."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from langsmith import Client, tracing_context

from graphs.engine.at_langsmith import AtLangSmith, shown_if_asked
from whyrec.llm.built_in.echo import Echo
from whyrec.llm.model import About, Message, ModelError, Reply, Request
from whyrec.redaction import KNOWN

ASKED = Request(
    (Message("system", "Be brief."), Message("user", "A tent?")), about=About(example="test/u1", prompt="a/b")
)
RUN = ("run", "cot_rec.preference", "--data", "world:users=12,items=40", "--users", "2", "--llm", "extractive")


async def told_of(server: Any, model: Any, request: Request) -> dict[str, Any]:
    """What LangSmith knows of one call."""
    client = Client(api_url=server.address, api_key="lsv2_0123456789")
    try:
        with tracing_context(enabled=True, client=client):
            await model.complete(request)
    finally:
        client.flush()
        client.close()
    (run,) = server.runs().values()
    return run


async def test_a_call_is_told_with_messages_answers_and_tokens(langsmith_like):
    run = await told_of(langsmith_like, AtLangSmith(Echo()), ASKED)
    assert (run["run_type"], run["name"]) == ("llm", "a/b")
    assert [one["content"] for one in run["inputs"]["messages"]] == ["Be brief.", "A tent?"]
    (reply,) = await Echo().complete(ASKED)
    assert run["outputs"]["messages"] == [{"role": "assistant", "content": reply.text}]
    assert run["outputs"]["usage_metadata"]["input_tokens"] == reply.usage.prompt
    assert run["extra"]["metadata"]["ls_model_name"] == "echo"
    assert run["extra"]["metadata"]["example"] == "test/u1"


async def test_no_known_key_is_told(langsmith_like):
    key = "sk-planted-0123456789abcdef"
    KNOWN.learn(key, "a key")
    request = Request((Message("user", f"My key is {key}."),))
    run = await told_of(langsmith_like, AtLangSmith(Echo()), request)
    assert "My key is" in str(run["inputs"]) and key not in str(run)


async def test_an_error_is_told_and_raised(langsmith_like):
    class Broken(Echo):
        async def complete(self, request: Request) -> list[Reply]:
            raise ModelError("it is broken")

    with pytest.raises(ModelError):
        await told_of(langsmith_like, AtLangSmith(Broken()), ASKED)
    (run,) = langsmith_like.runs().values()
    assert "it is broken" in run["error"]


def test_nothing_stands_around_a_model_where_nobody_asked(monkeypatch):
    model = Echo()
    assert shown_if_asked(model) is model
    monkeypatch.setenv("WHYREC_LANGSMITH", "1")
    assert isinstance(shown_if_asked(model), AtLangSmith)


def test_a_run_is_told_as_graphs_with_their_nodes_and_calls(langsmith_like, tmp_path):
    environment = {
        **os.environ,
        "WHYREC_LANGSMITH": "1",
        "LANGSMITH_ENDPOINT": langsmith_like.address,
        "LANGSMITH_API_KEY": "lsv2_planted_0123456789",
    }
    command = [sys.executable, "-m", "whyrec", *RUN]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    runs = langsmith_like.runs()
    whole = [one for one in runs.values() if one["name"] == "cot_rec.preference"]
    assert len(whole) == 2
    calls = [one for one in runs.values() if one["run_type"] == "llm"]
    assert calls and {runs[one["parent_run_id"]]["name"] for one in calls} <= {"summarise", "merge"}
    assert "lsv2_planted" not in str(runs)
