"""Names lead to their provider, and wrong ones are explained."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import registry
from whyrec.llm.registry import Scheme, open_provider, openers
from whyrec.settings import read_settings


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"named 'openia'. Did you mean 'openai'\? Known: echo, extractive") as e:
        open_provider("openia:gpt-4o-mini", settings=read_settings())
    assert "whyrec llm ls" in str(e.value)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Scheme("whyrec.llm.nothing", "open_", "x", "x", ("no_such_package",), "hf")
    monkeypatch.setitem(registry._SCHEMES, "transformers", missing)
    with pytest.raises(UsageError, match=r'no_such_package, which is not installed: pip install "whyrec\[hf\]"'):
        open_provider("transformers:x", settings=read_settings())


@pytest.mark.parametrize("name", sorted(openers()))
def test_every_opener_exists_and_its_example_has_its_scheme(name: str) -> None:
    scheme = openers()[name]
    assert callable(getattr(importlib.import_module(scheme.module), scheme.function))
    assert scheme.example.partition(":")[0] == name and scheme.help[0] == scheme.help[0].strip()


def test_the_registry_itself_loads_no_provider() -> None:
    code = (
        "import sys, whyrec.llm.registry as r; r.openers();"
        "print([m for m in ('torch', 'transformers', 'langchain', 'aiohttp', 'whyrec.llm.providers.openai') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
