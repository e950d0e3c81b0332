"""Servers and models that any test may use; the root conftest registers this module as a plugin.

`openai_like` is the module tests/servers/openai_like.py, `openai_server` a running server on the test's event loop,
`openai_thread` the same in a thread of its own (for commands that run their own loop), `tiny_model` a folder with a
real model of random weights, `tiny_gguf` a module that writes it as a GGUF file,
`model_hub` one that serves files as a hub of models.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio


@pytest.fixture(scope="session")
def openai_like() -> ModuleType:
    """The module with `OpenAILike`, `Fault` and `ABILITIES` (tests are no package)."""
    return _module("openai_like")


@pytest.fixture(scope="session")
def hostile() -> ModuleType:
    """The module with `HABITS`, `Hostile` and `Canned`, servers of bad habits (tests/servers/hostile.py)."""
    return _module("hostile")


@pytest.fixture(scope="session")
def providers() -> ModuleType:
    """How known servers differ from the protocol (tests/servers/providers.py)."""
    return _module("providers")


@pytest_asyncio.fixture
async def openai_server(openai_like: ModuleType) -> AsyncIterator[Any]:
    """A running `OpenAILike`; change its attributes to make it slow, broken or poor."""
    server = openai_like.OpenAILike()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def openai_thread(openai_like: ModuleType) -> Iterator[Any]:
    """A running `OpenAILike` in a thread, for code that runs its own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = openai_like.OpenAILike()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer Qwen2 of random weights and a tokenizer trained here."""
    pytest.importorskip("transformers")
    corpus = ["The user likes warm hiking socks and quiet trails.", "Answer with one letter: A, B or C. Yes or No."]
    folder: Path = _module("tiny_qwen2").build(tmp_path_factory.mktemp("tiny-qwen2"), corpus * 4)
    return folder


@pytest.fixture(scope="session")
def model_hub() -> ModuleType:
    """The module with `ModelHub`, a hub of models on loopback."""
    return _module("model_hub")


@pytest.fixture(scope="session")
def tiny_gguf() -> ModuleType:
    """The module with `write`, which makes a GGUF file of the folder of `tiny_model`."""
    pytest.importorskip("gguf")
    return _module("tiny_gguf")


def _module(stem: str) -> ModuleType:
    """A file of this folder as a module (tests are no package)."""
    name = f"whyrec_tests_{stem}"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{stem}.py")
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def otlp_receiver() -> Iterator[Any]:
    """A running OTLP/HTTP receiver; `attributes` of its module reads a span's."""
    receiver = _module("otlp_receiver").Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def spending() -> Iterator[Any]:
    """A running `Spending` (tests/servers/spending.py): takes all it is allowed, and keeps the account."""
    server = _module("spending").Spending()
    yield server
    server.close()


@pytest.fixture
def langsmith_like() -> Iterator[Any]:
    """A running `LangSmithLike` (tests/servers/langsmith_like.py)."""
    server = _module("langsmith_like").LangSmithLike()
    yield server
    server.close()
