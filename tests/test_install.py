""".ci/install.py: what pip is told is told to uv in its words, and what pip would not install is refused."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[1] / ".ci" / "install.py"


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("whyrec_install", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_variable_goes_before_a_file_and_lists_are_one_line(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "global.find-links='/a'\n:env:.find-links='/b'\nglobal.extra-index-url='file:///x\\nfile:///y'\n"
    done = subprocess.CompletedProcess([], 0, stdout=said)
    monkeypatch.setattr(install.subprocess, "run", lambda *_a, **_k: done)
    assert install.pip_configuration() == {"find-links": "/b", "extra-index-url": "file:///x file:///y"}


def test_pips_words_become_uvs(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.os, "environ", {"PATH": "/bin"})
    told = {"index-url": "file:///i", "extra-index-url": "file:///x file:///y", "find-links": "/a /b", "quiet": "1"}
    made: dict[str, Any] = install.uv_environment({**told, "cert": "/c.pem", "constraint": "/k.txt"})
    assert made == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "file:///i",
        "UV_INDEX": "file:///x file:///y",
        "UV_FIND_LINKS": "/a,/b",
        "SSL_CERT_FILE": "/c.pem",
        "PATH": "/bin",
    }
    with pytest.raises(install.NotByUv, match="configured with pre"):
        install.uv_environment({"pre": "true"})


def test_other_versions_and_cuda_builds_are_refused(install: ModuleType) -> None:
    pins = dict(line.split("==") for line in install.PINS.read_text().split())
    install._look_at({"torch": f"{pins['torch']}+cpu", "pyyaml": pins["PyYAML"], "not-pinned": "1"})
    with pytest.raises(install.NotByUv, match="pinned is"):
        install._look_at({"torch": "1.0"})
    with pytest.raises(install.NotByUv, match="graphics card"):
        install._look_at({"nvidia-cublas-cu12": "12.8"})
