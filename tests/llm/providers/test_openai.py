"""The client for OpenAI-compatible servers, against a loopback server that is good, poor or broken by turns."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whyrec.errors import UsageError
from whyrec.llm.capabilities import Capabilities, keep_checked
from whyrec.llm.model import (
    AnswerFormat,
    Disconnected,
    Message,
    ModelError,
    Overloaded,
    Refused,
    Request,
    Sampling,
    ServerFault,
    TimedOut,
)
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "summary": {"type": "string", "maxLength": 60},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 2, "maxItems": 4},
        },
        "required": ["summary", "tags"],
    }
)
JSON_FORMAT = AnswerFormat("json", "Interest", SCHEMA)


def ask(text: str = "Say something.", **changes: Any) -> Request:
    return Request((Message("system", "You are terse."), Message("user", text)), **changes)


def fault(server: Any, **fields: Any) -> Any:
    return sys.modules[type(server).__module__].Fault(**fields)


@pytest.fixture
def opened(openai_server: Any) -> Callable[[str], OpenAICompatible]:
    """Opens `SCHEME:MODEL@the server?OPTIONS`."""

    def make(form: str = "vllm:tiny") -> OpenAICompatible:
        scheme_model, mark, options = form.partition("?")
        model = open_provider(f"{scheme_model}@{openai_server.url}{mark}{options}", settings=read_settings())
        assert isinstance(model, OpenAICompatible)
        models.append(model)
        return model

    models: list[OpenAICompatible] = []
    return make


@pytest.fixture
async def model(opened: Callable[[str], OpenAICompatible]) -> Any:
    made = opened("vllm:tiny")
    yield made
    await made.close()


async def test_a_question_and_its_schema_travel_and_the_answer_comes_back(openai_server: Any, model: Any) -> None:
    request = ask(sampling=Sampling(0.7, 0.9, 64, ("END",), 5), format=JSON_FORMAT)
    (reply,) = await model.complete(request)
    answer = json.loads(reply.text)
    assert len(answer["summary"]) <= 60 and 2 <= len(answer["tags"]) <= 4
    sent = openai_server.requests[-1]
    assert sent["messages"] == [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "Say something."},
    ]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"], sent["stop"], sent["seed"]) == (
        *(0.7, 0.9, 64),
        ["END"],
        5,
    )
    assert sent["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA)
    assert sent["response_format"]["json_schema"]["name"] == "Interest"
    assert reply.usage.prompt == 5 and reply.usage.completion > 0 and reply.service_s > 0 and reply.cost == 0.0


async def test_about_never_reaches_the_wire(openai_server: Any, model: Any) -> None:
    from whyrec.llm.model import About

    await model.complete(ask(about=About(user="SECRET-USER", run="SECRET-RUN")))
    assert "SECRET" not in json.dumps(openai_server.requests)
    assert "SECRET" not in str(openai_server.headers)


async def test_samples_share_one_request_and_their_tokens_add_up(openai_server: Any, model: Any) -> None:
    replies = await model.complete(ask(sampling=Sampling(1.0, seed=3), samples=(0, 1, 2, 3)))
    assert [r.sample for r in replies] == [0, 1, 2, 3]
    assert len({r.text for r in replies}) == 4
    assert len(openai_server.requests) == 1 and openai_server.requests[0]["n"] == 4
    assert [r.usage.prompt for r in replies] == [5, 0, 0, 0]
    assert sum(r.usage.completion for r in replies) == 4 * 8


async def test_a_single_missing_sample_is_the_one_it_would_have_been(openai_server: Any, model: Any) -> None:
    request = ask(sampling=Sampling(1.0, seed=3), samples=(0, 1, 2, 3))
    whole = await model.complete(request)
    part = await model.complete(replace(request, samples=(1, 3)))
    assert [r.text for r in part] == [whole[1].text, whole[3].text]
    assert [r["seed"] for r in openai_server.requests[1:]] == [4, 6]  # two runs, each with its own first seed


async def test_a_server_that_ignores_n_is_asked_for_the_rest(openai_server: Any, model: Any) -> None:
    openai_server.can -= {"n"}
    replies = await model.complete(ask(sampling=Sampling(1.0, seed=3), samples=(0, 1, 2)))
    assert [r.sample for r in replies] == [0, 1, 2] and len({r.text for r in replies}) == 3
    assert [r.get("n", 1) for r in openai_server.requests] == [3, 1, 1]


async def test_nothing_is_drawn_at_temperature_zero_so_n_is_never_sent(openai_server: Any, model: Any) -> None:
    replies = await model.complete(ask(samples=(0, 1)))
    assert [r.get("n", 1) for r in openai_server.requests] == [1, 1] and replies[0].text == replies[1].text


async def test_one_failing_sample_fails_the_request_and_leaves_nothing_running(openai_server: Any, model: Any) -> None:
    openai_server.can -= {"n"}
    openai_server.faults.extend([None, fault(openai_server, kind="status", status=500)])
    with pytest.raises(ServerFault):
        await model.complete(ask(sampling=Sampling(1.0), samples=(0, 1, 2)))
    assert asyncio.all_tasks() == {asyncio.current_task()} or await _settled()


async def _settled() -> bool:
    await asyncio.sleep(0.05)
    names = [t.get_coro().__qualname__ for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    return not [name for name in names if "OpenAICompatible" in name]


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"kind": "status", "status": 500}, ServerFault, "status 500"),
        ({"kind": "status", "status": 502, "body": "<html>bad gateway</html>"}, ServerFault, "bad gateway"),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "7"}}, Overloaded, "rate limit"),
        ({"kind": "status", "status": 429, "body": '{"error":{"code":"insufficient_quota"}}'}, Refused, "money"),
        ({"kind": "status", "status": 503, "headers": {"Retry-After": "7"}}, Overloaded, "overloaded"),
        ({"kind": "status", "status": 408}, TimedOut, "gave up"),
        ({"kind": "status", "status": 400, "body": '{"error":{"message":"bad schema"}}'}, Refused, "bad schema"),
        ({"kind": "status", "status": 422, "body": '{"detail":[{"msg":"extra"}]}'}, Refused, "extra"),
        ({"kind": "status", "status": 307, "headers": {"Location": "http://x"}}, Refused, "redirects"),
        ({"kind": "reset"}, Disconnected, "dropped the connection"),
        ({"kind": "html"}, ServerFault, "no JSON object"),
        ({"kind": "error_body"}, ServerFault, "made to fail"),
        ({"kind": "error_body", "body": '{"error":{"message":"slow down","code":429}}'}, Overloaded, "slow down"),
        ({"kind": "error_body", "body": '{"choices":[]}'}, ServerFault, "without any choices"),
        ({"kind": "error_body", "body": '{"choices":[{"text":"?"}]}'}, ServerFault, "not one of the protocol"),
        ({"kind": "error_body", "body": '{"choices":[{"message":'}, ServerFault, "no JSON object"),
    ],
)
async def test_every_failure_is_the_error_it_means(
    openai_server: Any, model: Any, fields: dict[str, Any], kind: type[ModelError], words: str
) -> None:
    openai_server.faults.append(fault(openai_server, **fields))
    with pytest.raises(kind, match=words) as caught:
        await model.complete(ask())
    assert model.name in str(caught.value) and str(caught.value).endswith(".")
    if isinstance(caught.value, Overloaded) and fields.get("headers"):
        assert caught.value.retry_after == 7.0
    assert (await model.complete(ask()))[0].text  # the connection is usable again


async def test_no_answer_in_time(openai_server: Any, opened: Any) -> None:
    openai_server.faults.append(fault(openai_server, kind="hang"))
    model = opened("vllm:tiny?timeout=0.1")
    with pytest.raises(TimedOut, match=r"within 0\.1 seconds"):
        await model.complete(ask())
    await model.close()


async def test_a_dead_server_says_what_to_start(unused_tcp_port: int) -> None:
    model = open_provider(f"vllm:tiny@http://127.0.0.1:{unused_tcp_port}/v1", settings=read_settings())
    with pytest.raises(Disconnected, match=f"Nothing answers at http://127.0.0.1:{unused_tcp_port}/v1"):
        await model.complete(ask())
    await model.close()


async def test_an_unknown_model_lists_what_the_server_has(openai_server: Any, opened: Any) -> None:
    openai_server.models = ("tiny", "other")
    model = opened("vllm:tinny")
    with pytest.raises(Refused, match=r"has no model 'tinny'; it offers other, tiny\."):
        await model.complete(ask())
    await model.close()


async def test_a_refused_field_can_be_dropped_by_name(openai_server: Any, opened: Any) -> None:
    openai_server.refuses = frozenset({"temperature"})
    model = opened("openai:tiny")
    with pytest.raises(Refused, match=r"add \?drop=temperature"):
        await model.complete(ask())
    await model.close()
    model = opened("openai:tiny?drop=temperature")
    assert (await model.complete(ask()))[0].text
    await model.close()


async def test_a_key_goes_to_its_own_server_and_into_no_message(
    openai_server: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right-0123456789")
    monkeypatch.setenv("MY_KEY", "sk-wrong-0123456789")
    openai_server.key = "sk-right-0123456789"
    model = opened("openai:tiny")
    with pytest.raises(Refused, match=r"\?key=OPENAI_API_KEY"):
        await model.complete(ask())
    await model.close()
    assert not any("sk-" in str(h) for h in openai_server.headers)  # another host never sees OpenAI's key
    model = opened("openai:tiny?key=MY_KEY")
    with pytest.raises(Refused, match="environment variable MY_KEY") as caught:
        await model.complete(ask())
    assert "sk-wrong" not in str(caught.value)
    await model.close()
    model = opened("openai:tiny?key=OPENAI_API_KEY")
    assert (await model.complete(ask()))[0].text
    await model.close()


async def test_options_of_the_name_reach_the_request(openai_server: Any, opened: Any) -> None:
    model = opened(
        'vllm:tiny?schema=structured_outputs&chat_template_kwargs={"enable_thinking":false}&extra={"top_k":5}'
    )
    await model.complete(ask(format=JSON_FORMAT))
    sent = openai_server.requests[-1]
    assert sent["structured_outputs"]["json"] == json.loads(SCHEMA) and "response_format" not in sent
    assert sent["chat_template_kwargs"] == {"enable_thinking": False} and sent["top_k"] == 5
    await model.close()


async def test_reasoning_is_split_off_wherever_it_stands(openai_server: Any, model: Any) -> None:
    openai_server.text, openai_server.reasoning = "I quote </think> here</think>\n\nThe answer", "From a field"
    (reply,) = await model.complete(ask())
    assert reply.text == "The answer" and reply.reasoning == "From a field\nI quote </think> here"


async def test_a_beginning_is_continued_where_the_server_can(openai_server: Any, opened: Any, model: Any) -> None:
    (reply,) = await model.complete(ask("Count.", prefix="1 2 3"))
    assert reply.text == " 4"
    sent = openai_server.requests[-1]
    assert sent["continue_final_message"] is True and sent["add_generation_prompt"] is False
    assert sent["messages"][-1] == {"role": "assistant", "content": "1 2 3"}
    unknown = opened("openai:tiny")
    with pytest.raises(Refused, match="whyrec llm check"):
        await unknown.complete(ask(prefix="1 2 3"))
    await unknown.close()


async def test_a_repeated_prefix_is_taken_off(openai_server: Any, opened: Any) -> None:
    openai_server.text = "1 2 3 4"
    model = opened("openai:tiny?prefix=prefill")
    (reply,) = await model.complete(ask("Count.", prefix="1 2 3"))
    assert reply.text == " 4" and "continue_final_message" not in openai_server.requests[-1]
    await model.close()


async def test_log_probabilities_of_tokens(openai_server: Any, model: Any) -> None:
    openai_server.logits = {"A": 2.0, "B": 1.0}
    (reply,) = await model.complete(ask(top_logprobs=2))
    assert reply.logprobs[0].token == "A" and [t for t, _ in reply.logprobs[0].top] == ["A", "B"]
    assert sum(2.718281828**lp for _, lp in reply.logprobs[0].top) == pytest.approx(1.0)
    assert openai_server.requests[-1]["top_logprobs"] == 2


async def test_truncated_and_filtered_answers_say_so(openai_server: Any, model: Any) -> None:
    openai_server.faults.append(fault(openai_server, kind="truncated"))
    body = '{"choices":[{"message":{"content":null,"refusal":"I will not."},"finish_reason":"stop"}]}'
    openai_server.faults.append(fault(openai_server, kind="error_body", body=body))
    assert (await model.complete(ask()))[0].finish_reason == "length"
    (reply,) = await model.complete(ask())
    assert (reply.finish_reason, reply.text) == ("filtered", "I will not.")


@pytest.mark.parametrize("way", ["tokens", "echo"])
async def test_given_texts_are_scored(openai_server: Any, opened: Any, way: str) -> None:
    import sys

    server_module: Any = sys.modules[type(openai_server).__module__]
    model = opened(f"vllm:tiny?score={way}")
    scores = await model.score(ask(), ["one two", "three", "", "one two"])
    assert [s.continuation for s in scores] == ["one two", "three", "", "one two"]
    expected = [server_module.token_logprob(server_module._ids(w)[0]) for w in ("one", "two", "three")]
    assert scores[0].logprobs == scores[3].logprobs == pytest.approx(tuple(expected[:2]))
    assert scores[1].logprobs == pytest.approx((expected[2],)) and scores[2].logprobs == ()
    await model.close()


@pytest.mark.parametrize(
    ("template_end", "prefix"),
    [
        ("<|assistant|> <think>", "<think> why </think> "),
        ("<|assistant|> <think> </think>", "<think> why </think> "),
        ("<|assistant|>", "<think> why </think> "),
        ("<|assistant|> <think>", "because "),
    ],
)
async def test_a_thought_begun_by_the_template_is_not_begun_again_where_text_is_scored(
    openai_server: Any, opened: Any, template_end: str, prefix: str
) -> None:
    tokens = sys.modules[type(openai_server).__module__]._ids
    openai_server.template_end = template_end
    model = opened("vllm:tiny")
    await model.score(ask(prefix=prefix), ["yes"])
    await model.close()
    (scored,) = openai_server.requests[-1]["prompt"]
    thoughts = prefix.startswith("<think>")
    expected = f"{'<|assistant|>' if thoughts else template_end} {prefix} yes"
    assert scored[-len(tokens(expected)) :] == tokens(expected)
    assert scored.count(*tokens("<think>")) == ("<think>" in template_end or thoughts)


async def test_a_server_that_cannot_score_is_refused_at_once(opened: Any) -> None:
    model = opened("ollama:tiny")
    with pytest.raises(UsageError, match="log-likelihood"):
        await model.score(ask(), ["a"])
    await model.close()


async def test_what_a_check_found_is_what_the_client_sends(openai_server: Any, opened: Any, tmp_path: Path) -> None:
    found = Capabilities(schema="none", n=False, prefix="prefill", checked="2026-01-01")
    keep_checked(read_settings().home, openai_server.url, "tiny", found)
    model = opened("vllm:tiny")
    await model.complete(ask(format=JSON_FORMAT, sampling=Sampling(1.0), samples=(0, 1)))
    assert all("response_format" not in r and "n" not in r for r in openai_server.requests)
    await model.close()
    model = opened("vllm:tiny?schema=response_format")  # the name's options win
    assert model.can == replace(found, schema="response_format")


async def test_a_message_no_json_can_hold_is_still_sent(openai_server: Any, model: Any) -> None:
    await model.complete(ask("broken \ud83d half"))
    assert openai_server.requests[-1]["messages"][-1]["content"] == "broken ? half"


async def test_a_large_prompt(openai_server: Any, model: Any) -> None:
    openai_server.can -= {"context"}
    with pytest.raises(Refused):  # aiohttp's server takes one MiB by default; the client must not warn before
        await model.complete(ask("x" * (2 << 20)))


async def test_two_event_loops_may_use_one_model(openai_server: Any, model: Any) -> None:
    def elsewhere() -> str:
        async def once() -> str:
            (reply,) = await model.complete(ask())
            await model.close()
            return reply.text

        return asyncio.run(once())

    first = (await model.complete(ask()))[0].text
    assert await asyncio.to_thread(elsewhere) == first
    assert (await model.complete(ask()))[0].text == first  # closing there closed nothing here
