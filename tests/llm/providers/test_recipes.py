"""Servers with their known deviations, imitated on loopback: a run comes to its end on each, or says why not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphs.run import How, run
from whyrec.data import open_data
from whyrec.errors import UsageError
from whyrec.llm import Budget
from whyrec.llm.model import Malformed, Message, Overloaded, Refused, Request, Sampling, ServerFault
from whyrec.llm.registry import open_provider
from whyrec.runs import open_run
from whyrec.settings import read_settings

ASK = Request((Message("user", "Say."),))
NAMES = {
    "openai": "openai:tiny@{url}?schema=strict&max_tokens=max_completion_tokens",
    "vllm": "vllm:tiny@{url}",
    "ollama": "ollama:tiny@{url}",
    "lmstudio": "lmstudio:tiny@{url}",
    "llama.cpp": "llamacpp:tiny@{url}",
    "litellm": "openai:tiny@{url}?key=LITELLM_KEY",
    "transformers serve": "openai:tiny@{url}?schema=none&n=no&logprobs=0",
}


@pytest.fixture
def server(openai_thread: Any, openai_like: Any, providers: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LITELLM_KEY", "sk-proxy")

    def like(name: str) -> Any:
        for attribute, value in providers.settings(openai_like, name).items():
            setattr(openai_thread, attribute, value)
        return openai_thread

    return like


def ran(name: str, *, graph: str = "cot_rec.preference", budget: Budget | None = None, **options: Any) -> Any:
    from graphs.workflow import workflow

    settings = read_settings()
    opened = open_data("world:users=12,items=60", settings=settings)
    how = How(settings=settings, world=opened.world, budget=budget)
    given = workflow(graph).options(**options)
    report = asyncio.run(run(graph, corpus=opened.data, model=name, options=given, users=3, how=how))
    return report, open_run(settings.home, report.run)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "transformers serve"])
def test_a_run_comes_to_its_end(server: Any, name: str) -> None:
    like = server(name)
    report, kept = ran(NAMES[name].format(url=like.url))
    assert (report.done, report.failed) == (3, 0)
    repaired = kept.counts().repairs
    assert repaired > 0 if name == "ollama" else repaired == 0, (
        "only a schema whose bounds are overlooked needs repairs"
    )
    kinds = {(body.get("response_format") or {}).get("type") for body in like.requests if "messages" in body}
    assert kinds == {"json_schema"} and not any("structured_outputs" in body for body in like.requests)


def test_a_server_that_knows_no_schema_fails_with_the_reason(server: Any) -> None:
    like = server("transformers serve")
    report, kept = ran(NAMES["transformers serve"].format(url=like.url))
    assert (report.done, report.failed) == (0, 3)
    assert all("no usable answer" in result.reason for result in kept.results("failed"))


@pytest.mark.parametrize("name", ["ollama", "lmstudio", "llama.cpp", "openai"])
async def test_samples_are_as_many_as_asked_for_whether_n_is_known_or_not(server: Any, name: str) -> None:
    like = server(name)
    model = open_provider(NAMES[name].format(url=like.url), settings=read_settings())
    replies = await model.complete(Request(ASK.messages, Sampling(0.8, seed=1), samples=(0, 1, 2)))
    await model.close()
    assert [r.sample for r in replies] == [0, 1, 2] and len({r.text for r in replies}) == 3
    assert len(like.requests) == (1 if name == "openai" else 3)


@pytest.mark.parametrize(
    ("body", "fields", "kind", "words"),
    [
        ("LITELLM_429", {"status": 429, "headers": {"Retry-After": "7"}}, Overloaded, "RateLimitError"),
        ("LITELLM_400", {"status": 400}, Refused, "ContextWindowExceeded"),
        ("OLLAMA_404", {"status": 404}, Refused, "try pulling it first|offers|knows no such"),
        ("LLAMA_CPP_503", {"status": 503}, ServerFault, "Loading model"),
        ("LM_STUDIO_200", {"kind": "error_body"}, ServerFault, "Unexpected endpoint"),
        ("OPENROUTER_200", {"kind": "error_body"}, Overloaded, "Provider returned error"),
        ("LM_STUDIO_200", {"kind": "stream"}, Malformed, "stream of events"),
    ],
)
async def test_their_complaints_are_understood(
    openai_server: Any,
    openai_like: Any,
    providers: Any,
    body: str,
    fields: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    openai_server.faults.append(openai_like.Fault(body=getattr(providers, body), **fields))
    model = open_provider(f"openai:tiny@{openai_server.url}", settings=read_settings())
    with pytest.raises(kind, match=words) as caught:
        await model.complete(ASK)
    await model.close()
    if isinstance(caught.value, Overloaded) and fields.get("headers"):
        assert caught.value.retry_after == 7.0


async def test_lm_studio_refuses_other_kinds_of_answers_and_says_which_it_takes(server: Any) -> None:
    like = server("lmstudio")
    model = open_provider(
        f'lmstudio:tiny@{like.url}?extra={{"response_format":{{"type":"json_object"}}}}', settings=read_settings()
    )
    with pytest.raises(Refused, match="'json_schema' or 'text'"):
        await model.complete(ASK)
    await model.close()


def test_a_budget_of_money_needs_a_price_before_anything_is_asked(server: Any) -> None:
    like = server("openai")
    with pytest.raises(UsageError, match=r"needs the price of openai:tiny.*prices\.toml"):
        ran(NAMES["openai"].format(url=like.url), budget=Budget(dollars=1.0))
    assert not any("messages" in body for body in like.requests)
    assert not (read_settings().home / "runs").exists(), "and no run is begun"


def test_every_price_says_where_it_is_from_and_of_when() -> None:
    import datetime
    import tomllib
    from importlib.resources import files

    listed = tomllib.loads((files("whyrec.llm") / "prices.toml").read_text(encoding="utf-8"))
    for name, entry in listed.items():
        assert entry["source"].startswith("https://"), name
        assert isinstance(entry["date"], datetime.date), name
