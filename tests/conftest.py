"""What every test may use: a small world, real data where it is, and a ban on real model calls."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from whyrec.redaction import KNOWN

# Two test workers with two threads each fight over two cores: a tiny model then takes 46 s instead of 0.3 s.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported
ROOT = Path(__file__).resolve().parents[1]
GUARD = str(ROOT / "tests" / "servers" / "guard")  # a sitecustomize.py, for the processes that tests start
DATA_FOLDERS = [
    *(Path(p) for p in os.environ.get("WHYREC_DATA", "").split(os.pathsep) if p),
    ROOT.parent / "shared" / "data",
]


def pytest_configure(config: pytest.Config) -> None:
    """Offer the fixtures of tests/servers/fixtures.py to every test, and watch connections from now on."""
    config.pluginmanager.register(_module("whyrec_tests_fixtures", "fixtures.py"), "whyrec-servers")
    os.environ["TESTS_CALLED_OUT"] = os.devnull  # until a test has a file of its own
    _module("whyrec_tests_guard", "guard/sitecustomize.py")


def _module(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "servers" / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every test has its own WHYREC_HOME, no keys, no hub, and fails where it or what it starts calls out."""
    for name in list(os.environ):
        if name.startswith("WHYREC_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    KNOWN.forget()
    called = tmp_path / "called-out.txt"
    monkeypatch.setenv("TESTS_CALLED_OUT", str(called))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([GUARD, *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANONYMIZED_TELEMETRY", "False")
    yield
    if called.exists():
        pytest.fail(f"This test called out: {called.read_text().splitlines()}")


@pytest.fixture(scope="session")
def leak_checks() -> ModuleType:
    """The functions of tests/contracts/leak_checks.py (spec 8)."""
    path = ROOT / "tests" / "contracts" / "leak_checks.py"
    spec = importlib.util.spec_from_file_location("whyrec_leak_checks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
