"""Files and variables that configure whyrec, and small files it keeps for itself."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import changed_json, edited, words
from fuzzing.target import Target

_TOML = (
    b'home = "home"\ndata = ["data", "more"]\nllm = "extractive"\nask_above = 10\nconcurrency = 8\n',
    b"ask_above = 1e3\nconcurrency = true\n[home]\na = 1\n",
    b'llm = ["a"]\nhome = 1979-05-27T07:32:00Z\n',
)
_PRICES = (
    b'["openai:m"]\ninput = 0.5\noutput = 1.5\ncached = 0.1\n',
    b'["openai:m"]\ninput = nan\noutput = inf\n["x"]\ninput = 1\noutput = 2\n',
)
_SERVER = "http://127.0.0.1:9/v1"
_SERVERS = {
    f"{_SERVER} m": {
        "schema": "none",
        "n": True,
        "logprobs": 5,
        "prefix": "none",
        "score": "none",
        "context": 4096,
        "max_tokens": "max_tokens",
        "choice": False,
        "checked": "2025-01-01",
    }
}
_SCRIPT = [{"when": "a", "answer": "x"}, {"answer": {"k": 1}}]
_VARIABLES = (
    "WHYREC_HOME",
    "WHYREC_DATA",
    "WHYREC_LLM",
    "WHYREC_ASK_ABOVE",
    "WHYREC_CONCURRENCY",
    "WHYREC_HOMES",
    "WHYREC_DEBUG",
)


def _home() -> Path:
    home = Path(os.environ["WHYREC_HOME"])
    home.mkdir(exist_ok=True)
    return home


def toml(content: bytes) -> object:
    from whyrec.settings import read_settings

    path = Path("whyrec.toml")
    path.write_bytes(content)
    try:
        return read_settings().data_folders
    finally:
        path.unlink()


def variables(given: dict[str, str]) -> object:
    """As the system hands them over: bytes that are no UTF-8 come as lone surrogates."""
    from whyrec.settings import read_settings

    before = dict(os.environ)
    try:
        os.environ.update(
            {
                k: v.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
                for k, v in given.items()
            }
        )
        return read_settings().data_folders
    finally:
        os.environ.clear()
        os.environ.update(before)


def prices(content: bytes) -> object:
    from whyrec.llm.model import Usage
    from whyrec.llm.prices import price_of

    (_home() / "prices.toml").write_bytes(content)
    try:
        price = price_of("openai:m", home=_home())
        return price and price.of(Usage(10, 10, 5))
    finally:
        (_home() / "prices.toml").unlink()


def servers(content: bytes) -> object:
    """What `whyrec llm check` keeps, read when a model is opened, and a body written with it."""
    from whyrec.llm import open_provider
    from whyrec.settings import read_settings

    (_home() / "servers.json").write_bytes(content)
    try:
        return open_provider(f"openai:m@{_SERVER}", settings=read_settings()).name
    finally:
        (_home() / "servers.json").unlink()


def script(content: bytes) -> object:
    from whyrec.llm import open_provider
    from whyrec.llm.model import Message, Request
    from whyrec.settings import read_settings

    Path("answers.json").write_bytes(content)
    model = open_provider("scripted:answers.json", settings=read_settings())
    return asyncio.run(model.complete(Request((Message("user", "a question"),))))


def _variables() -> st.SearchStrategy[dict[str, Any]]:
    value = words | st.sampled_from(["\udcff", "~nobody/x", "1" * 30, "1e3", "a:b", ":", "a\nb"])
    return st.dictionaries(st.sampled_from(_VARIABLES), value, max_size=3)


TARGETS = (
    Target("config.toml", lambda: edited(_TOML), toml, prepare=lambda: toml(b"")),
    Target("config.variables", _variables, variables, 0.5, prepare=lambda: variables({})),
    Target("config.prices", lambda: edited(_PRICES), prices, 0.5, prepare=lambda: prices(b"")),
    Target("config.servers", lambda: changed_json([_SERVERS]), servers, 0.5, prepare=lambda: servers(b"{}")),
    Target(
        "config.script", lambda: changed_json([_SCRIPT, ["a", {"b": 1}]]), script, 0.5, prepare=lambda: script(b'["a"]')
    ),
)
