"""The Python of docs/library.md and the README runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(\n<!-- not run)?", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return [code for code, not_run in _BLOCK.findall((ROOT / page).read_text()) if not not_run]


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_what_is_printed_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    assert found, "the page shows Python"
    names = {"__name__": page}  # a page is read from its beginning: what one block makes, the next ones use
    for code in found:
        exec(compile(code, page, "exec"), names)
