"""What a person types to name data, a model, an embedder, an option of a graph."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import WORDS, dumps, edited_text, json_values, plain, words
from fuzzing.target import Target

_DATA = (
    *(
        "world",
        "world:users=5",
        "world:hard",
        "world:users=20,items=30,seed=3,setting=easy,reviews=no",
        "facts",
        "facts:5",
    ),
    *(
        "facts:questions=5",
        "here/clicks.csv?user=user&item=item",
        "here/clicks.csv?user=user&item=item&time=time&dedup",
    ),
    *("here", "here?kcore=2&dedup=no&users=1", "nothing", "nothing.csv?user=a&item=b", "hotpot?part=dev&questions=3"),
)
_MODELS = (
    *("openai:m@http://127.0.0.1:9/v1", "openai:m@https://user:pw@host:1/v1?timeout=60&drop=seed,temperature"),
    *(
        'openai:m@http://h/v1?extra={"a":1}&key=NAME',
        "vllm:Qwen/Qwen3-8B@http://[::1]:8000/v1?schema=none&n=no&logprobs=5",
    ),
    *("ollama:qwen3:8b", "lmstudio:m?prefix=prefill&score=echo&choice=yes&max_tokens=max_completion_tokens"),
    *('vllm:m?chat_template_kwargs={"enable_thinking":false}', "extractive", "simulated:0.8", "scripted:answers.json"),
    *("replay:latest", "replay:RUN", "echo", "flaky:json=0.2,timeout=0.05:extractive", "flaky:429=1:flaky:json=1:echo"),
)
_HOSTS = (
    "[::1",
    "[::1]",
    "[",
    "127.0.0.1:99999",
    "127.0.0.1:port",
    "127.0.0.1:-1",
    "host:²",
    "@",
    "a@b@c",
    "h:1:2",
    "é.de",
    "x" * 300,
    "xn--",
    "0",
    "..",
    "h/../v1",
    "h#f",
    "h:٣",
)
_EMBEDDERS = ("lsa", "lsa:64", "hashed", "hashed:32", "hf:", "nothing:1")
_GRAPHS = (
    "cot_rec.preference",
    "cot_rec.recommend",
    "pulse.refine",
    "scoter.generate",
    "rallrec.predict",
    "hotpotqa.react",
)
_OPTIONS = ("batch=2", "split=valid", "k=3", "samples=2", "candidates=10", "seed=1", "steps=4", "width=2", "titles=yes")
_CLICKS = b"user,item,time\na,x,1\na,y,2\na,z,3\nb,x,1\nb,y,2\n"


def _settle() -> None:
    plain(
        Path("here"),
        {"clicks.csv": _CLICKS, "interactions.csv": _CLICKS.replace(b"user,item,time", b"user_id,item_id,timestamp")},
    )
    Path("answers.json").write_text('["a", "b"]')
    data("world:users=3")


def modest(name: str) -> str:
    """Without numbers that ask for a large world: that would be no fault. Absurd ones stay."""
    return re.sub(r"\d{4,11}", lambda found: found[0][:3], name) if name.startswith(("world", "facts")) else name


def data(name: str) -> object:
    from whyrec.data.lookup import open_data

    return open_data(name)


def model(name: str) -> object:
    from whyrec.llm import open_provider
    from whyrec.llm.prices import price_of
    from whyrec.settings import read_settings

    settings = read_settings()
    price_of(name, home=settings.home)
    made = open_provider(name, settings=settings)
    asyncio.run(made.close())
    return made.name


def models(given: list[str]) -> object:
    """Several of them, and by role."""
    from graphs.engine.models import read_models

    plain_, roles = read_models(given, "extractive")
    return [model(name) for name in (plain_, *roles.values())]


def embedder(name: str) -> object:
    from whyrec.embed.opening import check_embedder

    if name.startswith(("openai", "hf")):  # would look for a server, or import for seconds
        return None
    return check_embedder(name)


def options(given: tuple[str, list[str], str]) -> object:
    from graphs.workflow import workflow
    from whyrec.cli.run import options_of

    graph, pairs, split = given
    return options_of(workflow(graph), pairs, split)


def bounds(given: dict[str, Any]) -> object:
    """Limits and budgets as `--rpm`, `--budget-usd` and their kin hand them over."""
    from whyrec.llm import Budget, Limits

    limits = {k: v for k, v in given.items() if k in ("requests_per_minute", "tokens_per_minute", "concurrency")}
    return Limits(**limits), Budget(**{k: v for k, v in given.items() if k not in limits})


def _data_names() -> st.SearchStrategy[str]:
    pair = st.tuples(st.sampled_from(["user", "item", "time", "kcore", "dedup", "users", "x", "explicit"]), words)
    asked = st.lists(pair.map("=".join), max_size=3).map("&".join)
    files = st.sampled_from(["here/clicks.csv", "here", "world", "facts", "here/clicks.csv?user=user&item=item"])
    return (edited_text(_DATA) | st.builds("{}?{}".format, files, asked) | words).map(modest)


def _urls() -> st.SearchStrategy[str]:
    return st.builds(
        "{}:m@{}://{}{}".format,
        st.sampled_from(["openai", "vllm", "ollama"]),
        st.sampled_from(["http", "https"]),
        st.sampled_from(_HOSTS) | words,
        st.sampled_from(["", "/v1", "/", "?", "/v1?timeout=5"]),
    )


def _extras() -> st.SearchStrategy[str]:
    value = st.builds(dumps, json_values).map(lambda raw: raw.decode("utf-8", "replace")) | st.sampled_from(WORDS)
    option = st.sampled_from(
        ["extra", "chat_template_kwargs", "timeout", "logprobs", "n", "drop", "key", "schema", "system"]
    )
    return st.builds("openai:m@http://127.0.0.1:9/v1?{}={}".format, option, value)


def _model_names() -> st.SearchStrategy[str]:
    return (
        edited_text(_MODELS)
        | _urls()
        | _extras()
        | st.builds(
            "{}:{}".format,
            st.sampled_from(
                ["scripted", "replay", "simulated", "flaky", "extractive", "echo", "vllm", "openai", "lmstudio"]
            ),
            words,
        )
    )


def _bounds() -> st.SearchStrategy[dict[str, Any]]:
    number = st.none() | st.floats() | st.integers(-5, 10**20)
    names = ("requests_per_minute", "tokens_per_minute", "concurrency", "calls", "tokens", "dollars")
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, number))


TARGETS = (
    Target("names.data", _data_names, data, 1.5, prepare=_settle),
    Target("names.model", _model_names, model, 3.0, prepare=_settle),
    Target(
        "names.roles",
        lambda: st.lists(edited_text([*_MODELS, "judge=echo", "writer=openai:m"]), max_size=3),
        models,
        prepare=lambda: (_settle(), models(["echo"])),
    ),
    Target("names.embedder", lambda: edited_text(_EMBEDDERS), embedder, 0.3, prepare=lambda: embedder("lsa")),
    Target(
        "names.options",
        lambda: st.tuples(
            st.sampled_from(_GRAPHS),
            st.lists(edited_text(_OPTIONS) | words, max_size=3),
            st.sampled_from(["", "test", "valid"]) | words,
        ),
        options,
        0.5,
        prepare=lambda: options((_GRAPHS[0], [], "")),
    ),
    Target("names.bounds", _bounds, bounds, 0.3, prepare=lambda: bounds({})),
)
