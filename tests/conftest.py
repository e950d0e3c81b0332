"""What every test may use: a small world, real data where it is, and a ban on real model calls."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Two test workers with two threads each fight over two cores: a tiny model then takes 46 s instead of 0.3 s.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
DATA_FOLDERS = [
    *(Path(p) for p in os.environ.get("WHYREC_DATA", "").split(os.pathsep) if p),
    ROOT.parent / "shared" / "data",
]


def pytest_configure(config: pytest.Config) -> None:
    """Offer the fixtures of tests/servers/fixtures.py (loopback servers, a tiny model) to every test."""
    path = ROOT / "tests" / "servers" / "fixtures.py"
    spec = importlib.util.spec_from_file_location("whyrec_tests_fixtures", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config.pluginmanager.register(module, "whyrec-servers")


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """A data set folder of $WHYREC_DATA or ../shared/data by name; skips the test where it is absent."""

    def find(name: str) -> Path:
        for folder in DATA_FOLDERS:
            if (folder / name).is_dir():
                return folder / name
        pytest.skip(f"no real data: {name} is neither under $WHYREC_DATA nor under ../shared/data")

    return find


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test has its own WHYREC_HOME, no keys, and no hub."""
    for name in list(os.environ):
        if name.startswith("WHYREC_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("ANONYMIZED_TELEMETRY", "False")
    monkeypatch.setattr(socket.socket, "connect", _loopback_only)


def _loopback_only(self: socket.socket, address: Any) -> None:
    """A test that calls a real model or a hub fails at once."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise RuntimeError(f"A test tried to reach {address[0]}; tests talk to 127.0.0.1 only.")
    _CONNECT(self, address)


_CONNECT = socket.socket.connect


@pytest.fixture(scope="session")
def leak_checks() -> ModuleType:
    """The functions of tests/contracts/leak_checks.py (spec 8)."""
    path = ROOT / "tests" / "contracts" / "leak_checks.py"
    spec = importlib.util.spec_from_file_location("whyrec_leak_checks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
