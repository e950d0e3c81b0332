"""Providers through LangChain: messages, samples, usage, structured answers and errors arrive as ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from whyrec.errors import UsageError
from whyrec.llm.model import (
    AnswerFormat,
    Disconnected,
    Malformed,
    Message,
    Overloaded,
    Refused,
    Request,
    Sampling,
    ServerFault,
    TimedOut,
)
from whyrec.llm.providers.langchain import LangChainModel
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

SCHEMA = json.dumps({"type": "object", "properties": {"a": {"type": "string", "maxLength": 40}}, "required": ["a"]})
ASK = Request(
    (Message("system", "Be terse."), Message("user", "Say."), Message("assistant", "Hm."), Message("user", "?"))
)


@pytest.fixture
async def model(openai_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    made = open_provider(f"langchain:openai:tiny?base_url={openai_server.url}", settings=read_settings())
    yield made
    await made.close()


async def test_messages_and_sampling_travel(openai_server: Any, model: Any) -> None:
    request = Request(ASK.messages, Sampling(0.5, 0.9, 33, ("END",), 4))
    (reply,) = await model.complete(request)
    sent = openai_server.requests[-1]
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant", "user"]
    assert (sent["temperature"], sent["top_p"], sent["stop"], sent["seed"]) == (0.5, 0.9, ["END"], 4)
    assert 33 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert reply.text and reply.usage.prompt > 0 and reply.usage.completion > 0 and reply.cost is None


async def test_several_samples_are_one_call_whose_tokens_count_once(openai_server: Any, model: Any) -> None:
    replies = await model.complete(Request(ASK.messages, Sampling(1.0), samples=(0, 1, 2)))
    assert len({reply.text for reply in replies}) == 3 and len(openai_server.requests) == 1
    assert [r.usage.prompt > 0 for r in replies] == [True, False, False]
    assert sum(r.usage.completion for r in replies) == 24


async def test_a_server_without_n_is_asked_once_per_sample(openai_server: Any, model: Any) -> None:
    openai_server.can -= {"n"}
    replies = await model.complete(Request(ASK.messages, Sampling(1.0, seed=1), samples=(0, 1)))
    assert [r.sample for r in replies] == [0, 1] and len({r.text for r in replies}) == 2


async def test_a_json_answer_is_asked_for_and_comes_back_as_text(openai_server: Any, model: Any) -> None:
    (reply,) = await model.complete(Request(ASK.messages, format=AnswerFormat("json", "X", SCHEMA)))
    assert json.loads(reply.text).keys() == {"a"}
    assert openai_server.requests[-1]["response_format"]["json_schema"]["schema"]["properties"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": 500}, ServerFault),
        ({"status": 429, "headers": {"Retry-After": "3"}}, Overloaded),
        ({"status": 400}, Refused),
        ({"kind": "reset"}, Disconnected),
    ],
)
async def test_errors_are_ours(
    openai_server: Any, openai_like: Any, model: Any, fields: dict[str, Any], kind: type[Exception]
) -> None:
    openai_server.faults.append(openai_like.Fault(**fields))
    with pytest.raises(kind, match="langchain:openai:tiny") as caught:
        await model.complete(ASK)
    assert len(openai_server.requests) == 1  # retries are ours
    if isinstance(caught.value, Overloaded):
        assert caught.value.retry_after == 3.0


async def test_a_hanging_server(openai_server: Any, openai_like: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    openai_server.faults.append(openai_like.Fault("hang"))
    name = f"langchain:openai:tiny?base_url={openai_server.url}&timeout=0.2"
    with pytest.raises(TimedOut):
        await open_provider(name, settings=read_settings()).complete(ASK)


async def test_any_chat_model_object_works_and_blocks_are_read() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Warm"},
        {"type": "text", "text": " socks"},
    ]
    message = AIMessage(
        blocks,  # type: ignore[arg-type]
        response_metadata={"stop_reason": "max_tokens"},
        usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    )
    model = LangChainModel(GenericFakeChatModel(messages=iter([message])), name="langchain:fake:x")
    (reply,) = await model.complete(ASK)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("Warm socks", "hm", "length")
    assert (reply.usage.prompt, reply.usage.completion) == (3, 2)
    with pytest.raises(Refused, match="no log-probabilities are read"):
        await model.complete(Request(ASK.messages, top_logprobs=2))


@pytest.mark.parametrize(
    "body",
    ['{"choices": null}', '{"choices": [null]}', '{"choices": [{"message": null}]}', '{"choices": [{"index": 0}]}'],
)
async def test_an_answer_that_langchain_breaks_over_is_a_fault_of_the_server(
    openai_server: Any, openai_like: Any, model: Any, body: str
) -> None:
    openai_server.faults.append(openai_like.Fault("error_body", body=body))
    with pytest.raises(Malformed, match="none that LangChain can read"):
        await model.complete(ASK)
    assert (await model.complete(ASK))[0].text


async def test_a_key_in_the_name_is_in_no_answer() -> None:
    said = GenericFakeChatModel(messages=iter([AIMessage("yes")]))
    name = "langchain:openai:tiny?api_key=sk-verysecretkey123"
    (reply,) = await LangChainModel(said, name=name).complete(Request((Message("user", "?"),)))
    assert "verysecret" not in reply.model and "[secret]" in reply.model


def test_what_langchain_cannot_open_is_explained() -> None:
    for rest, words in (
        ("gpt-4o", "provider and a model"),
        ("nosuch:x", "nosuch"),
        ("openai:gpt-4o", "OPENAI_API_KEY|api_key"),
        ("cohere:x", "langchain-cohere|langchain_cohere"),
    ):
        with pytest.raises(UsageError, match=words):
            open_provider(f"langchain:{rest}", settings=read_settings())
