"""Small files written by hand."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from whyrec.data.raw import Raw, no_items
from whyrec.settings import Settings

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write("folder/name.csv", "text") -> path below tmp_path; a name ending in .gz is gzipped."""

    def put(name: str, text: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode(encoding)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return put


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Data sets are looked for in tmp_path, downloads go to tmp_path/home/data."""
    return Settings(data=(tmp_path,), home=tmp_path / "home")


@pytest.fixture
def raw() -> Callable[..., Raw]:
    """raw(user=[...], item=[...], time=[...]) -> Raw without item text."""
    import polars as pl

    types = {"time": pl.Int64, "position": pl.Int64, "rating": pl.Float32}

    def make(**columns: list[object]) -> Raw:
        return Raw(
            "hand", pl.DataFrame(columns, schema_overrides={k: v for k, v in types.items() if k in columns}), no_items()
        )

    return make


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A `FileServer` of tests/servers/files.py, reached without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    path = Path(__file__).parents[1] / "servers" / "files.py"
    spec = importlib.util.spec_from_file_location("whyrec_file_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    running = module.FileServer()
    yield running
    running.close()
