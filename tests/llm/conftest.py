"""A loopback server for tests of language models."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest_asyncio


def load_openai_like() -> ModuleType:
    """tests/servers/openai_like.py as a module (tests are no package)."""
    name = "whyrec_tests_openai_like"
    if name not in sys.modules:
        path = Path(__file__).resolve().parents[1] / "servers" / "openai_like.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest_asyncio.fixture
async def openai_server() -> AsyncIterator[Any]:
    """A running `OpenAILike`; change its attributes to make it slow, broken or poor."""
    server = load_openai_like().OpenAILike()
    await server.start()
    yield server
    await server.stop()
